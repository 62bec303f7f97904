"""The study's notebooks: made from their source, alike in both languages, and they run.

One run, in English on the scenes that the committed outputs come from, serves all tests; Russian is
the same code, so its committed figures must be the English ones.
"""

import ast
import re
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
RECIPE = runpy.run_path(str(ROOT / "recipes" / "notebook.py"))
NAMES: dict[str, str] = RECIPE["NAMES"]
build: Callable[[str], NotebookNode] = RECIPE["build"]
page: Callable[[NotebookNode, str], str] = RECIPE["page"]
DISCLAIMER = "This image is unavailable in your country in compliance with local laws"
BOXES = 13
"""Lines of the checklist."""
LARGEST = 2_000_000
"""Bytes of a committed notebook."""
FIRST_OF_NETWORKS = "image_vectors"
"""From this cell on, last digits depend on the processor."""


@dataclass(frozen=True)
class Run:
    """An executed notebook, and the folder that its outputs must not name."""

    notebook: NotebookNode
    language: str
    folder: Path

    def text(self, name: str) -> str:
        """All that a cell printed or showed, tags left out."""
        (cell,) = (cell for cell in self.notebook.cells if cell.id == name)
        return unescape(re.sub(r"<[^>]+>", " ", "\n".join(shown(cell))))

    def table(self, name: str) -> list[list[str]]:
        """The body of the last table that a cell showed."""
        (cell,) = (cell for cell in self.notebook.cells if cell.id == name)
        (*_, html) = [text for text in shown(cell) if "<table" in text]
        rows = re.findall(r"<tr>(.*?)</tr>", html.partition("<tbody>")[2], re.DOTALL)
        return [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in rows]


def shown(cell: NotebookNode) -> Iterator[str]:
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            yield output.text
        elif "data" in output:
            yield output.data.get("text/html") or output.data.get("image/svg+xml", "")


