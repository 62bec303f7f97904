"""The real command line in a process of its own, as a person or a script runs it."""

import csv
import importlib.util
import io
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from typer.core import TyperGroup
from typer.main import get_command

from archives import write_archive
from kadr.cli.main import COMMANDS, app
from shell import DISCLAIMER, FAKES, RUN, Result, Shell, one_line


@pytest.fixture(scope="session")
def kadr(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def drawn(kadr: Shell) -> Path:
    folder = kadr.home / "drawn"
    kadr("data", "generate", folder, "--images", "60", "--seed", "3")
    return folder


@pytest.fixture(scope="session")
def model(kadr: Shell, drawn: Path) -> Path:
    folder = kadr.home / "model"
    kadr("train", drawn, "--out", folder, *FAKES)
    return folder


@pytest.fixture
def photos(drawn: Path, tmp_path: Path) -> Path:
    return shutil.copytree(drawn / "test_images", tmp_path / "photos")


# Help


@pytest.mark.parametrize(
    ("command", "taught"),
    [
        ("", ["--version", "index", "search", "similar", "duplicates", "library", "data", "train",
              "evaluate", "compare", "score", "demo", "Begin with: kadr index FOLDER"]),
        ("data", ["fetch", "check", "judges", "generate"]),
        ("data fetch", ["--url", "goes on where it stopped"]),
        ("data check", ["--json", "--max-broken", "--show"]),
        ("data judges", ["--json", "--max-broken", "crowd-kit"]),
        ("data generate", ["--images", "--seed", "300"]),
        ("train", ["--out", "--image-encoder", "--text-encoder", "--features", "aligned|concat",
                   "--classifier", "--experts", "--expert-weight", "0.6", "--policy", "under-16",
                   "--test-share", "--seed", "--cache", "--json"]),
        ("evaluate", ["--model", "--json", "--report", "--language", "--policy", "--seed",
                      "--no-cross-validate", "--cache", "--comparison"]),
        ("compare", ["--out", "--image-encoder", "--judges", "--jobs", "--no-search", "Exits 1"]),
        ("score", ["--images", "--out", "--model", "--cache", "--json", "image and text"]),
        ("index", ["--library", "--prune", "--retry", "--reencode", "--watch", "--json", "Ctrl-C",
                   "KADR_LIBRARY"]),
        ("search", ["kadr search a dog runs on the beach", "--after 2023 --in ~/Photos",
                    '"dog on grass" + 0.5:./mydog.jpg - leash', "xargs -0", "--queries", "--limit",
                    "-n", "--page", "--at-least", "--before", "--camera", "--near", "55.75,37.62,5",
                    "--kind", "--min-size", "--explain", "--sheet", "--preview", "--open",
                    "--copy-to", "--paths0", "--model", "--policy", "--language", "--json",
                    "--library", "Exits 1"]),
        ("similar", ["--limit", "--page", "--in", "--paths0", "Exits 1"]),
        ("duplicates", ["--paths0", "--json", "Nothing is deleted", "Exits 1"]),
        ("library", ["problems", "remove", "verify", "--library"]),
        ("library remove", ["No photo is touched"]),
        ("library verify", ["digest", "Exits 1"]),
        ("demo", ["--out", "--offline", "--images", "--no-serve"]),
        ("serve", ["127.0.0.1", "--browse", "--anonymous", "--uploads", "--country-header", "Ctrl-C",
                   "openapi.json"]),
        ("keys", ["add", "list", "remove", "review decides"]),
    ],
)  # fmt: skip
def test_help_teaches(kadr: Shell, command: str, taught: list[str]) -> None:
    shown = kadr(*command.split(), "--help").stdout
    assert [word for word in taught if word not in shown] == []


def test_version(kadr: Shell) -> None:
    from importlib.metadata import version

    assert kadr("--version").stdout == f"kadr {version('kadr')}\n"


# data check


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def edit_row(path: Path, row: int, change: Callable[[str], str]) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[row - 1] = change(lines[row - 1])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def cell(column: int, text: str) -> Callable[[str], str]:
    """A change of one cell of a row that tabs separate."""

    def change(line: str) -> str:
        cells = line.split("\t")
        return "\t".join([*cells[:column], text, *cells[column + 1 :]])

    return change


def test_check_of_a_good_archive(kadr: Shell, tmp_path: Path) -> None:
    folder = write_archive(tmp_path / "archive")
    result = kadr("data", "check", folder)
    assert result.stderr == ""
    assert "images" in result.stdout
    found = json.loads(kadr("data", "check", folder, "--json").stdout)
    assert found["problems"] == []
    assert found["summary"]["images"] == 12
    assert found["summary"]["duplicate_photos"] == []


def test_check_names_row_and_column_of_everything(kadr: Shell, tmp_path: Path) -> None:
    folder = write_archive(tmp_path / "archive", images=16)
    experts, crowd = folder / "ExpertAnnotations.tsv", folder / "CrowdAnnotations.tsv"
    edit_row(experts, 2, lambda line: line + "\t4")
    edit_row(experts, 3, cell(4, "5"))
    edit_row(experts, 5, cell(1, "no id"))
    edit_row(experts, 6, cell(0, "nowhere.jpg"))
    edit(experts, lambda text: text + text.splitlines()[0] + "\n")
    edit_row(crowd, 4, cell(2, "0.123"))
    edit_row(crowd, 7, cell(3, "many"))
    edit_row(folder / "train_dataset.csv", 3, lambda line: line.rsplit(",", 1)[0] + ',"   "')
    victim = sorted((folder / "test_images").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-200])
    last = len(experts.read_text().splitlines())
    expected = (
        "ExpertAnnotations.tsv, row 2: 6 columns, expected",
        "ExpertAnnotations.tsv, row 3, grade 3: '5' is no grade",
        "ExpertAnnotations.tsv, row 5, query_id: 'no id' is no query id",
        "ExpertAnnotations.tsv, row 6, image: no usable photo train_images/'nowhere.jpg'",
        f"ExpertAnnotations.tsv, row {last}: judges or names again what row 1 does",
        "CrowdAnnotations.tsv, row 4, share: '0.123' isn't the share of",
        "CrowdAnnotations.tsv, row 7, yes: 'many' is no count",
        "train_dataset.csv, row 3, query_text: empty",
        f"test_images/{victim.name}: can't be read",
    )
    result = kadr("data", "check", folder, "--max-broken", "1", code=1)
    missed = [text for text in expected if text not in result.stderr]
    assert missed == [], result.stderr
    shown = kadr("data", "check", folder, "--max-broken", "1", "--show", "2", code=1).stderr
    assert len(shown.splitlines()) == 3
    assert "more (--show, --json)" in shown


