"""What reaches the disk: pages from templates, in files that are whole."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kadr.errors import KadrError

if TYPE_CHECKING:
    from jinja2 import Environment


def save(path: Path, data: bytes) -> Path:
    """Put the bytes beside `path`, then in its place: a reader never sees half a file.

    Raises:
        KadrError: the folder is missing or nothing can be written to it.
    """
    draft = path.with_name(f".kadr-{uuid4().hex}.part")
    try:
        try:
            draft.write_bytes(data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise KadrError(
            f"{path}: can't be written ({error.strerror or error}). "
            "Name a file in a folder that exists and that you may write to."
        ) from error
    return path


def render(template: str, **values: Any) -> bytes:
    """A page in UTF-8. A file name that isn't Unicode shows its odd bytes as escapes."""
    page = _environment().get_template(template).render(**values)
    return page.encode("utf-8", "backslashreplace")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("kadr.report", "templates"),
        autoescape=True,  # captions and file names are anybody's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
