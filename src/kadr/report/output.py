"""Pages from templates."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


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
