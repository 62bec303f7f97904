"""What mkdocs asks while it builds the site: pages from outside docs, and the Python API.

A page that lies elsewhere in the repository (the README, a model's card) becomes a page of the
site, anything else that a page links to a file beside them, so that the links that work on a forge
work in the site too.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS = PurePosixPath("docs")
PAGES = {
    "README.md": "index.md",
    "README.ru.md": "index.ru.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "src/kadr/models/mini/CARD.md": "mini.md",
}
"""Pages outside docs, and what they are called in the site."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add what lies outside docs and what is made of docstrings."""
    for source, target in PAGES.items():
        files.append(_copy(source, target, config))
    files.append(_reference("kadr", "kadr", config, submodules=False))
    rooms = [path.parent.name for path in ROOT.glob("src/kadr/*/__init__.py")]
    for name in (*rooms, *(path.stem for path in ROOT.glob("src/kadr/[!_]*.py"))):
        files.append(_reference(name, f"kadr.{name}", config))
    linked = {link for file in files if file.is_documentation_page() for link in _outside(file)}
    for source in sorted(linked):
        files.append(_copy(source, _target(source), config))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at where the site has what they mean."""
    return LINK.sub(lambda link: _in_site(link[1], page.file.src_uri), markdown)


def _copy(source: str, target: str, config: Any) -> File:
    return File.generated(config, target, content=(ROOT / source).read_bytes())


def _reference(name: str, module: str, config: Any, *, submodules: bool = True) -> File:
    options = "" if submodules else "\n    options:\n      show_submodules: false"
    text = f"# {module}\n\n::: {module}{options}\n"
    return File.generated(config, f"reference/{name}.md", content=text)


def _outside(file: File) -> set[str]:
    """Files of the repository that a page links to and the site has nowhere else."""
    found = {_source(link, file.src_uri) for link in LINK.findall(file.content_string)}
    return {
        path
        for path in found
        if path not in PAGES and DOCS not in PurePosixPath(path).parents and (ROOT / path).is_file()
    }


def _source(link: str, page: str) -> str:
    """The file of the repository that a page's link means."""
    own = {target: source for source, target in PAGES.items()}.get(page, f"docs/{page}")
    return os.path.normpath(PurePosixPath(own).parent / link)


def _target(source: str) -> str:
    """Where the site has a file of the repository."""
    inside = source.removeprefix("docs/") if source.startswith("docs/") else f"files/{source}"
    return PAGES.get(source, inside)


def _in_site(link: str, page: str) -> str:
    source = _source(link, page)
    if (ROOT / source).is_dir():
        source = min(str(path.relative_to(ROOT)) for path in (ROOT / source).glob("*.md"))
    if (ROOT / source).exists():
        return os.path.relpath(_target(source), PurePosixPath(page).parent)
    return link
