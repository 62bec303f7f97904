"""The report and the contact sheet: whole files, honest words, no hidden photo."""

import base64
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from string import Formatter

import numpy as np
import pytest
from PIL import Image

from comparisons import hostile, interval, study
from kadr import report
from kadr.data.agreement import ExpertAgreement, Severity
from kadr.errors import KadrError
from kadr.law.policy import DISCLAIMERS, ExclusionReport, Removed
from kadr.metrics import calibration, ranking
from kadr.photos import files
from kadr.report import conclusions, plots
from kadr.report.frames import Framer
from kadr.report.sheet import write_sheet
from kadr.report.wording import Language, Wording, texts
from kadr.study.compare import Comparison
from kadr.study.evaluate import (
    Asked,
    CrossValidated,
    Evaluation,
    Example,
    Shown,
)
from kadr.study.figures import PairFigures, RetrievalFigures, surest, thresholds
from kadr.types import Answer, Hit, ImageFile, Interval
from markup import LANGUAGES, Balanced

SCRIPT = "<script>alert(1)</script>"
DEFAULT_MANIFEST = {
    "config": {"image_encoder": "mini", "policy": SCRIPT, "seed": 42},
    "data": {"train_dataset.csv": "ca2a"},
    "pairs": 34933,
    "versions": {"kadr": "0.1.0"},
}


def pair_figures(name: str, auc: Interval | None = None) -> PairFigures:
    return PairFigures(
        name=name,
        pairs=1726,
        images=300,
        matches=238,
        roc_auc=auc or interval(0.91),
        average_precision=interval(0.67),
        brier=interval(0.07),
        expected_calibration_error=interval(0.015, 0.005),
        mae=interval(0.12),
        rmse=interval(0.19),
        constant_mae=0.2,
        constant_rmse=0.3,
        tau_c=interval(0.5),
        tau_b=None,
    )


def evaluation(
    examples: tuple[Example, ...] = (), failures: tuple[Example, ...] = ()
) -> Evaluation:
    random = np.random.default_rng(0)
    truth = np.arange(200) % 4 == 0
    scores = np.clip(random.normal(0.2 + 0.4 * truth, 0.15), 0, 1)
    return Evaluation(
        policy="under-16",
        pair_figures=(
            pair_figures("image-disjoint"),
            pair_figures("query-disjoint head", interval(0.9)),
            pair_figures("image-disjoint, after the law", interval(0.905)),
        ),
        retrieval=(
            RetrievalFigures(
                name="test queries",
                queries=500,
                images=100,
                recall_1=interval(0.5),
                recall_5=interval(0.8),
                recall_10=interval(0.9),
                mean_reciprocal_rank=interval(0.65),
                median_rank=1.5,
            ),
        ),
        cross_validated=CrossValidated(5000, interval(0.92), interval(0.51), interval(0.33)),
        reliability=calibration.reliability(scores, truth, bins=5, binning="width"),
        roc=ranking.roc_curve(scores, truth),
        precision_recall=ranking.precision_recall_curve(scores, truth),
        scores_by_grade={"1": scores[~truth], "2": scores[:3], "3": scores[:0], "4": scores[truth]},
        grade_counts={1: 9797, 2: 4997, 3: 1701, 4: 971},
        target_histogram=tuple(range(20)),
        agreement=ExpertAgreement(
            5822, 0.69, 0.58, 0.4, 0.02, (Severity("1", 1.4, -0.2),), columns_sorted=True
        ),
        exclusions=ExclusionReport(1000, 357, 5000, 1800, {"boy": Removed(357, 1800)}),
        examples=examples,
        failures=failures,
        skipped=(f"{SCRIPT}.jpg: empty",),
        wordless=(SCRIPT,),
        thresholds=thresholds(scores, truth),
        surest=surest(scores, truth),
        asked=Asked(500, 60, 90),
    )


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        found[name] = tmp_path / name
        Image.fromarray(pixels).save(found[name])
    return found


def page(
    evaluated: Evaluation,
    path: Path,
    photos: dict[str, Path] | None = None,
    language: Language = "en",
    comparison: Comparison | None = None,
) -> str:
    report.write(
        evaluated,
        path,
        photos=photos or {},
        manifest=DEFAULT_MANIFEST,
        language=language,
        disclaimer=DISCLAIMERS[language],
        comparison=comparison,
    )
    return path.read_text("utf-8")