def test_check_refuses_an_archive_that_is_too_broken(kadr: Shell, tmp_path: Path) -> None:
    folder = write_archive(tmp_path / "archive")
    edit_row(folder / "ExpertAnnotations.tsv", 3, cell(3, "0"))
    line = one_line(kadr("data", "check", folder, code=2))
    assert "ExpertAnnotations.tsv, row 3, grade 2: '0' is no grade" in line


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ExpertAnnotations.tsv", b"", "ExpertAnnotations.tsv is empty"),
        ("train_dataset.csv", b"image,query_id\n", "the header must name query_text"),
        ("test_queries.csv", "|query_id".encode("utf-16"), "the header must name query_text"),
        ("CrowdAnnotations.tsv", None, "lacks CrowdAnnotations.tsv"),
    ],
)
def test_check_refuses_a_broken_file(
    kadr: Shell, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    path = write_archive(tmp_path / "archive") / name
    path.unlink() if content is None else path.write_bytes(content)
    assert said in one_line(kadr("data", "check", path.parent, code=2))


def test_check_accepts_byte_order_marks_and_windows_lines(kadr: Shell, tmp_path: Path) -> None:
    folder = write_archive(tmp_path / "archive")
    before = kadr("data", "check", folder).stdout
    for path in (*folder.glob("*.csv"), *folder.glob("*.tsv")):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert kadr("data", "check", folder).stdout == before


def test_missing_folder_is_said_with_what_to_do(kadr: Shell) -> None:
    for command in (["data", "check"], ["train", "--out", "x"], ["evaluate"]):
        assert "kadr data fetch" in one_line(kadr(*command, "nowhere", code=2))


# data judges


@pytest.mark.parametrize("sort", [False, True], ids=["people", "sorted columns"])
def test_judges_print_and_give_the_same_figures(kadr: Shell, tmp_path: Path, sort: bool) -> None:
    folder = write_archive(tmp_path / "archive", images=24)
    if sort:
        experts = folder / "ExpertAnnotations.tsv"
        rows = [line.split("\t") for line in experts.read_text().splitlines()]
        experts.write_text("".join("\t".join([*r[:2], *sorted(r[2:])]) + "\n" for r in rows))
    result = kadr("data", "judges", folder)
    assert result.stderr == ""
    found = json.loads(kadr("data", "judges", folder, "--json").stdout)
    assert found["agreement"]["columns_sorted"] is sort
    assert ("They are no persons" in result.stdout) is sort
    shown = " ".join(result.stdout.split())
    auc = found["crowd_auc"]
    for text in (
        f"by experts {found['expert_pairs']}",
        f"by the crowd {found['crowd_pairs']}",
        f"without a label {found['coverage']['left_out']}",
        f"alpha {found['agreement']['alpha']:.3f}",
        f"rho {found['crowd']['spearman']:.3f}",
        f"median >= 3 {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]",
        *(
            f"expert {item['rater']} {item['roc_auc']['value']:.3f}"
            for item in found["expert_aucs"]
        ),
        *(
            f"grade {g['grade']:g} {g['share']:.3f} {g['pairs']}"
            for g in found["crowd"]["by_grade"]
        ),
    ):
        assert text in shown
    if importlib.util.find_spec("crowdkit") is None:
        assert found["confusions"] is None
        assert 'pip install "kadr[research]"' in result.stdout
    else:
        assert [confusion["rater"] for confusion in found["confusions"]] == ["1", "2", "3"]
        for confusion in found["confusions"]:
            for true, row in enumerate(confusion["matrix"], start=1):
                assert f"{true} " + " ".join(f"{share:.3f}" for share in row) in shown


@pytest.mark.archive
def test_judges_of_the_real_archive(kadr: Shell, archive: Path) -> None:
    found = json.loads(kadr("data", "judges", archive, "--json").stdout)
    assert (found["expert_pairs"], found["crowd_pairs"]) == (5822, 47_830)
    assert found["crowd_auc"]["value"] == pytest.approx(0.855, abs=5e-4)
    assert [item["matches"] for item in found["expert_aucs"]] == [833, 624, 596]
    assert any("no persons" in notice for notice in found["notices"])


# The flow


def test_generate_refuses_a_full_folder(kadr: Shell, drawn: Path) -> None:
    assert "isn't empty" in one_line(kadr("data", "generate", drawn, code=2))


def test_train_prints_what_it_did(kadr: Shell, drawn: Path, tmp_path: Path) -> None:
    text = kadr("train", drawn, "--out", tmp_path / "text", *FAKES).stdout
    assert "Law (under-16)" in text
    assert "Held out: ROC-AUC" in text
    shown = kadr("train", drawn, "--out", tmp_path / "json", *FAKES, "--json").stdout
    found = json.loads(shown)
    assert found["law"]["images_removed"] > 0
    assert 0 <= found["metrics"]["roc_auc"] <= 1
    assert f"Trained on {found['pairs']} pairs" in text


def test_evaluate_prints_writes_and_reports(
    kadr: Shell, drawn: Path, model: Path, tmp_path: Path
) -> None:
    options = (drawn, "--model", model, "--no-cross-validate")
    figures, report = tmp_path / "new" / "figures.json", tmp_path / "report.html"
    result = kadr("evaluate", *options, "--json", figures, "--report", report)
    assert "image-disjoint" in result.stdout
    assert "recall@10" in result.stdout
    assert str(report) in result.stderr
    assert report.read_text(encoding="utf-8").startswith("<!")
    written = json.loads(figures.read_text(encoding="utf-8"))
    assert json.loads(kadr("evaluate", *options, "--json", "-").stdout) == written
    assert written["retrieval"][0]["queries"] == 30
    assert {"roc", "scores_by_grade"}.isdisjoint(written)


@pytest.fixture(scope="module")
def compared(kadr: Shell, drawn: Path) -> tuple[Path, Result]:
    """Give the folder of a small comparison, in which one encoder doesn't exist; what was said."""
    folder = kadr.home / "compared"
    choices = ("--features", "aligned", "--classifier", "logistic", "--no-search")
    encoders = (*FAKES, "--text-encoder", "tfidf", "--text-encoder", "magic")
    return folder, kadr("compare", drawn, "--out", folder, *encoders, *choices, code=1)


def test_compare_prints_and_writes_the_table(compared: tuple[Path, Result]) -> None:
    folder, result = compared
    assert re.search(r"^1 .* \[0\.\d+, \d\.\d+\]", result.stdout, re.MULTILINE)
    assert "The highest ROC AUC" in result.stdout
    assert "comparison.csv, comparison.md, comparison.html" in result.stderr
    assert "kadr: colours · magic" in result.stderr
    with (folder / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    standings = [row["standing"] for row in rows]
    assert standings[0] == "best"
    assert standings[2:] == ["baseline", "baseline", "failed"]
    assert {row["text_encoder"] for row in rows[:2]} == {"words", "tfidf"}


def test_compare_prints_complete_json(
    kadr: Shell, drawn: Path, compared: tuple[Path, Result]
) -> None:
    options = ("--features", "aligned", "--classifier", "logistic", "--no-search", "--json")
    result = kadr("compare", drawn, "--out", compared[0], *FAKES, *options, "--language", "ru")

    def no_constant(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(result.stdout, parse_constant=no_constant)
    (row,) = found["rows"]
    assert row["config"]["text_encoder"] == "words"
    assert {"value", "low", "high"} == set(row["seen"]["roc_auc"])
    assert [one["name"] for one in found["baselines"]] == ["constant", "random"]
    assert found["failed"] == {}
    assert 'lang="ru"' in (compared[0] / "comparison.html").read_text(encoding="utf-8")


def test_report_shows_the_comparison(
    kadr: Shell, drawn: Path, model: Path, compared: tuple[Path, Result], tmp_path: Path
) -> None:
    def evaluate(*options: str | Path, code: int = 0) -> Result:
        usual = (drawn, "--model", model, "--no-cross-validate")
        return kadr("evaluate", *usual, *options, code=code)

    beside = compared[0] / "report.html"
    said = evaluate("--report", beside).stderr
    assert "shows the comparison in" in said
    assert 'id="comparison"' in beside.read_text(encoding="utf-8")
    named = tmp_path / "report.html"
    assert "comparison" not in evaluate("--report", named).stderr
    assert 'id="comparison"' not in named.read_text(encoding="utf-8")
    evaluate("--report", named, "--comparison", compared[0])
    assert 'id="comparison"' in named.read_text(encoding="utf-8")
    # A broken one is fatal only where somebody asked for it.
    (tmp_path / "comparison.json").write_text('{"rows": [{}]}', encoding="utf-8")
    assert "without a comparison" in evaluate("--report", named).stderr.splitlines()[0]
    assert 'id="comparison"' not in named.read_text(encoding="utf-8")
    broken = evaluate("--report", named, "--comparison", tmp_path, code=2)
    assert "comparison.json: can't be read" in one_line(broken)
    assert "Make one with kadr compare" in one_line(
        evaluate("--report", named, "--comparison", tmp_path / "none", code=2)
    )
    assert "--report" in one_line(evaluate("--comparison", compared[0], code=2))


def test_evaluate_refuses_a_matcher_that_saw_everything(
    kadr: Shell, drawn: Path, tmp_path: Path
) -> None:
    every = tmp_path / "every"
    kadr("train", drawn, "--out", every, *FAKES, "--test-share", "0")
    assert "--test-share" in one_line(kadr("evaluate", drawn, "--model", every, code=2))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--expert-weight", "1.5"), "--expert-weight"),
        (("--test-share", "1"), "--test-share"),
        (("--classifier", "magic"), "magic"),
        (("--image-encoder", "magic"), "no such image encoder"),
    ],
)
def test_bad_choices_are_refused(
    kadr: Shell, drawn: Path, tmp_path: Path, option: tuple[str, str], said: str
) -> None:
    out = tmp_path / "model"
    assert said in kadr("train", drawn, "--out", out, *FAKES, *option, code=2).stderr
    assert not out.exists()


# score


@dataclass(frozen=True)
class Scoring:
    """Runs `kadr score` on a CSV text with the photos of the drawn archive."""

    kadr: Shell
    images: Path
    model: Path
    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out.csv"

    def __call__(self, content: str | bytes, *options: str, code: int = 0) -> Result:
        pairs = self.folder / "pairs.csv"
        pairs.write_bytes(content if isinstance(content, bytes) else content.encode())
        command = ("score", pairs, "--images", self.images, "--out", self.out)
        return self.kadr(*command, "--model", self.model, *options, code=code)

    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out.read_text(encoding="utf-8"))))


