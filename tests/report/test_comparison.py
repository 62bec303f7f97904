"""A comparison on disk and in the terminal: complete, honest, and safe against any name."""

import csv
import io
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from comparisons import BASELINES, HOSTILE, SCRIPT, hostile, ranked, row, study
from kadr import report
from kadr.errors import KadrError
from kadr.report import contrasts, plots, table
from kadr.report.wording import Language, Wording, shortened, texts
from kadr.study.compare import Comparison
from kadr.study.train import Config
from markup import LANGUAGES, Balanced
from pages import launched

NAMES = ["comparison.csv", "comparison.md", "comparison.html"]


def one() -> Comparison:
    return ranked(row(Config(), 0.9))


def written(
    comparison: Comparison, folder: Path, language: Language = "en"
) -> tuple[list[dict[str, str]], str, str]:
    """The CSV's rows, the Markdown, the page."""
    folder.mkdir(exist_ok=True)
    paths = report.write_comparison(comparison, folder, language=language)
    assert [path.name for path in paths] == NAMES
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    data, *rest = (path.read_bytes().decode("utf-8") for path in paths)
    assert data.endswith("\n")
    rows = list(csv.DictReader(io.StringIO(data, newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows, rest[0], rest[1]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def markdown_table(text: str) -> list[list[str]]:
    found = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in found}) == 1
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "comparison", [one(), study(), hostile(), study(6, 5), study(failed={"x": "y"})],
    ids=["one", "study", "hostile", "180", "failed"],
)  # fmt: skip
def test_every_format_is_whole(tmp_path: Path, comparison: Comparison, language: Language) -> None:
    rows, markdown, page = written(comparison, tmp_path, language)
    every = len(comparison.rows) + len(comparison.baselines)
    assert len(rows) == every + len(comparison.failed)
    assert len(markdown_table(markdown)) == every + 2
    parsed = Balanced(page)
    body = page.partition("<tbody>")[2]
    assert body.count("<tr class=") == 2 * every
    assert ("html", {"lang": language}) in parsed.tags
    assert not re.search(r"https?:|@import|<link|<script|#01020\d", page)
    for text in (markdown, re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)):
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b", text)


def test_csv_gives_back_every_figure(tmp_path: Path) -> None:
    comparison = study(failed={"a · b": "no such encoder"})
    rows, _, _ = written(comparison, tmp_path)
    for place, (line, made) in enumerate(zip(rows, comparison.rows, strict=False), start=1):
        config = made.config
        assert config is not None
        assert made.retrieval is not None
        assert made.unseen is not None
        assert line["rank"] == str(place)
        assert line["name"] == made.name
        assert all(line[key] == str(getattr(config, key)) for key in table.CHOICES)
        assert line["settings"] == table.settings(made)
        for key, figure in (
            ("roc_auc", made.seen.roc_auc),
            ("unseen_roc_auc", made.unseen.roc_auc),
            ("brier", made.seen.brier),
            ("recall_10", made.retrieval.recall_10),
        ):
            found = (line[key], line[f"{key}_low"], line[f"{key}_high"])
            assert tuple(map(float, found)) == (figure.value, figure.low, figure.high)
        assert float(line["validation"]) == made.validation
        assert (line["seconds"], line["microseconds"]) == ("11.7", "6.25")
        assert (line["p"], line["difference"]) == (
            (repr(made.behind.p), repr(made.behind.value)) if made.behind else ("", "")
        )
    constant, _random, failed = rows[-3:]
    assert constant["standing"] == "baseline"
    assert constant["rank"] == constant["validation"] == constant["seconds"] == ""
    assert (failed["standing"], failed["name"]) == ("failed", "a · b")
    assert failed["reason"] == "no such encoder"
    assert failed["roc_auc"] == ""


def test_csv_is_the_same_in_every_language(tmp_path: Path) -> None:
    assert written(study(), tmp_path / "en")[0] == written(study(), tmp_path / "ru", "ru")[0]


def test_csv_holds_no_formula_and_no_hidden_letter(tmp_path: Path) -> None:
    rows, _, _ = written(hostile(), tmp_path)
    texts_of = [row[key] for row in rows for key in ("name", "image_encoder", "text_encoder")]
    assert "'=1+1" in texts_of
    assert "'-a b" in texts_of
    assert not any(text.startswith(("=", "+", "-", "@")) for text in texts_of)
    assert all(value.isprintable() for row in rows for value in row.values())
    # Numbers keep their sign.
    assert min(float(row["difference"]) for row in rows if row["difference"]) < -0.1


def test_undefined_figures_are_empty_and_dashes(tmp_path: Path) -> None:
    rows, markdown, page = written(hostile(), tmp_path)
    first, odd = rows[0], rows[4]
    undefined = ("unseen_roc_auc", "recall_1", "recall_10_low", "validation", "difference", "p")
    assert all(first[key] == "" for key in undefined)
    assert (odd["roc_auc"], odd["roc_auc_low"], odd["standing"]) == ("0.8", "", "unknown")
    assert "–" in markdown_table(markdown)[2]
    assert "5 ?" in page
    assert "Not measured on the same pairs as the best" in page