def found(*names: str, right: str = "a.jpg", hidden: Iterable[str] = ()) -> tuple[Shown, ...]:
    return tuple(
        Shown(name, 0.9 / rank, name == right, name in hidden)
        for rank, name in enumerate(names, start=1)
    )


def picture(path: Path) -> str:
    source = Framer(Wording("en")).frame(1, path, 0.5).source
    assert source is not None
    return source


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_is_one_whole_accessible_file(
    tmp_path: Path, photos: dict[str, Path], language: Language
) -> None:
    example = Example("a dog", "a.jpg", 1, found("a.jpg", "b.jpg"), refused=False)
    text = page(evaluation((example,), (example,)), tmp_path / "r.html", photos, language)
    parsed = Balanced(text)
    assert not re.search(r"https?:|//|@import|<link|<script", re.sub(r"base64,[^\"]+", "", text))
    assert all(
        str(value).startswith(("data:", "#"))
        for _, attributes in parsed.tags
        for name, value in attributes.items()
        if name in {"src", "href"}
    )
    assert ("html", {"lang": language}) in parsed.tags
    assert all(attributes.get("alt") for tag, attributes in parsed.tags if tag == "img")
    counts = [sum(tag == name for tag, _ in parsed.tags) for name in ("table", "caption", "svg")]
    assert counts[0] == counts[1] > 5
    assert counts[2] == 6
    assert "prefers-color-scheme" in text
    assert not re.search(r"#01020\d", text)


