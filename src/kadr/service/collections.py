"""Routes over collections: photos that people put together under a name."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from kadr.library import collection as collecting
from kadr.library.collection import CollectionError, NoCollectionError
from kadr.library.filters import collection_name
from kadr.library.library import Library
from kadr.service import problems
from kadr.service.dependencies import ThePolicy, json, resources, seen
from kadr.service.problems import ProblemError
from kadr.service.shapes import (
    MOST_NAME,
    MOST_NUMBER,
    CollectionChangeShape,
    CollectionNameShape,
    CollectionShape,
    CollectionsShape,
    CoveredCollectionShape,
)
from kadr.service.visitors import RequestPolicy, needs

router = APIRouter(prefix="/collections", tags=["collections"])
READ, WRITE = [needs("read")], [needs("write")]
Name = Annotated[
    str,
    Path(
        min_length=1,
        max_length=MOST_NAME,
        description="A collection's name: 1 to 100 characters, no slash.",
        examples=[collecting.FAVOURITES],
    ),
]


@router.get(
    "",
    summary="Collections, and how many photos are in each",
    dependencies=READ,
    responses=problems.documented(404, 451),
    response_model=CollectionsShape,
)
async def listed(
    request: Request,
    law: ThePolicy,
    photo: Annotated[
        int | None,
        Query(ge=1, le=MOST_NUMBER, description="Only those that hold the photo of this id."),
    ] = None,
) -> Response:
    """By name. What the law hides isn't counted.

    `collection` in searches and listings names one.
    """

    def work(library: Library) -> Response:
        sizes = library.catalogue.collections()
        if photo is not None:
            held = library.store.collections(seen(library, photo, law).digest)
            sizes = {name: sizes[name] for name in held if name in sizes}
        covers = library.catalogue.covers()
        shapes = [
            CoveredCollectionShape(
                name=name,
                photos=count,
                cover=library.public_id(covers[name]) if name in covers else None,
            )
            for name, count in sizes.items()
        ]
        return json(CollectionsShape(collections=shapes))

    return await resources(request).working.do(law.policy, work)


@router.put(
    "/{name}",
    summary="Make a collection",
    dependencies=WRITE,
    responses=problems.documented(409),
    response_model=CollectionShape,
)
async def make(request: Request, law: ThePolicy, name: Name) -> Response:
    """One that is there already stays as it is."""
    kept = _named(name)
    return await _changed(request, law, lambda library: collecting.make(library.store, kept))


@router.patch(
    "/{name}",
    summary="Rename a collection",
    dependencies=WRITE,
    responses=problems.documented(404, 409),
    response_model=CollectionShape,
)
async def rename(
    request: Request, law: ThePolicy, name: Name, given: CollectionNameShape
) -> Response:
    """Its photos stay in it."""
    old, new = _named(name), _named(given.name)
    return await _changed(request, law, lambda library: collecting.rename(library.store, old, new))


@router.delete(
    "/{name}",
    summary="Delete a collection",
    status_code=204,
    dependencies=WRITE,
    response_class=Response,
    responses=problems.documented(404),
)
async def delete(request: Request, law: ThePolicy, name: Name) -> Response:
    """Its photos stay in the library."""
    kept = _named(name)

    def work(library: Library) -> Response:
        with _told():
            collecting.delete(library.store, kept)
        return Response(status_code=204)

    return await resources(request).working.do(law.policy, work)


@router.post(
    "/{name}/photos",
    summary="Put photos into a collection, and take photos out",
    dependencies=WRITE,
    responses=problems.documented(404, 451),
    response_model=CollectionShape,
)
async def change(
    request: Request, law: ThePolicy, name: Name, given: CollectionChangeShape
) -> Response:
    """All of them or, where one isn't there or may not be seen, none.

    They are kept by content: a photo that is renamed or comes back is in it.
    """
    kept = _named(name)

    def work(library: Library) -> str:
        add, remove = (_digests(library, law, ids) for ids in (given.add, given.remove))
        collecting.change(library.store, kept, add, remove)
        return kept

    return await _changed(request, law, work)


def _named(name: str) -> str:
    """A collection's name as it is kept.

    Raises:
        ProblemError: 422, it is no name.
    """
    with problems.of_the_request():
        return collection_name(name)


def _digests(library: Library, law: RequestPolicy, photos: Sequence[int]) -> list[str]:
    """The contents of photos, by their public ids.

    Raises:
        ProblemError: 404, there is no such photo; 451, the policy hides it.
    """
    numbers = {library.by_public_id(photo): photo for photo in photos}
    visible = library.catalogue.visible(list(numbers))
    for number, photo in numbers.items():
        if number not in visible:
            visible[number] = seen(library, photo, law)  # which says why, or it is back just now
    return [visible[number].digest for number in numbers]


async def _changed(
    request: Request, law: RequestPolicy, change: Callable[[Library], str]
) -> Response:
    """Change a collection; the answer is what it is then. `change` gives its name."""

    def work(library: Library) -> Response:
        with _told():
            name = change(library)
        return json(CollectionShape(name=name, photos=library.catalogue.size(name)))

    return await resources(request).working.do(law.policy, work)


@contextmanager
def _told() -> Iterator[None]:
    """What a request can't do, as a problem: 404 without such a collection, 409 with another."""
    try:
        yield
    except NoCollectionError as error:
        raise ProblemError(404, "There is no collection of that name.") from error
    except CollectionError as error:
        raise ProblemError(409, str(error)) from error
