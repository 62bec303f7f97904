"""What the documents say is so: commands run, examples run, links lead somewhere."""

import csv
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

import kadr
from archives import write_archive
from documents import blocks, examples
from forks import run_kadr
from services import serving

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
README_RU = ROOT / "README.ru.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")}) + sorted(
    ROOT.glob("src/kadr/models/*/CARD.md")
)
READ_IN_TURN = (README, ROOT / "docs" / "search.md", ROOT / "docs" / "study.md")
"""Their commands run in this order, in one folder: a later one uses what an earlier one made."""
SEARCHES = ("kadr search ", "kadr similar ", "kadr duplicates")
"""As grep, they exit with 1 where nothing matches; the tiny photos of one colour match little."""
NOT_RUN = ("make ", "pip ", "kadr data fetch ", "kadr serve")
"""They install, need a network, or don't end. Where `fetch` would put the archive, a tiny one stands."""


def run(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "KADR_CACHE": str(folder / "cache.sqlite"),
        "KADR_LIBRARY": str(folder / "library.kadr"),
        "PYTHONUTF8": "1",
        "OPENBLAS_NUM_THREADS": "1",  # tiny matrices: threads only wait for one another
    }
    if arguments[:2] == ["-m", "kadr.cli.main"]:
        return run_kadr(arguments[2:], environment, folder)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what README's reader has: photos, pairs.csv, archive."""
    folder = tmp_path_factory.mktemp("reader")
    (pairs,) = blocks(README, "csv")
    (folder / "pairs.csv").write_text(pairs, encoding="utf-8")
    (folder / "photos").mkdir()
    for number, row in enumerate(csv.DictReader(io.StringIO(pairs))):
        Image.new("RGB", (64, 48), (40 * number, 90, 160)).save(folder / "photos" / row["image"])
    write_archive(folder / "archive", images=24)
    return folder


def test_commands_of_readme_and_its_pages_run(workspace: Path) -> None:
    shown = {pair: None for page in READ_IN_TURN for pair in examples(page)}
    commands = [pair for pair in shown if not pair[0].startswith(NOT_RUN)]
    assert len(commands) >= 22
    for command, output in commands:
        program, *arguments = shlex.split(command)
        assert program == "kadr", command
        done = run(["-m", "kadr.cli.main", *arguments], workspace)
        codes = {0, 1} if command.startswith(SEARCHES) else {0}
        assert done.returncode in codes, f"{command}\n{done.stdout}{done.stderr}"
        if output:
            assert done.stdout == output, command


def test_python_of_readme_runs(workspace: Path) -> None:
    assert blocks(README, "python")
    for block in {block for page in READ_IN_TURN for block in blocks(page, "python")}:
        done = run(["-W", "error", "-c", block], workspace)
        assert done.returncode == 0, done.stderr
        assert re.search(r"photos|\[0\.[0-9]", done.stdout)


def test_python_of_the_services_page_runs(workspace: Path, tmp_path: Path) -> None:
    (code,) = blocks(ROOT / "docs" / "service.md", "python")
    library = tmp_path / "library.kadr"
    photos = [str(workspace / "photos"), "--library", str(library)]
    assert run(["-m", "kadr.cli.main", "index", *photos], workspace).returncode == 0
    with serving(library, "--policy", "none") as service:
        code = code.replace("http://127.0.0.1:8427", service.address)
        done = run(["-W", "error", "-c", code], workspace)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-2].endswith("%  a dog on the beach")
    assert len(lines) >= 4


def test_contributors_encoder_is_found_and_encodes(tmp_path: Path) -> None:
    code, _ = blocks(CONTRIBUTING, "python")
    entry, _ = blocks(CONTRIBUTING, "toml")
    (tmp_path / "brightness.py").write_text(code, encoding="utf-8")
    write_entry_points(tmp_path, tomllib.loads(entry)["project"]["entry-points"])
    use = """
import sys; sys.path.insert(0, ".")
import numpy as np
from PIL import Image
from kadr.encoders import load_image_encoder
encoder = load_image_encoder("brightness")
photo = encoder.prepare(Image.new("RGB", (64, 48), (255, 0, 0)))
vectors = encoder.encode([photo, photo])
assert vectors.dtype == np.float32 and vectors.shape == (2, encoder.dim), vectors
assert vectors[0].tolist() == [1, 0, 0] * 4, vectors
assert encoder.encode([]).shape == (0, encoder.dim)
"""
    done = run(["-W", "error", "-c", use], tmp_path)
    assert done.returncode == 0, done.stderr