@pytest.fixture
def score(kadr: Shell, photos: Path, model: Path, tmp_path: Path) -> Scoring:
    return Scoring(kadr, photos, model, tmp_path)


def first(folder: Path) -> str:
    return min(path.name for path in folder.iterdir())


def test_score_adds_probability_and_similarity(score: Scoring) -> None:
    name = first(score.images)
    content = f'note,image,text\n"a, b",{name},A red car .\n2,{name},Собака бежит .\n'
    found = json.loads(score("\ufeff" + content, "--json").stdout)
    assert found == {"out": str(score.out), "scored": 2, "unreadable": []}
    rows = score.rows()
    assert [row["note"] for row in rows] == ["a, b", "2"]
    assert list(rows[0]) == ["note", "image", "text", "probability", "similarity"]
    assert all(0 < float(row["probability"]) < 1 for row in rows)
    assert all(-1 <= float(row["similarity"]) <= 1 for row in rows)
    assert rows[0]["probability"] != rows[1]["probability"]


def test_score_writes_to_standard_output_where_out_is_a_hyphen(score: Scoring) -> None:
    content = f"image,text\n{first(score.images)},A red car .\n"
    done = score(content, "--out", "-")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert 0 < float(row["probability"]) < 1
    assert done.stderr == "1 of 1 pairs are scored\n"
    assert not score.out.exists()
    assert not (score.kadr.home / "-").exists()
    told = one_line(score(content, "--out", "-", "--json", code=2))
    assert told == "kadr: --json and --out - both say what is printed. Choose one."