def test_figures_stand_beside_their_intervals(tmp_path: Path) -> None:
    english = page(evaluation(), tmp_path / "e.html")
    russian = page(evaluation(), tmp_path / "r.html", language="ru")
    assert re.search(r'0\.910 <span class="span">\[0\.890, 0\.930\]</span>', english)
    assert re.search(r'0,910 <span class="span">\[0,890; 0,930\]</span>', russian)
    assert "New photos, texts new to the head" in english
    assert "Новые фото, тексты новые для классификатора" in russian
    assert "Published protocols" in english
    assert "Published protocols" not in page(
        replace(evaluation(), cross_validated=None), tmp_path / "e.html"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("comparison", [study(), hostile()], ids=["study", "hostile"])
def test_comparison_is_a_section_of_the_page(
    tmp_path: Path, comparison: Comparison, language: Language
) -> None:
    text = page(evaluation(), tmp_path / "r.html", language=language, comparison=comparison)
    parsed = Balanced(text)
    assert "comparison" in parsed.ids
    assert ("a", {"href": "#comparison"}) in parsed.tags
    assert text.count("<tr class=") == 2 * (len(comparison.rows) + 2)
    assert SCRIPT not in text
    without = page(evaluation(), tmp_path / "r.html", language=language)
    assert "comparison" not in Balanced(without).ids
    assert "#comparison" not in without


def test_every_text_exists_in_both_languages_with_the_same_places() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    for key, text in texts().items():
        assert set(text) == set(LANGUAGES), key
        assert places(text["en"]) == places(text["ru"]), key


def test_hidden_photo_gives_way_to_the_disclaimer(tmp_path: Path, photos: dict[str, Path]) -> None:
    shown = found("a.jpg", "b.jpg", hidden={"b.jpg"})
    example = Example("a dog", "a.jpg", 1, shown, refused=False)
    # The same photo without its mark in another example stays hidden.
    other = Example("a cat", "b.jpg", 9, found("a.jpg", right="-"), refused=False)
    text = page(evaluation((example,), (other,)), tmp_path / "r.html", photos)
    assert picture(photos["a.jpg"]) in text
    assert picture(photos["b.jpg"]) not in text
    assert text.count(DISCLAIMERS["en"]) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_refused_example_shows_the_disclaimer_and_no_photo(
    tmp_path: Path, photos: dict[str, Path], language: Language
) -> None:
    example = Example("a girl", "a.jpg", 1, found("a.jpg", "b.jpg"), refused=True)
    text = page(evaluation((example,)), tmp_path / "r.html", photos, language)
    assert DISCLAIMERS[language] in text
    assert "data:image" not in text


def test_photo_that_the_law_hides_is_told_from_a_text_that_it_refuses(
    tmp_path: Path, photos: dict[str, Path]
) -> None:
    hidden = Example("a swing", "c.jpg", 3, found("a.jpg", right="c.jpg"), False, hidden=True)  # noqa: FBT003
    refused = Example("a girl", "b.jpg", 1, found("b.jpg"), refused=True)
    text = page(evaluation((hidden, refused)), tmp_path / "r.html", photos)
    strips = re.findall(r'<article class="strip">.*?</article>', text, re.DOTALL)
    assert "hides its own photo" in strips[0]
    assert "refuses this text" not in strips[0]
    assert picture(photos["a.jpg"]) in strips[0]
    assert "refuses this text" in strips[1]
    assert "<img" not in strips[1]
    assert picture(photos["b.jpg"]) not in text
    assert picture(photos["c.jpg"]) not in text
    rows = re.findall(r'<th scope="row">(Text [^<]*)</th><td>(\d+)</td>', text)
    assert [int(count) for _, count in rows] == [60, 90, 350]


def test_thresholds_stand_with_counts_and_intervals(tmp_path: Path) -> None:
    evaluated = evaluation()
    text = page(evaluated, tmp_path / "r.html")
    section = text[text.index('id="thresholds"') : text.index('id="retrieval"')]
    say = Wording("en")
    for item in evaluated.thresholds:
        row = section[section.index(f"≥ {say.percent(item.at_least, 0)}<") :].partition("</tr>")[0]
        assert f"<td>{item.shown}</td><td>{item.matches}</td>" in row
        for figure in (item.precision, item.recall):
            assert say.number(figure.value) in row
            assert say.span(figure) in row
    assert re.findall(r"Precision@(\d+)", section) == [str(item.k) for item in evaluated.surest]
    assert "13.8% match" in section


def test_every_bin_of_the_diagram_shows_its_count(tmp_path: Path) -> None:
    evaluated = evaluation()
    (plot,) = (
        plot for plot in plots.curves(evaluated, Wording("en")) if plot.title == "Reliability"
    )
    for item in evaluated.reliability:
        assert f">{item.count}</text>" in plot.svg
        assert item.share.low < item.share.high


def test_right_photo_is_framed_and_comes_last_where_it_was_not_found(
    tmp_path: Path, photos: dict[str, Path]
) -> None:
    example = Example("a dog", "c.jpg", 37, found("a.jpg", "b.jpg", right="c.jpg"), refused=False)
    text = page(evaluation((example,)), tmp_path / "r.html", photos)
    frames = re.findall(r"<li( class=\"right\")?><div.*?</li>", text, re.DOTALL)
    assert [bool(frame) for frame in frames] == [False, False, True]
    assert "number 37 of 100" in text
    assert text.index(picture(photos["b.jpg"])) < text.index(picture(photos["c.jpg"]))


def test_unreadable_and_unknown_photos_are_said_to_be_so(tmp_path: Path) -> None:
    broken = tmp_path / "a.jpg"
    broken.write_bytes(b"no photo")
    example = Example("a dog", "a.jpg", 1, found("a.jpg", "b.jpg"), refused=False)
    text = page(evaluation((example,)), tmp_path / "r.html", {"a.jpg": broken})
    assert text.count("This photo can&#39;t be read") == 2


def test_untrusted_text_is_escaped(tmp_path: Path, photos: dict[str, Path]) -> None:
    example = Example(SCRIPT, SCRIPT, 2, found("a.jpg", right="-"), refused=False)
    evaluated = replace(
        evaluation((example,)),
        policy=SCRIPT,
        pair_figures=(pair_figures(SCRIPT),),
        exclusions=ExclusionReport(9, 1, 9, 1, {SCRIPT: Removed(1, 1)}),
    )
    text = page(evaluated, tmp_path / "r.html", photos)
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    Balanced(text)


def test_empty_evaluation_still_makes_a_page(tmp_path: Path) -> None:
    nothing = ExpertAgreement(1, math.nan, 1.0, 0.0, 0.0, (), columns_sorted=False)
    evaluated = replace(
        evaluation(),
        pair_figures=(),
        retrieval=(),
        cross_validated=None,
        thresholds=(),
        surest=(),
        asked=Asked(),
        reliability=(),
        roc=None,
        precision_recall=None,
        scores_by_grade={},
        target_histogram=(0,) * 20,
        agreement=nothing,
        exclusions=ExclusionReport(0, 0, 0, 0, {}),
        skipped=(),
    )
    for language in LANGUAGES:
        text = page(evaluated, tmp_path / "r.html", language=language)
        Balanced(text)
        assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower()


def test_same_figures_give_the_same_bytes(tmp_path: Path, photos: dict[str, Path]) -> None:
    example = Example("a dog", "a.jpg", 1, found("a.jpg"), refused=False)
    first = page(evaluation((example,)), tmp_path / "1.html", photos)
    assert page(evaluation((example,)), tmp_path / "2.html", photos) == first


def keys(evaluated: Evaluation) -> set[str]:
    """Which conclusions were drawn."""
    sentences = conclusions.draw(evaluated, Wording("en"))
    patterns = {
        key: re.sub(r"\\\{\w+\\\}", ".+?", re.escape(text["en"]))
        for key, text in texts().items()
        if key.startswith("conclusions.")
    }
    drawn = [
        {key for key, pattern in patterns.items() if re.fullmatch(pattern, sentence)}
        for sentence in sentences
    ]
    assert all(len(matching) == 1 for matching in drawn)
    return {key.removeprefix("conclusions.") for matching in drawn for key in matching}


def test_conclusions_on_probabilities_name_what_they_were_measured_on() -> None:
    for language, pairs in (
        ("en", "the 1,726 held-out pairs of this archive"),
        ("ru", "1\u202f726"),
    ):
        for value in (0.001, 0.03, 0.08, 0.3):
            evaluated = with_main(expected_calibration_error=interval(value, 0.001))
            told = conclusions.draw(evaluated, Wording(language))
            assert any(pairs in one and Wording(language).number(value) in one for one in told)


def with_main(**changes: Interval | float) -> Evaluation:
    evaluated = evaluation()
    main, *others = evaluated.pair_figures
    return replace(evaluated, pair_figures=(replace(main, **changes), *others))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evaluated", "expected"),
    [
        (with_main(roc_auc=interval(0.91)), "auc_strong"),
        (with_main(roc_auc=interval(0.7)), "auc_above"),
        (with_main(roc_auc=interval(0.51)), "auc_chance"),
        (with_main(roc_auc=interval(0.4)), "auc_inverted"),
        (with_main(roc_auc=Interval(0.9, math.nan, math.nan)), "auc_unknown"),
        (replace(evaluation(), pair_figures=()), "no_pairs"),
        (with_main(average_precision=interval(0.6)), "ap_above"),
        (with_main(average_precision=interval(0.14)), "ap_not_above"),
        (with_main(roc_auc=interval(0.98)), "gap_clear"),
        (with_main(roc_auc=interval(0.92)), "gap_within"),
        (with_main(roc_auc=interval(0.902)), "gap_none"),
        (with_main(roc_auc=interval(0.85)), "gap_higher"),
        (replace(evaluation(), pair_figures=evaluation().pair_figures[:1]), "gap_unknown"),
        (with_main(expected_calibration_error=interval(0.01, 0.005)), "ece_trust"),
        (with_main(expected_calibration_error=interval(0.01, 0.02)), "ece_close"),
        (with_main(expected_calibration_error=Interval(0.01, math.nan, math.nan)), "ece_trust"),
        (with_main(expected_calibration_error=interval(0.04, 0.01)), "ece_close"),
        (with_main(expected_calibration_error=interval(0.08)), "ece_careful"),
        (evaluation(), "domain"),
        (with_main(expected_calibration_error=interval(0.3)), "ece_poor"),
        (with_main(mae=interval(0.1)), "error_better"),
        (with_main(mae=interval(0.2)), "error_same"),
        (with_main(mae=interval(0.3)), "error_worse"),
        (with_main(mae=interval(0.3)), "error_split"),
        (with_main(roc_auc=interval(0.98)), "law_down"),
        (with_main(roc_auc=interval(0.8)), "law_up"),
        (evaluation(), "law_same"),
        (evaluation(), "law_large"),
        (evaluation(), "alpha_tentative"),
        (evaluation(), "skipped"),
    ],
)
def test_conclusion_follows_the_figures(evaluated: Evaluation, expected: str) -> None:
    assert expected in keys(evaluated)
    assert all(conclusions.draw(evaluated, Wording("ru")))


