"""Writes the study's notebooks from one bilingual source, or pages of them on a real archive.

Usage: python recipes/notebook.py                           notebooks/poisk.ipynb, search.ipynb
       python recipes/notebook.py --render ARCHIVE --out DIR        DIR/poisk.html, DIR/search.html

The source is notebooks/study.md. A text stands there twice, after `<!-- ru -->` and `<!-- en -->`;
a cell of code stands there once, as a fence ```` ```python NAME TAGS ````, and writes a string of
both languages as [[по-русски|in English]]. Cell ids come from the names, so a diff shows what
changed. The notebooks are kept with their outputs on drawn scenes, without times, machine paths or
versions, so that the same code and libraries write the same bytes. `make docs` renders the pages
where KADR_DATA is set; `--without-photos` makes those that may be published.

Expect four minutes a page on 2 cores and the real archive; a minute less where KADR_CACHE names a
cache that already holds its vectors.
"""

import argparse
import copy
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template
from typing import Literal, TypeAlias, get_args

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode, v4
from pygments.formatters import HtmlFormatter

Language: TypeAlias = Literal["ru", "en"]

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "notebooks" / "study.md"
NAMES: dict[Language, str] = {"ru": "poisk", "en": "search"}
PHOTOS = "photos"
"""The tag of cells that show photos."""

HIDDEN: dict[Language, str] = {
    "ru": "Здесь тетрадь показывает фотографии архива. Публиковать их мы не вправе; запустите "
    "тетрадь у себя, чтобы их увидеть.",
    "en": "Here the notebook shows photos of the archive. They aren't ours to publish; run the "
    "notebook to see them.",
}
MADE: dict[Language, str] = {
    "ru": "Страница сделана из тетради notebooks/poisk.ipynb командой "
    "<code>python recipes/notebook.py --render ARCHIVE</code>.",
    "en": "Made from notebooks/search.ipynb by "
    "<code>python recipes/notebook.py --render ARCHIVE</code>.",
}
TIMEOUT = 600
"""Seconds that one cell may take: the slowest takes about one minute, more on a busy machine."""