def test_markdown_and_page_escape_what_they_are_given(tmp_path: Path) -> None:
    _, markdown, page = written(hostile(), tmp_path)
    assert SCRIPT not in markdown + page
    assert "<" not in markdown
    assert "&lt;script&gt;" in markdown
    assert "&lt;script&gt;" in page
    assert r"@a\`\*\_\[x\](y)" in markdown
    assert "\u202e" not in markdown + page
    everything = Comparison(one().rows, (), {SCRIPT: SCRIPT})
    Balanced(written(everything, tmp_path)[2])


@pytest.mark.parametrize("language", LANGUAGES)
def test_terminal_shows_the_best_within_its_width(language: Language) -> None:
    for comparison in (one(), study(), study(6, 5), hostile()):
        text = report.comparison_text(comparison, language=language)
        assert max(map(len, text.splitlines())) <= 110
        assert re.sub(r"[\n\u00a0\u202f]", "", text).isprintable()
        figures = [line for line in text.splitlines() if re.match(r"\d+ ", line)]
        assert len(figures) == min(len(comparison.rows), 30)
        assert re.match(r"1 .*0[.,]9\d\d \[0", figures[0])
    assert "150" in report.comparison_text(study(6, 5), language=language)


def test_what_all_rows_share_stands_in_the_caption_alone() -> None:
    say = Wording("en")
    varied = ranked(row(Config(), 0.9), row(Config(policy="none"), 0.8))
    built = table.build(varied, say)
    choices = [header.key for header in built.headers if not header.is_figure]
    assert choices == ["policy"]
    assert "image encoder: mini" in built.caption
    assert "under-16" not in built.caption
    assert [line.cells[1].value for line in built.lines][:2] == ["under-16", "none"]
    # One row has nothing to differ from, and shows what it is.
    alone = [header.key for header in table.build(one(), say).headers if not header.is_figure]
    assert alone == list(table.MAIN)


def test_rows_that_tie_with_the_best_are_marked(tmp_path: Path) -> None:
    comparison = study()
    rows, markdown, page = written(comparison, tmp_path)
    standings = [row["standing"] for row in rows]
    assert standings[:4] == ["best", "same", "same", "worse"]
    ranks = [line[0] for line in markdown_table(markdown)[2:]]
    assert ranks[:4] == ["1", "2 ≈", "3 ≈", "4"]
    assert page.count('<tr class="same">') == 4
    assert "Holm's p is at least 0.05" in markdown


@pytest.mark.parametrize(("low", "high"), [(0.785, 0.935), (0.5, 0.95), (0.9121, 0.9187), (0, 1)])
def test_ticks_say_where_they_stand(low: float, high: float) -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(low, high)
    plots._exact_ticks(axes, Wording("en"))
    said = [float(label.get_text()) for label in axes.get_xticklabels()]
    assert said == pytest.approx(list(axes.get_xticks()), abs=1e-9)
    assert 3 <= len(said) <= 8
    assert low <= min(said) < max(said) <= high


def test_halves_of_the_table_hold_all_of_it() -> None:
    built = table.build(study(), Wording("en"))
    first, second = table.halves(built, Wording("en"))
    keys = [header.key for half in (first, second) for header in half.headers]
    assert set(keys) == {*(header.key for header in built.headers), "name"}
    assert len(first.lines) == len(second.lines) == len(built.lines)
    assert second.lines[0].cells[1].value == "mini · mini · aligned · logistic"
    assert second.lines[-1].cells[1].value == "at random"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_cut_off_at_1200_pixels(tmp_path: Path, language: Language) -> None:
    written(study(), tmp_path / language, language)
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto((tmp_path / language / "comparison.html").as_uri())
        cut = page.locator(".scroll, html").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
        )
        outside = page.locator("svg text").evaluate_all(
            """all => all.filter(one => {
                const [text, plot] = [one, one.closest("svg")].map(e => e.getBoundingClientRect());
                return text.left < plot.left - 1 || text.right > plot.right + 1
            }).length"""
        )
    assert (cut, outside) == (0, 0)


def test_settings_of_a_head_keep_its_column() -> None:
    first, second = row(Config(), 0.9), row(Config(policy="none"), 0.8)
    built = table.build(ranked(first, replace(second, settings={"C": 1.0})), Wording("en"))
    assert [cell.span for line in built.lines for cell in line.cells[1:2]][:2] == [
        "C=0.001",
        "C=1",
    ]


def test_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    assert written(study(), tmp_path / "1") == written(study(), tmp_path / "2")


def test_page_draws_what_there_is(tmp_path: Path) -> None:
    def drawn(comparison: Comparison) -> list[str]:
        page = written(comparison, tmp_path)[2]
        return re.findall(r'<figure role="group" aria-label="([^"]+)"', page)

    both = [texts()["plots.dots"]["en"], texts()["plots.encoders"]["en"]]
    assert drawn(study()) == both
    assert drawn(study(3, 1)) == both[:1]
    assert drawn(one()) == both[:1]
    page = written(study(6, 5), tmp_path)[2]
    assert "Only the first 20 of 30 groups" in page
    assert "only the head that validation prefers" in page
    assert "0.920" in page


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    rows, markdown, page = written(Comparison((), (), {"a": "b"}), tmp_path)
    assert [row["reason"] for row in rows] == ["b"]
    for text in (markdown, page):
        assert "Nothing was measured" in text


