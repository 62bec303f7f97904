"""The annotated archive on disk -> validated tables; no averaging.

The layout is that of the search_by_query archive, built on Flickr8k (Hodosh, Young and
Hockenmaier, 2013, "Framing Image Description as a Ranking Task").
"""

import csv
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from kadr.data import tables
from kadr.data.tables import UNREADABLE
from kadr.errors import DataError, ImageError
from kadr.photos import files
from kadr.photos.folders import SUFFIXES
from kadr.photos.images import decode
from kadr.types import GRADES, AnyPath, Dataset, Judgement, Problem, Query, Votes

TRAIN_QUERIES = "train_dataset.csv"
EXPERTS = "ExpertAnnotations.tsv"
CROWD = "CrowdAnnotations.tsv"
TEST_QUERIES = "test_queries.csv"
TEST_LIST = "test_images.csv"
TRAIN_IMAGES = "train_images"
TEST_IMAGES = "test_images"

MAX_BROKEN_SHARE = 0.01
SHARE_TOLERANCE = 1e-6
"""The archive prints shares with 15 digits; six still tell apart any counts a crowd reaches."""

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
GET_IT = "get it with `kadr data fetch DIR`, or a small made-up one with `kadr data generate DIR`"
SHOWN_PROBLEMS = 3

_QUERY_ID = re.compile(r"(?P<image>[^/\\\x00-\x1f]+)#[0-9]+")
MOST_VOTES = 10**9
_LINE_END = re.compile(r"\r\n|\n|\r")