def test_score_keeps_the_place_of_a_photo_that_it_cannot_read(score: Scoring) -> None:
    good = first(score.images)
    (score.images / "broken.jpg").write_bytes((score.images / good).read_bytes()[:300])
    names = (good, "missing.jpg", "broken.jpg", good)
    content = "image,text\n" + "".join(f"{name},A car .\n" for name in names)
    result = score(content, code=1)
    assert "2 of 4 pairs are scored" in result.stdout
    assert [bool(row["probability"]) for row in score.rows()] == [True, False, False, True]
    for line, name in zip(sorted(result.stderr.splitlines()), names[2:0:-1], strict=True):
        assert name in line


@pytest.mark.parametrize("name", ["", "..", "a\0b.jpg", "/etc/hostname", "a\nb.jpg"])
def test_score_survives_names_that_are_no_photos(score: Scoring, name: str) -> None:
    good = first(score.images)
    result = score(f'image,text\n"{name}",A car .\n{good},A car .\n', code=1)
    assert [bool(row["probability"]) for row in score.rows()] == [False, True]
    one_line(result)


def test_score_takes_absolute_paths(score: Scoring) -> None:
    name = first(score.images)
    score(f"image,text\n{score.images / name},A car .\n{name},A car .\n")
    one, two = score.rows()
    assert one["probability"] == two["probability"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("photo,text\na.jpg,car\n", "row 1: no column image"),
        ("", "row 1: no column image or text"),
        ("image,text\n", "no pairs"),
        ("image,text\na.jpg,car\na.jpg\n", "row 3: expected 2 columns"),
        ("image,text\na.jpg,car,boat\n", "row 2: expected 2 columns"),
        ('image,text\na.jpg,"car\n', "can't be read as UTF-8 CSV"),
        (b"image,text\na.jpg,\xff\n", "can't be read as UTF-8 CSV"),
    ],
)
def test_score_refuses_a_broken_table(score: Scoring, content: str | bytes, said: str) -> None:
    assert said in one_line(score(content, code=2))
    assert not score.out.exists()