@pytest.mark.parametrize(
    ("removed", "expected"), [(0, "law_nothing"), (50, "law_small"), (200, "law_part")]
)
def test_conclusion_about_the_law(removed: int, expected: str) -> None:
    gone = ExclusionReport(1000, removed, 5000, removed, {"boy": Removed(removed, removed)})
    assert expected in keys(replace(evaluation(), exclusions=gone))


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(0.3, "alpha_low"), (0.9, "alpha_reliable"), (math.nan, "alpha_unknown")],
)
def test_conclusion_about_the_judges(alpha: float, expected: str) -> None:
    evaluated = evaluation()
    evaluated = replace(evaluated, agreement=replace(evaluated.agreement, alpha=alpha))
    assert expected in keys(evaluated)


@pytest.mark.parametrize(
    ("recall", "expected"), [(0.1, "recall_chance"), (0.4, "recall_some"), (0.9, "recall_most")]
)
def test_conclusion_about_search(recall: float, expected: str) -> None:
    (figures,) = evaluation().retrieval
    evaluated = replace(evaluation(), retrieval=(replace(figures, recall_10=interval(recall)),))
    assert expected in keys(evaluated)


@pytest.mark.parametrize(
    ("language", "value", "count", "percent"),
    [("en", "−0.500", "12,345.5", "35.7%"), ("ru", "−0,500", "12\u202f345,5", "35,7\u00a0%")],
)
def test_numbers_are_written_as_the_language_does(
    language: str, value: str, count: str, percent: str
) -> None:
    say = Wording(language)
    assert (say.number(-0.5), say.count(12345.5), say.percent(0.357)) == (value, count, percent)
    assert say.number(math.nan) == say.percent(math.nan) == say.count(math.nan) == "–"
    assert say.interval(Interval(0.5, math.nan, math.nan)) == say.number(0.5)