def test_folder_is_made(tmp_path: Path) -> None:
    assert all(path.exists() for path in report.write_comparison(one(), tmp_path / "a" / "b"))


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(KadrError, match=r"file.*can't be written"):
        report.write_comparison(one(), tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_failed_write_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written(study(), tmp_path)

    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("kadr.photos.files.os.open", full)
        with pytest.raises(KadrError, match="No space left"):
            report.write_comparison(one(), tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "comparison.csv").read_text("utf-8"))))
    assert rows == before[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)


def test_text_loads_no_plots() -> None:
    code = (
        "import sys; from comparisons import study; from kadr import report\n"
        "report.comparison_text(study(2, 1))\n"
        "assert not {'matplotlib', 'jinja2'} & set(sys.modules)"
    )
    path = str(Path(__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join([path, *sys.path])}
    )


def keys(comparison: Comparison) -> set[str]:
    """Which conclusions were drawn."""
    patterns = {
        key: re.sub(r"\\\{\w+\\\}", ".+?", re.escape(text["en"]))
        for key, text in texts().items()
        if key.startswith("contrasts.") and not key.startswith("contrasts.item")
    }
    drawn = [
        {key for key, pattern in patterns.items() if re.fullmatch(pattern, sentence)}
        for sentence in contrasts.draw(comparison, Wording("en"))
    ]
    assert all(len(matching) == 1 for matching in drawn)
    assert all(contrasts.draw(comparison, Wording("ru")))
    return {key.removeprefix("contrasts.") for matching in drawn for key in matching}


def two(auc: float = 0.8, **changes: float) -> Comparison:
    return ranked(row(Config(), 0.9), row(Config(text_encoder="tfidf"), auc, **changes))


def blind(comparison: Comparison) -> Comparison:
    """The same without unseen texts and search."""
    rows = tuple(replace(one, unseen=None, retrieval=None) for one in comparison.rows)
    return replace(comparison, rows=rows)


def worse_than(auc: float) -> Comparison:
    low = ranked(row(Config(), auc), row(Config(text_encoder="tfidf"), auc - 0.05))
    return replace(low, baselines=BASELINES)


@pytest.mark.parametrize(
    ("comparison", "expected", "absent"),
    [
        (one(), "only", "best"),
        (two(), "best", "only"),
        (two(0.895), "same", "none_same"),
        (two(), "none_same", "same"),
        (hostile(), "unknown", "none_same"),
        (two(), "chosen_best", "chosen_other"),
        (two(validation=0.95), "chosen_other", "chosen_best"),
        (two(validation=math.nan), "chosen_best", "chosen_other"),
        (two(), "cost", "unseen_same"),
        (two(lost=0.05), "unseen_differs", "unseen_one"),
        (ranked(row(Config(), 0.9, lost=0.001)), "unseen_same", "unseen_differs"),
        (one(), "unseen_one", "unseen_differs"),
        (blind(two()), "unseen_unknown", "recall_best"),
        (two(), "recall_best", "recall_other"),
        (hostile(), "recall_other", "recall_best"),
        (two(), "baseline_above", "baseline_below"),
        (worse_than(0.45), "baseline_below", "baseline_above"),
        (worse_than(0.51), "chance", "failed"),
        (study(failed={"a": "b"}), "failed", "chance"),
    ],
)
def test_conclusion_follows_the_figures(comparison: Comparison, expected: str, absent: str) -> None:
    drawn = keys(comparison)
    assert expected in drawn
    assert absent not in drawn


def test_cost_of_a_choice_is_the_mean_of_rows_that_differ_in_nothing_else() -> None:
    comparison = study()
    boosting, mlp = contrasts.contrasts(comparison.rows, "classifier")
    assert (boosting.value, mlp.value) == ("boosting", "mlp")
    assert mlp.roc_auc == pytest.approx([-0.008] * 18)
    (concat,) = contrasts.contrasts(comparison.rows, "features")
    assert concat.roc_auc == pytest.approx([-0.1] * 27)
    assert concat.recall_10 == pytest.approx([-0.1] * 27)
    # Rows without a partner are left out.
    fewer = replace(comparison, rows=comparison.rows[:26])
    assert len(contrasts.contrasts(fewer.rows, "features")[0].roc_auc) == 1
    alone = ranked(row(Config(), 0.9), row(Config("x", "y"), 0.8))
    assert contrasts.contrasts(alone.rows, "image_encoder") == ()


def test_long_names_keep_both_ends() -> None:
    assert shortened("short", 5) == "short"
    assert shortened("a-long-name-of-v2", 9) == "a-lo…f-v2"
    assert len(shortened("x" * 99, 24)) == 24
    assert len(HOSTILE) == len({*HOSTILE})