def test_output_that_cannot_be_written_is_one_line(
    score: Scoring, drawn: Path, tmp_path: Path
) -> None:
    name = first(score.images)
    (tmp_path / "out.csv").mkdir()
    assert "out.csv" in one_line(score(f"image,text\n{name},A car .\n", code=2))
    assert list((tmp_path / "out.csv").iterdir()) == []
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        one_line(score.kadr("train", drawn, "--out", out, *FAKES, code=2))
    assert file.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "out.csv", "pairs.csv", "photos"}


def test_model_folder_that_is_no_matcher(score: Scoring) -> None:
    broken = shutil.copytree(score.model, score.folder / "broken")
    (broken / "manifest.json").write_text("{")
    pairs = f"image,text\n{first(score.images)},A car .\n"
    assert "can't be read" in one_line(score(pairs, "--model", str(broken), code=2))


def test_cache_that_is_no_cache(score: Scoring) -> None:
    cache = score.images / first(score.images)
    before = cache.read_bytes()
    pairs = f"image,text\n{cache.name},A car .\n"
    assert "--cache" in one_line(score(pairs, "--cache", str(cache), code=2))
    assert cache.read_bytes() == before


@pytest.mark.parametrize("arguments", [["data", "check"], ["train", "--help"]])
def test_closed_pipe_ends_in_silence(kadr: Shell, drawn: Path, arguments: list[str]) -> None:
    """As in `kadr … | head -1`, whose reader may be gone before the first line."""
    folder = [str(drawn)] * (arguments[0] == "data")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [*RUN, *arguments, *folder],
            env=kadr.environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


