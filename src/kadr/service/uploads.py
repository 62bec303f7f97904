"""Routes that add photos and delete what was added."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Request, Response, UploadFile

from kadr.errors import ImageError
from kadr.library.deletion import NotAllowedError
from kadr.library.library import Library
from kadr.photos import files
from kadr.service import problems
from kadr.service.dependencies import (
    PhotoId,
    ThePolicy,
    json,
    nobody_waits,
    renderer,
    resources,
    seen,
)
from kadr.service.file_names import keep, safe_name
from kadr.service.problems import Invalid, ProblemError
from kadr.service.shapes import AddedShape, SkippedShape
from kadr.service.upload_form import UploadRoute
from kadr.service.visitors import needs
from kadr.stores import Stored

router = APIRouter(tags=["photos"], route_class=UploadRoute, dependencies=[needs("write")])


@dataclass(frozen=True, slots=True)
class _Kept:
    """An uploaded photo in the folder for uploads; `number` is its place among those sent."""

    number: int
    path: Path
    digest: str


@router.post(
    "/photos",
    summary="Add photos",
    status_code=201,
    responses=problems.documented(408, 409, 413),
    response_model=AddedShape,
)
async def add(
    request: Request,
    law: ThePolicy,
    photos: Annotated[list[UploadFile], File(description="Up to 20.", min_length=1, max_length=20)],
) -> Response:
    """Each keeps the name that it was sent under, as far as that is safe.

    Folders are left out, a suffix that lies is replaced, a number follows a name that is taken. A
    file that can't be read is skipped with its reason; where that is all of them, the answer is
    422. Under a law, what is added is assessed before anybody can find it.
    """
    folder: Path | None = request.app.state.service.uploads
    if folder is None:
        raise ProblemError(409, "This service takes no photos. Start it with --uploads FOLDER.")
    held, kept, skipped = resources(request), list[_Kept](), list[SkippedShape]()
    for number, file in enumerate(photos):
        content = await file.read()
        try:
            kind = await held.decoder.kind(content)
        except ImageError as error:
            skipped.append(SkippedShape(file=number, reason=str(error)))
            continue
        keeper = _keeper(number, folder, safe_name(file.filename or "", kind), content)
        kept.append(await held.working.do(law.policy, keeper))

    def work(library: Library) -> AddedShape:
        if kept:
            library.index([folder], retry=True, on_wait=nobody_waits)
        return _added(library, request, kept, skipped)

    added = await held.working.do(law.policy, work)
    if len(added.skipped) == len(photos):
        raise _nothing_added(request, photos, added.skipped)
    response = json(added)
    response.status_code = 201
    return response


def _keeper(number: int, folder: Path, name: str, content: bytes) -> Callable[[Library], _Kept]:
    def save(library: Library) -> _Kept:
        digest = files.digest(content)
        known = _uploaded(library, folder, digest)
        return _Kept(number, known or keep(folder, name, content), digest)

    return save


def _by_digest(library: Library, digest: str) -> Stored | None:
    number = library.photo_number(digest)
    return None if number is None else library.catalogue.photo(number)


def _uploaded(library: Library, folder: Path, digest: str) -> Path | None:
    """Where this content lies already among the uploads."""
    photo = _by_digest(library, digest)
    for path in () if photo is None else photo.paths:
        with suppress(OSError):
            if path.parent == folder and files.digest(path) == digest:
                return path
    return None


def _added(
    library: Library, request: Request, kept: Sequence[_Kept], skipped: Sequence[SkippedShape]
) -> AddedShape:
    render = renderer(request, library)
    added, failed = dict[int, Stored](), list[SkippedShape]()
    for one in kept:
        photo = _by_digest(library, one.digest)
        if photo is None:
            failed.append(_failed(library, one))
        else:
            added[photo.id] = photo
    shown = [photo for photo in added.values() if not library.catalogue.hides(photo.id)]
    return AddedShape(
        added=[render.photo(photo) for photo in shown],
        withheld=len(added) - len(shown),
        skipped=sorted([*skipped, *failed], key=lambda one: one.file),
    )


def _failed(library: Library, kept: _Kept) -> SkippedShape:
    """A photo that could be decoded, but not once more when it was indexed; it doesn't stay."""
    reasons = {problem.path: problem.reason for problem in library.problems()}
    kept.path.unlink(missing_ok=True)
    return SkippedShape(file=kept.number, reason=reasons.get(kept.path, "couldn't be indexed"))


def _nothing_added(
    request: Request, photos: Sequence[UploadFile], skipped: Sequence[SkippedShape]
) -> ProblemError:
    service = request.app.state.service
    errors = [Invalid(where=f"photos.{one.file}", what=one.reason) for one in skipped]
    reasons = "; ".join(f"{photos[one.file].filename}: {one.reason}" for one in skipped)
    return ProblemError(
        422,
        f"No photo was added. {reasons}. Photos of at most {service.most_pixels:,} pixels are "
        f"taken, which decode within {service.seconds:g} s: send smaller ones, or start the "
        "service with --max-pixels or --seconds.",
        errors=errors,
    )


@router.delete(
    "/photos/{photo}",
    summary="Move a photo into the bin",
    status_code=204,
    response_class=Response,
    responses=problems.documented(404, 409, 451),
)
async def delete(request: Request, law: ThePolicy, photo: PhotoId) -> Response:
    """One that was uploaded; others only if the library's owner allows it. `/bin` restores it."""
    folder: Path | None = request.app.state.service.uploads

    def work(library: Library) -> Response:
        row = seen(library, photo, law)
        try:
            library.delete(row.id, uploads=folder, on_wait=nobody_waits)
        except NotAllowedError as error:
            raise ProblemError(409, str(error)) from error
        return Response(status_code=204)

    return await resources(request).working.do(law.policy, work)
