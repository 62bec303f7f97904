"""The study's notebooks: made from their source, alike in both languages, and they run."""

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

from kadr.data import drawn as scenes

ROOT = Path(__file__).parents[1]
RECIPE = runpy.run_path(str(ROOT / "recipes" / "notebook.py"))
NAMES: dict[str, str] = RECIPE["NAMES"]
build: Callable[[str], NotebookNode] = RECIPE["build"]
page: Callable[[NotebookNode, str], str] = RECIPE["page"]
DISCLAIMER = "This image is unavailable in your country in compliance with local laws"
BOXES = 13
"""Lines of the checklist."""


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


@pytest.fixture(scope="module", params=["ru", "en"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Russian on the archive that the notebook draws, English on one that is named."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "ru":
        return run("ru", folder, {})
    scenes.generate(folder / "archive", images=30, seed=1)
    return run("en", folder, {"KADR_ARCHIVE": str(folder / "archive")})


@pytest.mark.parametrize("language", NAMES)
def test_committed_notebook_is_the_generated_one(language: str) -> None:
    path = ROOT / "notebooks" / f"{NAMES[language]}.ipynb"
    made = nbformat.writes(build(language)) + "\n"
    assert path.read_text(encoding="utf-8") == made, "run: python recipes/notebook.py"
    cells = build(language).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert len({cell.id for cell in cells}) == len(cells)


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
    assert any("<image" in text for cell in tagged for text in shown(cell))
    html = page(small.notebook, small.language)
    assert html.count('class="photos"') == len(tagged) >= 4
    assert "<image" not in html
    assert "data:image" not in html
    assert str(small.folder) not in html
    text = unescape(re.sub(r"<[^>]+>", "", html))
    assert all(c.source in text for c in small.notebook.cells if c.cell_type == "code")
    assert len(html) < 1_500_000


@pytest.mark.archive
def test_it_runs_on_the_real_archive(
    archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.getbasetemp() / "archive.sqlite"
    environment = {"KADR_DATA": str(archive.parent), "KADR_CACHE": str(cache)}
    found = run("ru", tmp_path_factory.mktemp("real"), environment)
    check(found)
    assert all(row[2] == "✓" for row in found.table("checklist"))
    assert str(archive.parent) not in page(found.notebook, "ru")


def check(found: Run) -> None:
    """What holds after a run on any archive."""
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