Row = Mapping[str, str]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What an archive holds, in counts.

    A pair is one (query, image) that was judged; it is an own-caption pair where the query was
    written for that very image. `duplicate_photos` are groups of names whose files hold the same
    bytes, None where the photos weren't compared.
    """

    images: int
    queries: int
    raters: int
    grades: Mapping[int, int]
    expert_pairs: int
    expert_pairs_without_text: int
    expert_own_caption_pairs: int
    crowd_pairs: int
    crowd_pairs_without_text: int
    crowd_own_caption_pairs: int
    pairs_in_both: int
    test_queries: int
    test_images: int
    images_in_both_parts: int
    skipped: int
    duplicate_photos: tuple[tuple[str, ...], ...] | None


def load(
    folder: AnyPath, *, max_broken_share: float = MAX_BROKEN_SHARE, check_photos: bool = False
) -> Dataset:
    """Read and validate the archive in `folder`.

    A broken row or photo is left out and listed in `Dataset.skipped`; of two rows that contradict
    each other the first is kept. Judgements of a query whose text is unknown are kept: a step
    that needs the text leaves them out. `Query.image` is what the query's id names, whether that
    photo exists or not.

    Args:
        folder: Holds train_dataset.csv and the rest of the layout.
        max_broken_share: Share in [0, 1] of one file's rows, or one folder's photos, that may be
            broken.
        check_photos: Decode every photo. Otherwise only look that none is missing or empty.

    Raises:
        DataError: A part of the layout is missing or unreadable, or too much of it is broken.
    """
    folder = Path(folder)
    archive = _Archive(folder, max_broken_share, check_photos)
    archive.require(TRAIN_QUERIES, EXPERTS, CROWD, TRAIN_IMAGES)
    train_images = archive.photos(TRAIN_IMAGES)
    queries = _queries(archive, train_images)
    judgements = _judgements(archive, train_images)
    votes = _votes(archive, train_images)
    test_images, test_queries = _test_part(archive)
    return Dataset(
        folder=folder,
        queries=queries,
        judgements=judgements,
        votes=votes,
        test_queries=test_queries,
        train_images=train_images,
        test_images=test_images,
        digests=archive.digests,
        skipped=tuple(archive.skipped),
    )


def describe(dataset: Dataset, *, compare_photos: bool = False) -> DatasetSummary:
    """Count what the archive holds; `compare_photos` reads every photo to find equal files."""
    graded = {(judgement.query, judgement.image) for judgement in dataset.judgements}
    voted = {(votes.query, votes.image) for votes in dataset.votes}
    photos = {**dataset.train_images, **dataset.test_images}
    return DatasetSummary(
        images=len(dataset.train_images),
        queries=len(dataset.queries),
        raters=len({judgement.rater for judgement in dataset.judgements}),
        grades=dict(sorted(Counter(judgement.grade for judgement in dataset.judgements).items())),
        expert_pairs=len(graded),
        expert_pairs_without_text=sum(query not in dataset.queries for query, _ in graded),
        expert_own_caption_pairs=_own_captions(graded),
        crowd_pairs=len(voted),
        crowd_pairs_without_text=sum(query not in dataset.queries for query, _ in voted),
        crowd_own_caption_pairs=_own_captions(voted),
        pairs_in_both=len(graded & voted),
        test_queries=len(dataset.test_queries),
        test_images=len(dataset.test_images),
        images_in_both_parts=len(dataset.train_images.keys() & dataset.test_images.keys()),
        skipped=len(dataset.skipped),
        duplicate_photos=_same_bytes(photos) if compare_photos else None,
    )


def own_image(query_id: str) -> str:
    """Return the image file that a query was written for: the part before `#<n>` of its id.

    Raises:
        DataError: The id isn't of that form.
    """
    match = _QUERY_ID.fullmatch(query_id)
    if match is None:
        raise DataError(f"{_quoted(query_id)} is no query id: write <image file>#<number>")
    return match["image"]


def format_problem(problem: Problem) -> str:
    """Say in one line where a problem is, what it is and what to do."""
    row = "" if problem.row is None else f", row {problem.row}"
    column = "" if problem.column is None else f", {problem.column}"
    return f"{problem.file}{row}{column}: {problem.message}"


class _RowError(Exception):
    """One row can't be used: in which column, and why."""

    def __init__(self, column: str | None, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.message = message


@dataclass(frozen=True, slots=True)
class _Table:
    """One annotation file, not parsed yet: its numbered lines without blanks and header."""

    file: str
    columns: tuple[str, ...]
    lines: list[tuple[int, str]]
    delimiter: str
    quoted: bool

    def row(self, line: str) -> Row:
        """Split one line into its columns."""
        fields = _fields(line, self.delimiter, quoted=self.quoted)
        if len(fields) != len(self.columns):
            expected = ", ".join(self.columns)
            raise _RowError(None, f"{len(fields)} columns, expected {expected}: mend the row")
        row = dict(zip(self.columns, fields, strict=True))
        if UNREADABLE.search(line):
            column = next((name for name, text in row.items() if UNREADABLE.search(text)), None)
            raise _RowError(column, "bytes that are no UTF-8 text: save the file as UTF-8")
        return row


@dataclass
class _Archive:
    """Reads parts of one archive; remembers digests and what was left out."""

    folder: Path
    max_broken_share: float
    check_photos: bool
    digests: dict[str, str] = field(default_factory=dict)
    skipped: list[Problem] = field(default_factory=list)

    def require(self, *names: str) -> None:
        """Refuse a folder that lacks one of these files or folders."""
        try:
            present = {path.name for path in self.folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(f"{self.folder} is no folder: {GET_IT}") from None
        except OSError as error:
            raise _unreadable(self.folder, error) from error
        missing = [name for name in names if name not in present]
        if missing:
            raise DataError(f"{self.folder} lacks {', '.join(missing)}: {GET_IT}")

    def photos(self, name: str) -> dict[str, Path]:
        """Return the usable photos of one folder by file name, sorted."""
        try:
            entries = sorted(os.scandir(self.folder / name), key=lambda entry: entry.name)
        except OSError as error:
            raise _unreadable(self.folder / name, error) from error
        paths = [Path(entry.path) for entry in entries if not _is_system_file(entry.name)]
        if not paths:
            raise DataError(f"{self.folder / name} holds no photo: {GET_IT}")
        reasons = {path: _photo_fault(path, thorough=self.check_photos) for path in paths}
        broken = [
            Problem(f"{name}/{path.name}", None, None, reason)
            for path, reason in reasons.items()
            if reason is not None
        ]
        self._skip(name, broken, len(paths), "photos")
        return {path.name: path for path, reason in reasons.items() if reason is None}

    def csv_table(self, name: str, columns: tuple[str, ...], delimiter: str = ",") -> _Table:
        """Open a quoted table whose header names at least these columns."""
        lines, hint = self._lines(name)
        (number, line), *lines = lines
        delimiter = hint or tables.separator(line, columns, delimiter)
        try:
            header = tuple(map(tables.plain_name, _fields(line, delimiter, quoted=True)))
        except _RowError as error:
            raise DataError(f"{name}, row {number}: {error.message}") from error
        unclear = [column for column in columns if header.count(column) != 1]
        if unclear:
            raise DataError(
                f"{name}, row {number}: the header must name {', '.join(unclear)} once each"
                f" (separated by {delimiter!r}), it is {_quoted(line)}: mend it"
            )
        if not lines:
            raise DataError(f"{name} has a header and no rows: {GET_IT}")
        return _Table(name, header, lines, delimiter, quoted=True)

    def tsv_table(self, name: str, columns: Callable[[int], tuple[str, ...]]) -> _Table:
        """Open a table without header; `columns` names them, given how many most rows have."""
        lines, hint = self._lines(name)
        # The names of photos may hold any sign, but hardly those of most rows.
        signs = ("\t", ";", ",", "|")
        usual = (sign for sign in signs if sum(sign in line for _, line in lines) > len(lines) / 2)
        delimiter = hint or next(usual, "\t")
        if tables.plain_name(tables.split(lines[0][1], delimiter)[0]) == "image":
            lines = lines[1:] or lines
        widths = Counter(len(tables.split(line, delimiter)) for _, line in lines)
        return _Table(name, columns(widths.most_common(1)[0][0]), lines, delimiter, quoted=False)

    def records(
        self, table: _Table, parse: Callable[[Row], Record], key: Callable[[Record], Hashable]
    ) -> list[Record]:
        """Parse every row; list broken rows, and rows whose key an earlier row has."""
        first_rows: dict[Hashable, int] = {}
        records: list[Record] = []
        broken: list[Problem] = []
        for number, line in table.lines:
            try:
                record = parse(table.row(line))
                _refuse_repeat(first_rows.setdefault(key(record), number), number)
                records.append(record)
            except _RowError as error:
                broken.append(Problem(table.file, number, error.column, error.message))
        self._skip(table.file, broken, len(table.lines), "rows")
        return records

    def _lines(self, name: str) -> tuple[list[tuple[int, str]], str | None]:
        """Return the lines that aren't blank with their numbers from 1; note the digest.

        Beside them is the separator, where the file's first line names it.
        """
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise _unreadable(self.folder / name, error) from error
        self.digests[name] = files.digest(content)
        # Bytes that are no text become lone surrogates, so that only their own rows are lost.
        text, hint = tables.hinted(tables.decode(content))
        lines = enumerate(_LINE_END.split(text), start=1 if hint is None else 2)
        filled = [(number, line) for number, line in lines if line.strip()]
        if not filled:
            raise DataError(f"{name} is empty: {GET_IT}")
        return filled, hint

    def _skip(self, name: str, broken: list[Problem], total: int, things: str) -> None:
        """List what is broken; refuse where it is too much."""
        self.skipped.extend(broken)
        limit = math.floor(self.max_broken_share * total)
        if len(broken) <= limit:
            return
        shown = "; ".join(format_problem(problem) for problem in broken[:SHOWN_PROBLEMS])
        more = len(broken) - SHOWN_PROBLEMS
        rest = f"; and {more:,} more" if more > 0 else ""
        raise DataError(
            f"{name}: {len(broken):,} of {total:,} {things} are broken, the limit is {limit:,}"
            f" ({self.max_broken_share:.1%}). {shown}{rest}."
            " Mend them, or get the archive again with `kadr data fetch DIR`."
        )


def _queries(archive: _Archive, images: Mapping[str, Path]) -> dict[str, Query]:
    queries: dict[str, Query] = {}

    def parse(row: Row) -> tuple[str, str]:
        image = _known_image(row, images, TRAIN_IMAGES)
        query = _query(row)
        if queries.setdefault(query.id, query) != query:
            first = _quoted(queries[query.id].text)
            raise _RowError("query_text", f"{query.id} was {first} before: keep one text")
        return query.id, image

    table = archive.csv_table(TRAIN_QUERIES, ("image", "query_id", "query_text"))
    archive.records(table, parse, key=lambda pair: pair)
    return queries


def _judgements(archive: _Archive, images: Mapping[str, Path]) -> tuple[Judgement, ...]:
    def columns(width: int) -> tuple[str, ...]:
        grades = (f"grade {rater}" for rater in range(1, max(width - 2, 1) + 1))
        return ("image", "query_id", *grades)

    table = archive.tsv_table(EXPERTS, columns)

    def parse(row: Row) -> tuple[Judgement, ...]:
        image, query = _known_image(row, images, TRAIN_IMAGES), _query_id(row)
        return tuple(
            Judgement(query, image, column.removeprefix("grade "), _grade(row, column))
            for column in table.columns[2:]
        )

    panels = archive.records(table, parse, key=lambda panel: (panel[0].query, panel[0].image))
    return tuple(judgement for panel in panels for judgement in panel)


def _votes(archive: _Archive, images: Mapping[str, Path]) -> tuple[Votes, ...]:
    def parse(row: Row) -> Votes:
        image, query = _known_image(row, images, TRAIN_IMAGES), _query_id(row)
        yes, no = _count(row, "yes"), _count(row, "no")
        _check_share(row, yes, no)
        return Votes(query, image, yes, no)

    table = archive.tsv_table(CROWD, lambda _: ("image", "query_id", "share", "yes", "no"))
    return tuple(archive.records(table, parse, key=lambda votes: (votes.query, votes.image)))


def _test_part(archive: _Archive) -> tuple[dict[str, Path], tuple[Query, ...]]:
    if not any((archive.folder / name).exists() for name in (TEST_QUERIES, TEST_LIST)):
        message = f"{TEST_LIST} is missing too, so there is no test part: {GET_IT}"
        archive.skipped.append(Problem(TEST_QUERIES, None, None, message))
        return {}, ()
    archive.require(TEST_QUERIES, TEST_LIST, TEST_IMAGES)
    images = _test_images(archive)

    def parse(row: Row) -> Query:
        image = _known_image(row, images, TEST_IMAGES)
        query = _query(row)
        if query.image != image:
            message = f"{_quoted(image)}, but {query.id} belongs to {query.image}: mend one"
            raise _RowError("image", message)
        return query

    table = archive.csv_table(TEST_QUERIES, ("query_id", "query_text", "image"), delimiter="|")
    return images, tuple(archive.records(table, parse, key=lambda query: query.id))


def _test_images(archive: _Archive) -> dict[str, Path]:
    photos = archive.photos(TEST_IMAGES)
    listed = archive.records(
        archive.csv_table(TEST_LIST, ("image",)),
        lambda row: _known_image(row, photos, TEST_IMAGES),
        key=lambda name: name,
    )
    for name in sorted(photos.keys() - set(listed)):
        message = f"not listed in {TEST_LIST}, left out: list it there"
        archive.skipped.append(Problem(f"{TEST_IMAGES}/{name}", None, None, message))
    return {name: photos[name] for name in sorted(listed)}


def _fields(line: str, delimiter: str, *, quoted: bool) -> list[str]:
    if not quoted:
        return tables.split(line, delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        # One line at a time: a quote left open must not swallow the rows below it.
        raise _RowError(None, f"{error}: quote the text properly, on one line") from error


def _refuse_repeat(first: int, number: int) -> None:
    if first != number:
        raise _RowError(None, f"judges or names again what row {first} does: remove one")


def _known_image(row: Row, images: Mapping[str, Path], folder: str) -> str:
    image = row["image"] if row["image"] in images else row["image"].strip()
    if image not in images:
        message = f"no usable photo {folder}/{_quoted(image)}: add it or remove the row"
        raise _RowError("image", message)
    return image


def _query(row: Row) -> Query:
    query_id, text = _query_id(row), row["query_text"]
    if not text.strip():
        raise _RowError("query_text", "empty: write the text or remove the row")
    return Query(query_id, text, own_image(query_id))


def _query_id(row: Row) -> str:
    query_id = row["query_id"].strip()
    try:
        own_image(query_id)
    except DataError as error:
        raise _RowError("query_id", str(error)) from error
    return query_id


def _grade(row: Row, column: str) -> int:
    grade = tables.number(row[column])
    if grade not in GRADES:
        raise _RowError(column, f"{_quoted(row[column])} is no grade: write 1, 2, 3 or 4")
    return int(grade)


def _count(row: Row, column: str) -> int:
    count = tables.number(row[column])
    if not (0 <= count < MOST_VOTES and count == int(count)):
        raise _RowError(column, f"{_quoted(row[column])} is no count: write a whole number")
    return int(count)


def _check_share(row: Row, yes: int, no: int) -> None:
    if yes + no == 0:
        raise _RowError("yes", "nobody voted: remove the row")
    share = tables.number(row["share"])
    # Written so that nan fails too.
    if not abs(share - yes / (yes + no)) <= SHARE_TOLERANCE:
        votes = f"{yes} yes and {no} no"
        raise _RowError("share", f"{_quoted(row['share'])} isn't the share of {votes}: mend one")


def _photo_fault(path: Path, *, thorough: bool) -> str | None:
    """Say why a file is no usable photo; None where it is one."""
    try:
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            return "no photo: move it elsewhere"
        if path.stat().st_size == 0:
            return "empty: get the photo again"
        if thorough:
            decode(path, 1)  # as search does; the smallest size reads the whole file too
    except (OSError, ImageError) as error:
        cause = error.__cause__ or error  # what the decoder said
        return f"can't be read ({type(cause).__name__}: {cause}): get the photo again"
    return None


def _is_system_file(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _own_captions(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(own_image(query) == image for query, image in pairs)


def _same_bytes(photos: Mapping[str, Path]) -> tuple[tuple[str, ...], ...]:
    names: dict[str, list[str]] = defaultdict(list)
    for name, path in sorted(photos.items()):
        try:
            names[files.digest(path)].append(name)
        except OSError as error:
            raise _unreadable(path, error) from error
    return tuple(tuple(group) for group in names.values() if len(group) > 1)


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path} can't be read ({error.strerror or error}): mend its rights or {GET_IT}"
    )


def _quoted(text: str) -> str:
    """Show a value from a file safely: escaped, and short."""
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