def test_demo_draws_trains_and_searches(kadr: Shell) -> None:
    command = ("demo", "--offline", "--out", "demo", "--images", "60")
    shown = kadr(*command).stdout
    assert "Drawing 60 scenes" in shown
    assert (kadr.home / "demo" / "report.html").is_file()
    queries = re.findall(r"^\$ (kadr search .*)$", shown, re.MULTILINE)
    assert len(queries) == 3
    assert DISCLAIMER in shown
    assert "Next: kadr index FOLDER, then kadr search" in shown.splitlines()[-2]
    assert shown.splitlines()[-1] == "Search on a page: kadr serve --library demo/library.kadr"
    # What it says it ran gives what it printed.
    program, *arguments = shlex.split(queries[0])
    assert program == "kadr"
    result = subprocess.run(
        [*RUN, *arguments], env=kadr.environment, cwd=kadr.home, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode in {0, 1}
    assert f"$ {queries[0]}\n{result.stdout}" in shown


# The shipped matcher

INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from kadr.cli.main import main
main()
"""


def cached(path: Path) -> int:
    try:
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return int(base.execute("SELECT count(*) FROM vectors").fetchone()[0])
        finally:
            base.close()
    except sqlite3.Error:
        return 0


def test_interrupt_keeps_what_was_encoded(kadr: Shell, tmp_path: Path) -> None:
    photos, cache = tmp_path / "photos", tmp_path / "cache.sqlite"
    photos.mkdir()
    names = [f"{number}.png" for number in range(200)]
    for number, name in enumerate(names):
        Image.new("RGB", (24, 24), (number, number // 2, 7)).save(photos / name)
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.csv"
    pairs.write_text("image,text\n" + "".join(f"{name},A car .\n" for name in names))
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "score", pairs, "--images", photos, "--out", out],
        env=kadr.environment | {"KADR_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        limit = time.monotonic() + 30
        while not cached(cache) and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        shown, err = process.communicate(timeout=30)
    assert (process.returncode, shown) == (130, "")
    (line,) = err.splitlines()
    assert line == "kadr: stopped. What is done is kept; run it again to go on."
    assert 0 < cached(cache) < 200
    assert not out.exists()


def test_help_is_shown_without_numpy(kadr: Shell) -> None:
    code = (
        "import sys\n"
        "from kadr.cli.main import main\n"
        "try: main()\n"
        "finally: print('numpy' in sys.modules)"
    )
    for command in ((), ("search",), ("train",), ("keys", "add")):
        result = subprocess.run(
            [sys.executable, "-c", code, *command, "--help"],
            env=kadr.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.splitlines()[-1] == "False", command


def test_a_command_is_built_without_the_others(kadr: Shell) -> None:
    code = (
        "import sys\n"
        "from kadr.cli.main import main\n"
        "try: main()\n"
        "finally: print(*(name for name in sys.modules if name.startswith('kadr.cli.')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "search", "--help"],
        env=kadr.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = result.stdout.splitlines()[-1].split()
    assert "kadr.cli.search" in loaded
    assert not {f"kadr.cli.{name}" for name in ("study", "serve", "audit", "demo")} & set(loaded)


def test_every_command_is_listed_and_found() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    context = group.make_context("kadr", [], resilient_parsing=True)
    names = group.list_commands(context)
    assert names == list(COMMANDS)
    found = [group.get_command(context, name) for name in names]
    assert [command.name for command in found if command] == names
    assert group.get_command(context, "nothing") is None


def test_helps_name_extras_and_break_no_sentence(kadr: Shell) -> None:
    wide = {"COLUMNS": "110"}
    environment = kadr.environment | wide
    for command, said in (
        ("encode", "It needs pip install 'kadr[cluster]'."),
        ("models", "They need pip install 'kadr[hub]'."),
        ("index", "a run with nothing to do takes a moment."),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "kadr.cli.main", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert said in " ".join(result.stdout.split()), command
        lines = [line.strip() for line in result.stdout.split("╭")[0].splitlines()]
        broken = [one for one, next_ in itertools.pairwise(lines) if next_ and one]
        assert all(len(one) > 85 for one in broken[1:]), command