def answer(paths: Iterable[Path]) -> Answer:
    hits = (
        Hit(
            ImageFile(path.name, files.digest(path) if path.exists() else "", path), 0.9 / rank, 0.2
        )
        for rank, path in enumerate(paths, start=1)
    )
    return Answer(tuple(hits))


def test_html_sheet_shows_photos_probabilities_and_paths(
    tmp_path: Path, photos: dict[str, Path]
) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    photos["a.jpg"].rename(hostile)
    path = tmp_path / "sheet.html"
    paths = [hostile, photos["b.jpg"], tmp_path / "gone\udcff.jpg"]
    assert write_sheet(f"рыжий кот {SCRIPT}", answer(paths), path, language="ru") == path
    text = path.read_text("utf-8")
    Balanced(text)
    assert "рыжий кот" in text
    assert "90,0\u00a0%" in text
    assert SCRIPT not in text
    assert "<img src=x" not in text
    assert picture(hostile) in text
    assert "\\udcff" in text
    assert "Это фото не удалось прочитать" in text


@pytest.mark.parametrize("suffix", [".html", ".png"])
def test_sheet_leaves_out_what_changed_since_it_was_indexed(
    tmp_path: Path, photos: dict[str, Path], suffix: str
) -> None:
    indexed, path = answer([photos["a.jpg"]]), tmp_path / f"sheet{suffix}"
    shutil.copy(photos["b.jpg"], photos["a.jpg"])
    changed = write_sheet("a dog", indexed, path).read_bytes()
    photos["a.jpg"].unlink()
    assert write_sheet("a dog", indexed, path).read_bytes() == changed  # a place without a photo


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_picture_sheet_is_a_picture_that_reads_cyrillic(
    tmp_path: Path, photos: dict[str, Path], suffix: str
) -> None:
    path = tmp_path / f"sheet{suffix}"
    write_sheet("кот", answer([*photos.values(), *photos.values()]), path, language="ru")
    with Image.open(path) as sheet:
        first = sheet.convert("RGB")
    # Letters without glyphs would be the same boxes in both titles.
    write_sheet("дым", answer([*photos.values(), *photos.values()]), path, language="ru")
    with Image.open(path) as sheet:
        second = sheet.convert("RGB")
    title = (0, 0, first.width, 80)
    assert first.size == second.size
    assert first.crop(title).tobytes() != second.crop(title).tobytes()
    assert len(first.getcolors(1 << 24) or ()) > 1000