def write_entry_points(folder: Path, groups: dict[str, dict[str, str]]) -> None:
    """What pip would install beside a package that names these entry points."""
    info = folder / "brightness-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brightness\nVersion: 1.0\n")
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_contributors_command_runs(workspace: Path, tmp_path: Path) -> None:
    _, code = blocks(CONTRIBUTING, "python")
    (tmp_path / "command.py").write_text(
        f"from kadr.cli import library\nexec({code!r}, vars(library))\n"
        "from kadr.cli.main import main\nmain()\n"
    )
    place = ["--library", str(tmp_path / "library.kadr")]
    photos = workspace / "photos"
    assert run(["-m", "kadr.cli.main", "index", str(photos), *place], tmp_path).returncode == 0
    done = run(["command.py", "library", "folders", *place], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{photos.resolve()}\n"


def test_contributors_policy_holds(workspace: Path, tmp_path: Path) -> None:
    _, rules = blocks(CONTRIBUTING, "toml")
    (tmp_path / "rules.toml").write_text(rules, encoding="utf-8")
    strict, open_, unnamed = (
        kadr.load_policy(str(tmp_path / "rules.toml"), country) for country in ("DE", "US", "FR")
    )
    assert (strict.age, strict.review, strict.hides_children) == (16, 0.1, True)
    assert not open_.hides_children
    assert unnamed == strict
    ((command, output),) = examples(CONTRIBUTING)
    photos = str(workspace / "photos")
    assert run(["-m", "kadr.cli.main", "index", photos], tmp_path).returncode == 0
    done = run(["-m", "kadr.cli.main", *shlex.split(command)[1:]], tmp_path)
    assert (done.returncode, done.stdout) == (1, output), done.stderr


def test_glossary_is_short_and_defines_a_term_once() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \|", page, re.MULTILINE)[1:]
    terms = [term for row in rows for term in row.split(", ")]
    assert 0 < len(terms) <= 40
    assert len(set(terms)) == len(terms)


def test_flow_of_package_docstring_runs(workspace: Path) -> None:
    lines = re.findall(r"^    (\w.*)$", kadr.__doc__ or "", re.MULTILINE)
    assert len(lines) == 9
    head = ["from pathlib import Path", "from kadr import *"]
    flow = "\n".join([*head, *lines, "cache.close()", "assert answer.hits and figures"])
    quick = flow.replace("cache, policy=policy)", "cache, policy=policy, cross_validate=False)")
    assert quick != flow
    done = run(["-c", quick], workspace)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", READ_IN_TURN, ids=lambda page: page.stem)
@pytest.mark.parametrize("language", ["console", "python", "csv"])
def test_russian_page_has_the_same_examples(page: Path, language: str) -> None:
    assert blocks(page.with_suffix(".ru.md"), language) == blocks(page, language)


@pytest.mark.parametrize("page", [README, README_RU], ids=lambda page: page.name)
def test_readme_is_read_in_one_sitting(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert "make demo" in text
    assert "make test" in text


def test_man_pages_are_those_of_the_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    made = runpy.run_path(str(ROOT / "recipes" / "man_pages.py"))["pages"]()
    there = {path.name: path.read_text("utf-8") for path in (ROOT / "man").iterdir()}
    assert there == made, "run: python recipes/man_pages.py"
    assert len(made) > 20


def test_man_pages_are_read_without_a_warning() -> None:
    if not (shutil.which("man") and shutil.which("groff")):
        pytest.skip("man and groff aren't here")
    for path in sorted((ROOT / "man").iterdir()):
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(path)],
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == "", path
        assert len(done.stdout) > 500


def test_cli_page_is_that_of_the_cli() -> None:
    made = runpy.run_path(str(ROOT / "recipes" / "cli_page.py"))["page"]()
    shown = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert shown == made, "run: python recipes/cli_page.py"


def test_rest_page_is_that_of_the_service() -> None:
    made = runpy.run_path(str(ROOT / "recipes" / "rest_page.py"))["page"]()
    shown = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
    assert shown == made, "run: python recipes/rest_page.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if link.startswith(("https://", "mailto:")):
            continue
        target, _, heading = link.partition("#")
        place = page.parent / target if target else page
        assert place.exists(), link
        if heading:
            assert heading in headings(place), link


def headings(page: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_architecture_shows_the_layers_that_are_enforced() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    assert blocks(ROOT / "docs" / "architecture.md", "layers") == ["\n".join(layers) + "\n"]


def test_architecture_names_every_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    source = ROOT / "src" / "kadr"
    there = {
        path.stem
        for path in source.iterdir()
        if (path.suffix == ".py" or path.is_dir()) and not path.name.startswith("_")
    }
    assert named == there


def test_importing_kadr_is_cheap() -> None:
    heavy = "{'numpy', 'PIL', 'sklearn', 'scipy', 'typer', 'onnxruntime'}"
    code = f"import sys, kadr; found = {heavy} & set(sys.modules); assert not found, found"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_resolve_and_shadow_no_module() -> None:
    assert len(kadr.__all__) <= 9
    source = ROOT / "src" / "kadr"
    for name in kadr.__all__:
        assert callable(getattr(kadr, name))
        assert name in dir(kadr)
        assert not (source / f"{name}.py").exists()
        assert not (source / name).exists()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kadr.nothing


def test_the_site_names_every_page() -> None:
    pages = [str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")]
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in ROOT.glob("src/kadr/*/__init__.py")]
    expected = [*pages, *(f"reference/{room}.md" for room in rooms)]
    assert [page for page in expected if page not in site] == []
