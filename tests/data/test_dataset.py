"""The archive on disk: what is accepted, what is refused, and in which words."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import write_archive
from kadr.data import dataset
from kadr.errors import DataError
from kadr.photos import folders, images
from kadr.types import Dataset, Problem

ANNOTATIONS = (
    "train_dataset.csv",
    "ExpertAnnotations.tsv",
    "CrowdAnnotations.tsv",
    "test_queries.csv",
    "test_images.csv",
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "tiny")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("pristine") / "tiny", images=4)


def edit_line(path: Path, row: int, change: Callable[[bytes], bytes]) -> None:
    lines = path.read_bytes().split(b"\n")
    lines[row - 1] = change(lines[row - 1])
    path.write_bytes(b"\n".join(lines))


def with_field(column: int, value: bytes, delimiter: bytes = b"\t") -> Callable[[bytes], bytes]:
    def change(line: bytes) -> bytes:
        fields = line.split(delimiter)
        fields[column] = value
        return delimiter.join(fields)

    return change


def only_problem(folder: Path) -> Problem:
    (problem,) = dataset.load(folder, max_broken_share=0.5).skipped
    return problem


def rows(path: Path, delimiter: str) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


@given(images=st.integers(4, 14), seed=st.integers(0, 2**16))
@settings(max_examples=10, deadline=None)
def test_a_valid_archive_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, images: int, seed: int
) -> None:
    folder = write_archive(tmp_path_factory.mktemp("a") / "tiny", images, seed)
    loaded = dataset.load(folder, check_photos=True)
    assert loaded.skipped == ()
    texts = {row[1]: row[2] for row in rows(folder / "train_dataset.csv", ",")[1:]}
    assert {query.id: query.text for query in loaded.queries.values()} == texts
    grades = [
        (row[0], row[1], str(rater), int(grade))
        for row in rows(folder / "ExpertAnnotations.tsv", "\t")
        for rater, grade in enumerate(row[2:], start=1)
    ]
    assert [(j.image, j.query, j.rater, j.grade) for j in loaded.judgements] == grades
    votes = [
        (row[0], row[1], int(row[3]), int(row[4]))
        for row in rows(folder / "CrowdAnnotations.tsv", "\t")
    ]
    assert [(v.image, v.query, v.yes, v.no) for v in loaded.votes] == votes
    tests = [tuple(row[1:]) for row in rows(folder / "test_queries.csv", "|")[1:]]
    assert [(q.id, q.text, q.image) for q in loaded.test_queries] == tests
    assert len(loaded.train_images) == images
    assert [path.name for path in loaded.test_images.values()] == list(loaded.test_images)
    assert set(loaded.digests) == set(ANNOTATIONS)


def test_the_same_seed_writes_the_same_archive(tmp_path: Path) -> None:
    first, second = (write_archive(tmp_path / name, seed=3) for name in "ab")
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(files) == 20
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


@pytest.mark.parametrize("name", ANNOTATIONS)
@given(content=st.binary(max_size=400))
@settings(max_examples=40, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_data_errors(
    pristine: Path, name: str, content: bytes
) -> None:
    assert_loads_or_refuses(pristine, name, content)


@pytest.mark.parametrize("name", ANNOTATIONS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_damaged_file_raises_nothing_but_data_errors_and_accounts_for_its_rows(
    pristine: Path, name: str, data: st.DataObject
) -> None:
    whole = (pristine / name).read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 20)))
    damage = data.draw(st.binary(max_size=6) | st.sampled_from([b'"', b"\0", b"\xff", b"\r\n"]))
    assert_loads_or_refuses(pristine, name, whole[:start] + damage + whole[end:])


def assert_loads_or_refuses(folder: Path, name: str, content: bytes) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(content)
    try:
        loaded = dataset.load(folder, max_broken_share=1.0)
    except DataError:
        return
    else:
        used = rows_used(loaded).get(name)
        skipped = sum(problem.file == name for problem in loaded.skipped)
        assert used is None or used + skipped == filled_rows(name, content)
    finally:
        (folder / name).write_bytes(whole)


def rows_used(loaded: Dataset) -> dict[str, int]:
    return {
        "ExpertAnnotations.tsv": len({(j.query, j.image) for j in loaded.judgements}),
        "CrowdAnnotations.tsv": len(loaded.votes),
        "test_queries.csv": len(loaded.test_queries),
        "test_images.csv": len(loaded.test_images),
    }


def filled_rows(name: str, content: bytes) -> int:
    text = content.decode("utf-8-sig", errors="surrogateescape")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return sum(bool(line.strip()) for line in lines) - name.endswith(".csv")


@pytest.mark.parametrize("name", ANNOTATIONS)
@pytest.mark.parametrize(
    "rewrite",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"\n", b"\r"),
        lambda content: content.rstrip(b"\n"),
        lambda content: content + b"\n \n",
    ],
    ids=["BOM", "CRLF", "CR", "no last line end", "blank lines"],
)
def test_marks_of_an_editor_change_nothing(
    pristine: Path, tmp_path: Path, name: str, rewrite: Callable[[bytes], bytes]
) -> None:
    edited = tmp_path / "edited"
    shutil.copytree(pristine, edited)
    (edited / name).write_bytes(rewrite((edited / name).read_bytes()))
    before, after = dataset.load(pristine), dataset.load(edited)
    assert after.skipped == ()
    assert after.queries == before.queries
    assert after.judgements == before.judgements
    assert after.votes == before.votes
    assert after.test_queries == before.test_queries
    assert list(after.test_images) == list(before.test_images)


@pytest.mark.parametrize(
    ("name", "row", "change", "column", "words"),
    [
        ("ExpertAnnotations.tsv", 2, with_field(3, b"5"), "grade 2", "'5' is no grade: write 1"),
        ("ExpertAnnotations.tsv", 2, with_field(2, b"0"), "grade 1", "'0' is no grade"),
        ("ExpertAnnotations.tsv", 2, with_field(4, b"2.0"), "grade 3", "'2.0' is no grade"),
        ("ExpertAnnotations.tsv", 3, lambda line: line + b"\t1", None, "6 columns, expected image"),
        ("ExpertAnnotations.tsv", 3, with_field(1, b"x.jpg"), "query_id", "write <image file>#"),
        ("ExpertAnnotations.tsv", 3, with_field(1, b"../x#2"), "query_id", "'../x#2' is no query"),
        ("ExpertAnnotations.tsv", 3, with_field(0, b"gone.jpg"), "image", "no usable photo train_"),
        ("CrowdAnnotations.tsv", 4, with_field(2, b"0.9"), "share", "'0.9' isn't the share of"),
        ("CrowdAnnotations.tsv", 4, with_field(2, b"nan"), "share", "'nan' isn't the share of"),
        ("CrowdAnnotations.tsv", 4, with_field(2, b"yes"), "share", "'yes' isn't the share of"),
        ("CrowdAnnotations.tsv", 4, with_field(3, b"-1"), "yes", "'-1' is no count"),
        ("CrowdAnnotations.tsv", 4, with_field(4, b"9" * 5000), "no", "is no count"),
        ("CrowdAnnotations.tsv", 4, lambda line: line[: line.rindex(b"\t")], None, "4 columns"),
        ("CrowdAnnotations.tsv", 4, with_field(1, b"a\xff.jpg#2"), "query_id", "no UTF-8"),
        ("CrowdAnnotations.tsv", 4, with_field(1, b"a\0.jpg#2"), "query_id", "no UTF-8"),
        ("train_dataset.csv", 5, lambda line: line[:-2] + b'x" y', None, "quote the text"),
        ("train_dataset.csv", 5, lambda line: line + b",more", None, "4 columns, expected image"),
        (
            "train_dataset.csv",
            5,
            lambda line: line[: line.index(b"#2") + 2] + b", ",
            "query_text",
            "write the text",
        ),
        ("test_queries.csv", 2, with_field(2, b"", b"|"), "query_text", "write the text"),
        (
            "test_queries.csv",
            2,
            with_field(3, b"gone.jpg", b"|"),
            "image",
            "test_images/'gone.jpg'",
        ),
        ("test_queries.csv", 2, with_field(1, b"b.jpg#1", b"|"), "image", "belongs to b.jpg"),
    ],
)
def test_a_broken_row_is_left_out_and_listed(
    tiny: Path,
    name: str,
    row: int,
    change: Callable[[bytes], bytes],
    column: str | None,
    words: str,
) -> None:
    whole = rows_used(dataset.load(tiny))
    edit_line(tiny / name, row, change)
    problem = only_problem(tiny)
    assert (problem.file, problem.row, problem.column) == (name, row, column)
    assert words in problem.message
    left = rows_used(dataset.load(tiny, max_broken_share=0.5))
    assert left == {**whole, name: whole[name] - 1} if name in whole else left == whole


def test_nobody_voting_is_no_vote(tiny: Path) -> None:
    path = tiny / "CrowdAnnotations.tsv"
    edit_line(path, 1, lambda line: b"\t".join([*line.split(b"\t")[:2], b"0", b"0", b"0"]))
    assert "nobody voted" in only_problem(tiny).message


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_of_two_rows_about_the_same_the_first_is_kept(tiny: Path, name: str) -> None:
    path = tiny / name
    first = path.read_bytes().split(b"\n")[1]
    path.write_bytes(path.read_bytes() + first + b"\n")
    whole = rows_used(dataset.load(tiny, max_broken_share=0.5))
    problem = only_problem(tiny)
    assert problem.row == path.read_bytes().count(b"\n")
    assert "again what row 2 does" in problem.message
    assert whole == rows_used(dataset.load(write_archive(tiny.parent / "other")))


def test_a_query_has_one_text(tiny: Path) -> None:
    path = tiny / "train_dataset.csv"
    _, query, text = rows(path, ",")[1]
    edit_line(path, 3, lambda line: line.split(b",")[0] + f",{query},Another".encode())
    problem = only_problem(tiny)
    assert (problem.row, problem.column) == (3, "query_text")
    assert repr(text)[:40] in problem.message
    assert dataset.load(tiny, max_broken_share=0.5).queries[query].text == text


def test_votes_for_a_query_without_text_stay(tiny: Path) -> None:
    loaded = dataset.load(tiny)
    wordless = {votes.query for votes in loaded.votes} - loaded.queries.keys()
    assert len(wordless) == 3
    assert dataset.describe(loaded).crowd_pairs_without_text == 3 * 7


def test_a_query_may_belong_to_an_image_that_does_not_exist(tiny: Path) -> None:
    path = tiny / "CrowdAnnotations.tsv"
    edit_line(path, 1, with_field(1, b"2258277193_586949ec62.jpg.1#2"))
    loaded = dataset.load(tiny)
    assert loaded.skipped == ()
    assert dataset.own_image(loaded.votes[0].query) == "2258277193_586949ec62.jpg.1"


@pytest.mark.parametrize("raters", [1, 2, 5])
def test_any_number_of_experts(tiny: Path, raters: int) -> None:
    path = tiny / "ExpertAnnotations.tsv"
    lines = [row[:2] + ["3"] * raters for row in rows(path, "\t")]
    path.write_text("\n".join("\t".join(line) for line in lines), encoding="utf-8")
    loaded = dataset.load(tiny)
    assert {j.rater for j in loaded.judgements} == {str(n + 1) for n in range(raters)}
    assert len(loaded.judgements) == raters * len(lines)


def test_too_many_broken_rows_show_count_limit_and_first_problems(tiny: Path) -> None:
    path = tiny / "ExpertAnnotations.tsv"
    for row in range(1, 6):
        edit_line(path, row, with_field(2, b"7"))
    with pytest.raises(DataError) as caught:
        dataset.load(tiny, max_broken_share=0.05)
    message = str(caught.value)
    assert "5 of 45 rows are broken, the limit is 2 (5.0%)" in message
    assert "ExpertAnnotations.tsv, row 1, grade 1: '7' is no grade" in message
    assert "and 2 more" in message
    assert "kadr data fetch DIR" in message
    assert "\n" not in message
    assert len(dataset.load(tiny, max_broken_share=5 / 45).skipped) == 5


@pytest.mark.parametrize("name", [*ANNOTATIONS[:3], "train_images"])
def test_a_missing_part_is_named(tiny: Path, name: str) -> None:
    path = tiny / name
    path.rename(tiny.parent / name)
    with pytest.raises(DataError, match=rf"lacks {name}: .*fetch DIR.*generate DIR"):
        dataset.load(tiny)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is no folder: .*fetch DIR.*generate DIR"):
        dataset.load(tmp_path / "nowhere")


def test_an_archive_may_have_no_test_part(tiny: Path) -> None:
    (tiny / "test_queries.csv").unlink()
    with pytest.raises(DataError, match=r"lacks test_queries\.csv"):
        dataset.load(tiny)
    (tiny / "test_images.csv").unlink()
    loaded = dataset.load(tiny)
    assert (loaded.test_queries, loaded.test_images) == ((), {})
    assert [problem.file for problem in loaded.skipped] == ["test_queries.csv"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"image,query_id,query_text\n", "no rows"),
        (b"a.jpg,a.jpg#2,A dog .\n", "row 1: the header must name image, query_id, query_text"),
        (b"image,query_id,image,query_text\n", "the header must name image once each"),
        (b'image,"query_id\n', "row 1: unexpected end of data"),
        ("image,query_id,query_text\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
    ],
)
def test_a_table_without_its_header_is_refused(tiny: Path, content: bytes, words: str) -> None:
    (tiny / "train_dataset.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"^train_dataset\.csv.*{words}"):
        dataset.load(tiny)


def test_a_folder_in_place_of_a_file_is_refused(tiny: Path) -> None:
    (tiny / "CrowdAnnotations.tsv").unlink()
    (tiny / "CrowdAnnotations.tsv").mkdir()
    with pytest.raises(DataError, match="can't be read"):
        dataset.load(tiny)


def test_photos_are_checked_for_presence_and_on_request_decoded(tiny: Path) -> None:
    photos = sorted((tiny / "train_images").iterdir())
    photos[0].write_bytes(b"")
    photos[1].write_bytes(photos[1].read_bytes()[:300])
    quick = dataset.load(tiny, max_broken_share=0.6)
    assert photos[0].name not in quick.train_images
    assert photos[1].name in quick.train_images
    thorough = dataset.load(tiny, max_broken_share=0.6, check_photos=True)
    faults = {p.file: p.message for p in thorough.skipped if p.row is None}
    assert set(faults) == {f"train_images/{photo.name}" for photo in photos[:2]}
    assert faults[f"train_images/{photos[0].name}"] == "empty: get the photo again"
    assert "can't be read (OSError" in faults[f"train_images/{photos[1].name}"]
    judged = {j.image for j in thorough.judgements} | {v.image for v in thorough.votes}
    assert judged.isdisjoint(photo.name for photo in photos[:2])


def test_a_photo_with_too_many_pixels_is_not_decoded(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_DRAFTED_PIXELS", 2000)
    with pytest.raises(DataError, match=r"can't be read .*64x48 pixels are more than are read"):
        dataset.load(tiny, check_photos=True)


def test_what_a_search_takes_for_a_photo_is_one_here(tiny: Path) -> None:
    """One list of suffixes and one decoder: an archive holds what can be searched, and no less."""
    source = sorted((tiny / "train_images").iterdir())[0].read_bytes()
    names = {f"more{suffix}" for suffix in folders.SUFFIXES}
    for name in names:
        (tiny / "train_images" / name).write_bytes(source)
    loaded = dataset.load(tiny, check_photos=True)
    assert loaded.skipped == ()
    assert names < set(loaded.train_images)
    assert {path.name for path in folders.scan(tiny / "train_images")} == set(loaded.train_images)


def test_what_is_no_photo_is_listed_and_system_files_are_passed_over(tiny: Path) -> None:
    (tiny / "train_images" / ".DS_Store").write_bytes(b"x")
    (tiny / "train_images" / "Thumbs.db").write_bytes(b"x")
    (tiny / "train_images" / "notes.txt").write_bytes(b"x")
    assert only_problem(tiny).file == "train_images/notes.txt"


def test_a_photo_folder_must_hold_photos(tiny: Path) -> None:
    shutil.rmtree(tiny / "train_images")
    (tiny / "train_images").mkdir()
    with pytest.raises(DataError, match="holds no photo"):
        dataset.load(tiny)


def test_a_test_photo_that_is_not_listed_is_left_out(tiny: Path) -> None:
    source = next((tiny / "test_images").iterdir())
    shutil.copy(source, tiny / "test_images" / "extra.jpg")
    problem = only_problem(tiny)
    assert problem.file == "test_images/extra.jpg"
    assert "extra.jpg" not in dataset.load(tiny).test_images


@pytest.mark.parametrize(
    ("query", "image"),
    [("a.jpg#0", "a.jpg"), ("a b#1.png#12", "a b#1.png"), ("a.jpg.1#3", "a.jpg.1")],
)
def test_own_image(query: str, image: str) -> None:
    assert dataset.own_image(query) == image


@given(st.text() | st.from_regex(r"[a/]*#[0-9٣]*", fullmatch=True))
def test_own_image_takes_the_id_apart_or_refuses(text: str) -> None:
    image, mark, number = text.rpartition("#")
    if mark and image.isalnum() and number.isdecimal() and number.isascii():
        assert dataset.own_image(text) == image
    elif not number.isdecimal() or not image or "/" in image:
        with pytest.raises(DataError, match="write <image file>#<number>"):
            dataset.own_image(text)


def test_describe_counts_pairs_and_equal_photos(tiny: Path) -> None:
    photos = sorted((tiny / "train_images").iterdir())
    shutil.copy(photos[0], photos[1])
    shutil.copy(photos[0], tiny / "test_images" / photos[0].name)
    listing = tiny / "test_images.csv"
    listing.write_text(f"{listing.read_text(encoding='utf-8')}{photos[0].name}\n", encoding="utf-8")
    summary = dataset.describe(dataset.load(tiny), compare_photos=True)
    assert (summary.images, summary.queries, summary.raters) == (12, 9, 3)
    assert (summary.expert_pairs, summary.crowd_pairs) == (45, 84)
    assert (summary.expert_own_caption_pairs, summary.crowd_own_caption_pairs) == (9, 12)
    assert sum(summary.grades.values()) == 3 * 45
    assert (summary.test_queries, summary.test_images, summary.images_in_both_parts) == (15, 4, 1)
    assert summary.duplicate_photos == ((photos[0].name, photos[1].name),)


@pytest.mark.archive
def test_the_real_archive_holds_what_is_known_of_it(archive: Path) -> None:
    loaded = dataset.load(archive, max_broken_share=0.0)
    assert dataset.describe(loaded) == dataset.DatasetSummary(
        images=1000,
        queries=977,
        raters=3,
        grades={1: 9797, 2: 4997, 3: 1701, 4: 971},
        expert_pairs=5822,
        expert_pairs_without_text=0,
        expert_own_caption_pairs=158,
        crowd_pairs=47830,
        crowd_pairs_without_text=47830 - 46721,
        crowd_own_caption_pairs=721,
        pairs_in_both=2329,
        test_queries=500,
        test_images=100,
        images_in_both_parts=0,
        skipped=0,
        duplicate_photos=None,
    )


@pytest.mark.archive
def test_every_photo_of_the_real_archive_can_be_decoded(archive: Path) -> None:
    assert dataset.load(archive, check_photos=True).skipped == ()