_CELL = re.compile(r"^```python ([\w-]+)((?: [\w-]+)*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r"<!-- ru -->\n(?P<ru>.*?)<!-- en -->\n(?P<en>.*)", re.DOTALL)
_CHOICE = re.compile(r"\[\[(?P<ru>[^\[\]|]*)\|(?P<en>[^\[\]]*)\]\]")

_PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<main>
$body
<p class="made">$made</p>
</main>
</body>
</html>
""")
_STYLE = """
body { margin: 0; background: #fff; color: #1a202c; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1, h2, h3 { line-height: 1.25; margin: 2em 0 .6em; }
h1 { margin-top: 1em; }
h2 { padding-top: .8em; border-top: 1px solid #e2e8f0; }
a { color: #2b6cb0; }
.anchor-link, .jp-InputPrompt, .jp-OutputPrompt, .prompt { display: none; }
pre { margin: 0; overflow-x: auto; font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap; }
.highlight { background: #f7fafc; border: 1px solid #edf2f7; border-radius: 4px; }
.highlight pre { padding: .7em 1em; }
p code, li code { background: #f7fafc; padding: .1em .3em; border-radius: 3px; font-size: .9em; }
table { border-collapse: collapse; margin: .9em 0; font-size: .9rem; display: block;
  overflow-x: auto; font-variant-numeric: tabular-nums; }
th, td { padding: .3em .8em; text-align: left; border-bottom: 1px solid #e2e8f0;
  vertical-align: top; }
th { color: #4a5568; font-weight: 600; }
tbody tr:last-child td { border-bottom: 0; }
figure { margin: .9em 0; }
svg, img { max-width: 100%; height: auto; }
figcaption { color: #4a5568; font-size: .9rem; }
.photos, .made { color: #4a5568; font-style: italic; }
"""


def build(language: Language) -> NotebookNode:
    """The notebook in one language, without outputs."""
    cells = list(_cells(SOURCE.read_text(encoding="utf-8"), language))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook = _formatted(v4.new_notebook(cells=cells, metadata=metadata))
    nbformat.validate(notebook)
    return notebook


def execute(notebook: NotebookNode, timeout: int = TIMEOUT) -> NotebookNode:
    """Run the notebook from top to bottom; its cells get their outputs, and nothing else is left.

    Raises:
        CellExecutionError: a cell failed.
    """
    metadata = copy.deepcopy(notebook.metadata)
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False)
    client.execute()
    notebook.metadata = metadata  # without the version of Python
    return notebook


def drawn(language: Language) -> NotebookNode:
    """The notebook with its outputs on drawn scenes."""
    named = ("KADR_ARCHIVE", "KADR_DATA")
    kept = {name: os.environ.pop(name) for name in named if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        kept["KADR_CACHE"] = os.environ.get("KADR_CACHE", "")
        os.environ["KADR_CACHE"] = str(Path(folder, "cache.sqlite"))
        try:
            return execute(build(language))
        finally:
            del os.environ["KADR_CACHE"]
            os.environ.update({name: value for name, value in kept.items() if value})


def page(notebook: NotebookNode, language: Language, *, photos: bool = False) -> str:
    """An executed notebook as one HTML page that needs nothing else; with photos only if asked."""
    shown = copy.deepcopy(notebook)
    heading = ""
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            heading = [heading, *re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE)][-1]
        if not photos and PHOTOS in cell.metadata.get("tags", ()):
            cell.outputs = [_html(f'<p class="photos">{escape(HIDDEN[language])}</p>')]
        for place, output in enumerate(cell.get("outputs", ())):
            if svg := output.get("data", {}).get("image/svg+xml"):
                cell.outputs[place] = _html(_figure(svg, heading))
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(shown)
    title = re.search(r"^# (.+)$", shown.cells[0].source, re.MULTILINE)
    assert title, "the first cell opens with a heading"
    return _PAGE.substitute(
        language=language,
        title=escape(title[1]),
        style=_STYLE + HtmlFormatter().get_style_defs(".highlight"),
        body=body,
        made=MADE[language],
    )


def _html(text: str) -> NotebookNode:
    output: NotebookNode = v4.new_output("display_data", {"text/html": text})
    return output


def _figure(svg: str, heading: str) -> str:
    """A plot within the page, so that it takes the page's font, without its file's prologue."""
    bare = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    return f'<figure role="img" aria-label="{escape(heading)}">{bare}</figure>'


def main() -> None:
    """Write the notebooks, or the pages where an archive is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", type=Path, metavar="ARCHIVE", help="write pages instead")
    parser.add_argument("--out", type=Path, default=ROOT / "site" / "notebooks", metavar="DIR")
    parser.add_argument("--without-photos", action="store_true")
    chosen = parser.parse_args()
    for language in get_args(Language):
        if chosen.render is None:
            path = ROOT / "notebooks" / f"{NAMES[language]}.ipynb"
            nbformat.write(drawn(language), path)
        else:
            os.environ["KADR_ARCHIVE"] = str(chosen.render.resolve())
            path = chosen.out / f"{NAMES[language]}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            html = page(execute(build(language)), language, photos=not chosen.without_photos)
            path.write_text(html, encoding="utf-8")
        print(path)


def _formatted(notebook: NotebookNode) -> NotebookNode:
    """The same notebook as `make check` wants it: a line's width depends on the language."""
    settings = ("--config", "format.skip-magic-trailing-comma=true")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", *settings, "--stdin-filename", "study.ipynb", "-"],
        input=nbformat.writes(notebook),
        capture_output=True,
        check=True,
        cwd=ROOT,
        encoding="utf-8",
    )
    formatted: NotebookNode = nbformat.reads(done.stdout, as_version=4)
    return formatted


def _cells(source: str, language: Language) -> Iterator[NotebookNode]:
    """Texts and code in order; a text's id comes from the code below it."""
    end = 0
    for match in _CELL.finditer(source):
        name, tags, code = match.groups()
        yield from _text(f"{name}-text", source[end : match.start()], language)
        metadata = {"tags": tags.split()} if tags else {}
        code = _CHOICE.sub(lambda found: found[language], code).rstrip()
        yield v4.new_code_cell(code, id=name, metadata=metadata)
        end = match.end()
    yield from _text("end-text", source[end:], language)


def _text(name: str, source: str, language: Language) -> Iterator[NotebookNode]:
    if not source.strip():
        return
    match = _TEXT.search(source)
    if match is None:
        raise ValueError(f"{SOURCE}: no <!-- ru --> and <!-- en --> in {source.strip()[:80]!r}")
    yield v4.new_markdown_cell(match[language].strip(), id=name)


if __name__ == "__main__":
    main()