def test_picture_sheet_survives_odd_input(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    write_sheet("длинно" * 200 + "\n\x00", answer([tmp_path / "gone\udcff\n.jpg"]), path)
    with Image.open(path) as sheet:
        assert sheet.height < 800


@pytest.mark.parametrize("suffix", [".html", ".png"])
def test_sheet_of_a_refused_search_shows_its_notice(tmp_path: Path, suffix: str) -> None:
    refused, silent = tmp_path / f"refused{suffix}", tmp_path / f"silent{suffix}"
    write_sheet("a girl", Answer((), DISCLAIMERS["en"]), refused)
    write_sheet("a girl", Answer(()), silent)
    assert refused.read_bytes() != silent.read_bytes()
    if suffix == ".html":
        assert DISCLAIMERS["en"] in refused.read_text("utf-8")
        assert "No photo was found." in silent.read_text("utf-8")


@pytest.mark.parametrize("suffix", [".html", ".png"])
def test_a_sheet_ends_with_the_disclaimer_where_photos_are_hidden(
    tmp_path: Path, photos: dict[str, Path], suffix: str
) -> None:
    """Once, after the photos, however many there are; so it tells nothing of those hidden."""
    free, withheld, none = (tmp_path / f"{name}{suffix}" for name in ("free", "withheld", "none"))
    found = answer(list(photos.values()))
    write_sheet("a dog", found, free)
    write_sheet("a dog", replace(found, withheld=DISCLAIMERS["en"]), withheld)
    write_sheet("a dog", Answer((), "No photo.", withheld=DISCLAIMERS["en"]), none)
    assert free.read_bytes() != withheld.read_bytes()
    if suffix == ".html":
        assert DISCLAIMERS["en"] not in free.read_text("utf-8")
        for path in (withheld, none):
            text = path.read_text("utf-8")
            assert text.count(DISCLAIMERS["en"]) == 1
            assert text.index(DISCLAIMERS["en"]) > text.rfind("<img")


def test_sheet_of_unknown_suffix_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(KadrError, match=r"sheet\.gif: a contact sheet ends in \.html") as caught:
        write_sheet("a dog", Answer(()), tmp_path / "sheet.gif")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_target_names_the_path_and_what_to_do(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder.html", tmp_path / "file"
    folder.mkdir()
    file.write_text("mine")
    for target in (file / "sheet.html", folder):
        with pytest.raises(KadrError, match=r"can't be written \(.*Name a file") as caught:
            write_sheet("a dog", Answer(()), target)
        assert str(target) in str(caught.value)
        with pytest.raises(KadrError, match="can't be written"):
            page(evaluation(), target)
    assert set(tmp_path.rglob("*")) == {folder, file}
    assert file.read_text() == "mine"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "below" / "sheet.html"
    assert write_sheet("a dog", Answer(()), path) == path
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.save(pipe, "кот".encode())
        assert os.read(reader, 100) == "кот".encode()
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="this system has no /dev/stdout")
def test_redirected_stdout_is_neither_replaced_nor_started_over(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from kadr.photos.files import save\n"
        "print('before', flush=True); save(Path('/dev/stdout'), b'data\\n'); print('after')"
    )
    with (tmp_path / "out").open("wb") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert (tmp_path / "out").read_text() == "before\ndata\nafter\n"


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sheet.html"
    path.write_text("old")

    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("kadr.photos.files.os.open", full)
        with pytest.raises(KadrError, match="No space left"):
            write_sheet("a dog", Answer(()), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_picture_sheet_brings_neither_plots_nor_templates(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kadr.report.sheet import write_sheet\n"
        "from kadr.types import Answer\n"
        "assert 'matplotlib' not in sys.modules\n"
        "write_sheet('кот', Answer(()), Path(sys.argv[1]))\n"
        "assert not {'matplotlib.pyplot', 'jinja2', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.png")], check=True)


def test_thumbnail_is_a_small_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (2000, 1000), "red").save(path)
    _, _, data = picture(path).partition("base64,")
    assert len(base64.b64decode(data)) < 5000


def test_the_page_names_the_reason_beside_the_dash(tmp_path: Path) -> None:
    made = evaluation()
    first, *others = made.pair_figures
    tied = replace(first, tau_c=Interval(math.nan, math.nan, math.nan))
    unmeasured = {"query-disjoint head": "texts"}
    html = page(
        replace(made, pair_figures=(tied, *others), unmeasured=unmeasured), tmp_path / "p.html"
    )
    assert "– all scores, or all grades, are equal" in html
    assert "New photos, texts new to the head: not measured, there are too few texts" in html