def run(language: str, folder: Path, environment: dict[str, str]) -> Run:
    notebook = build(language)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KADR_DATA", "KADR_ARCHIVE"):
            patch.delenv(name, raising=False)
        patch.setenv("KADR_CACHE", str(folder / "cache.sqlite"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        for name, value in environment.items():
            patch.setenv(name, value)
        return Run(RECIPE["execute"](notebook), language, folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """English, on the scenes that the notebook draws."""
    return run("en", tmp_path_factory.mktemp("notebook"), {})


def committed(language: str) -> NotebookNode:
    path = ROOT / "notebooks" / f"{NAMES[language]}.ipynb"
    kept: NotebookNode = nbformat.read(path, as_version=4)
    return kept


def kinds(notebook: NotebookNode) -> dict[str, list[list[str]]]:
    """What each cell showed, by its media types."""
    return {
        cell.id: [sorted(one.get("data", {"stream": ""})) for one in cell.get("outputs", ())]
        for cell in notebook.cells
    }


def figures(notebook: NotebookNode, language: str) -> dict[str, list[str]]:
    """All numbers that each cell showed in words, as English writes them; captions are left out."""
    comma = ("\N{NARROW NO-BREAK SPACE}", "") if language == "ru" else (",(?=[0-9]{3})", "")
    found = {}
    for cell in notebook.cells:
        html = re.sub(r"<svg.*?</svg>", "", "\n".join(tables(cell)), flags=re.DOTALL)
        text = re.sub(*comma, unescape(re.sub(r"<[^>]+>", " ", html)))
        if language == "ru":
            text = re.sub(r"(?<=[0-9]),(?=[0-9])", ".", text)
        found[cell.id] = re.findall(r"[0-9]+(?:\.[0-9]+)?", text)
    return found


def tables(cell: NotebookNode) -> Iterator[str]:
    yield from (text for text in shown(cell) if "<table" in text)


@pytest.mark.parametrize("language", NAMES)
def test_committed_notebook_is_the_generated_one(language: str) -> None:
    made, kept = build(language), committed(language)
    assert made.metadata == kept.metadata
    for ours, theirs in zip(made.cells, kept.cells, strict=True):
        assert (ours.id, ours.cell_type, ours.metadata, ours.source) == (
            theirs.id, theirs.cell_type, theirs.metadata, theirs.source,
        ), "run: python recipes/notebook.py"  # fmt: skip
    assert len({cell.id for cell in kept.cells}) == len(kept.cells)


@pytest.mark.parametrize("language", NAMES)
def test_committed_outputs_are_whole_small_and_name_no_machine(language: str) -> None:
    path = ROOT / "notebooks" / f"{NAMES[language]}.ipynb"
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    code = [cell for cell in committed(language).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data"}
    assert not any(output.get("name") == "stderr" for output in outputs)
    words = "\n".join(part for cell in code for part in shown(cell))
    words = re.sub(r"<svg.*?</svg>", "", words, flags=re.DOTALL)
    assert not re.search(r"/(tmp|home|root|usr|Users)/|[A-Z]:\\|\d{4}-\d\d-\d\d|\d\d:\d\d", words)


def test_committed_outputs_are_alike_in_both_languages() -> None:
    russian, english = committed("ru"), committed("en")
    assert kinds(russian) == kinds(english)
    for ours, theirs in zip(
        figures(russian, "ru").items(), figures(english, "en").items(), strict=True
    ):
        assert ours == theirs


def test_committed_outputs_are_what_a_run_gives(small: Run) -> None:
    kept = committed("en")
    assert kinds(kept) == kinds(small.notebook)
    for ours, theirs in zip(small.notebook.cells, kept.cells, strict=True):
        if ours.id == FIRST_OF_NETWORKS:
            break
        assert list(tables(ours)) == list(tables(theirs)), "run: python recipes/notebook.py"


def test_both_languages_have_the_same_cells_and_code() -> None:
    russian, english = build("ru").cells, build("en").cells
    for ours, theirs in zip(russian, english, strict=True):
        assert (ours.id, ours.cell_type, ours.metadata) == (
            theirs.id,
            theirs.cell_type,
            theirs.metadata,
        )
        if ours.cell_type == "code":
            assert wordless(ours.source) == wordless(theirs.source), ours.id


def wordless(code: str) -> str:
    """The code without its strings."""

    class Blank(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.Constant:
            return ast.Constant("") if isinstance(node.value, str) else node

    return ast.dump(Blank().visit(ast.parse(code)))


@pytest.mark.parametrize("language", NAMES)
def test_texts_are_in_one_language(language: str) -> None:
    for cell in build(language).cells:
        assert not re.search(r"\[\[[^\[\]]*\|", cell.source), cell.id
        assert "<!--" not in cell.source
        if cell.cell_type == "markdown":
            assert bool(re.search("[а-я]", cell.source)) == (language == "ru"), cell.id


@pytest.mark.parametrize("language", NAMES)
def test_headings_follow_the_brief(language: str) -> None:
    text = "\n".join(c.source for c in build(language).cells if c.cell_type == "markdown")
    assert re.findall(r"^## (\d)\. ", text, re.MULTILINE) == list("12345678")


def test_it_runs(small: Run) -> None:
    check(small)


def test_concatenation_finds_the_same_photo_for_every_query(small: Run) -> None:
    found = {name: int(photos) for name, _, photos in small.table("additive")}
    (additive,) = (name for name in found if "склейка" in name or "concatenation" in name)
    assert found.pop(additive) == 1 < max(found.values())


def test_page_holds_no_photo_and_no_path(small: Run) -> None:
    tagged = [c for c in small.notebook.cells if "photos" in c.metadata.get("tags", ())]
    for cell in tagged:
        assert any("image/jpeg" in output.get("data", {}) for output in cell.outputs), cell.id
    html = page(small.notebook, small.language)
    assert html.count('class="photos"') == len(tagged) >= 4
    assert "<image" not in html
    assert "data:image" not in html
    assert str(small.folder) not in html
    text = unescape(re.sub(r"<[^>]+>", "", html))
    assert all(c.source in text for c in small.notebook.cells if c.cell_type == "code")
    assert len(html) < LARGEST
    with_photos = RECIPE["page"](small.notebook, small.language, photos=True)
    assert with_photos.count("data:image/jpeg") >= len(tagged)
    assert "ten_queries" in {cell.id for cell in tagged}
    assert str(small.folder) not in with_photos


def check(found: Run) -> None:
    """What holds after a run on any archive; `make docs` makes one on the real one."""
    for cell in found.notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error", cell.id
            assert output.get("name") != "stderr", (cell.id, output.text)
    assert found.text("refused").strip() == DISCLAIMER
    assert DISCLAIMER in found.text("balance")
    boxes = found.table("checklist")
    assert len(boxes) == BOXES
    assert all(cell.strip() for row in boxes for cell in row)
    code = [cell.id for cell in found.notebook.cells if cell.cell_type == "code"]
    assert boxes[0][1].endswith(f": {code.index('checklist') + 1}")
