"""What was encoded elsewhere, loaded: the library that indexing makes, and no stranger's rows."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from encoded_photos import encoded, rows, shelf
from kadr.encoding.parts import Output
from kadr.encoding.rows import Row
from kadr.errors import DataError, LibraryError
from kadr.law import policy as law
from kadr.law.faces import Faces
from kadr.law.policy import Policy
from kadr.library import load
from kadr.library.ingest import IndexCallbacks
from kadr.library.library import Library
from kadr.library.load import Loaded
from kadr.matcher import bundle
from kadr.stores import open_store
from kadr.types import Vectors
from libraries import assert_same, colour_matcher, content, corner_matcher, paint

UNDER_16 = law.preset("under-16")
READABLE, CONTENTS = 11, 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.save(colour_matcher(), tmp_path_factory.mktemp("model") / "colours")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return shelf(tmp_path / "photos")


@pytest.fixture
def loaded(model: Path, photos: Path) -> Callable[..., Loaded]:
    def run(library: Path, out: Path | str, policy: Policy | str = "none", **more: Any) -> Loaded:
        at = {"at": photos} if photos.is_dir() else {}  # a person names it, once
        with Library.open(library, model=model, policy=policy) as opened:
            return opened.load_encoded(os.fspath(out), **(at | more))

    return run


def everything(path: Path) -> dict[str, Any]:
    """What `content` leaves out: all hashes, sets of vectors, assessments, copies, by digest.

    Probabilities to 12 places: a product of matrices depends on how many rows it has.
    """
    with closing(sqlite3.connect(path)) as base:
        sets = base.execute("SELECT id, encoder FROM vector_sets").fetchall()
        found = {
            "parts": "SELECT digest, hashes FROM parts JOIN photos p ON p.id = photo",
            "assessments": "SELECT digest, words, scene, faces, failed, probability, version"
            " FROM assessments JOIN photos p ON p.id = photo",
            "copies": "SELECT p.digest, c.digest, c.probability FROM copies c"
            " JOIN photos p ON p.id = c.photo",
            **{
                encoder: f"SELECT digest, vector FROM vectors_{id_} JOIN photos p ON p.id = photo"
                for id_, encoder in sets
            },
        }
        return {
            name: {tuple(map(_rounded, row)) for row in base.execute(statement)}
            for name, statement in found.items()
        }


def _rounded(value: object) -> object:
    return round(value, 12) if isinstance(value, float) else value


def assert_alike(one: Path, other: Path) -> None:
    """Whether two libraries hold the same; a log tells when what was written, so it differs."""
    first, second = content(one), content(other)
    named = ({k: c.meta[k] for k in ("encoder", "space")} for c in (first, second))
    metas: list[dict[str, str]] = [dict.fromkeys(("model", "ids"), "") | meta for meta in named]
    assert_same(replace(first, meta=metas[0]), replace(second, meta=metas[1]))
    assert everything(one) == everything(other)


@pytest.mark.parametrize("policy", [law.preset("none"), UNDER_16], ids=lambda policy: policy.name)
def test_it_is_the_library_that_indexing_makes(
    photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded], policy: Policy
) -> None:
    """Bit by bit: files with size and time, problems, facts, hashes, vectors, assessments."""
    one, other = tmp_path / "one.kadr", tmp_path / "other.kadr"
    encoded(photos, tmp_path / "out", model, policy)
    result = loaded(one, tmp_path / "out", policy)
    with Library.open(other, model=model, policy=policy) as library:
        indexed = library.index([photos])
        problems = library.problems()
    assert_alike(one, other)
    assert (result.files, result.loaded, result.known) == (15, CONTENTS, 1)
    assert (result.loaded, result.known, result.skipped) == (
        indexed.encoded, indexed.known, indexed.skipped,
    )  # fmt: skip
    with Library.open(one, model=model, policy=policy) as library:
        assert library.problems() == problems
        assert library.folders == (photos,)
        assert list(library.verify()) == []
        again = library.index()  # and it finds nothing to do
    assert (again.encoded, again.known, again.gone) == (0, 0, 0)


@pytest.mark.parametrize("encoded_under", [law.preset("none"), UNDER_16])
@pytest.mark.parametrize("loaded_under", [law.preset("none"), UNDER_16])
def test_a_law_may_come_before_or_after(
    photos: Path,
    model: Path,
    tmp_path: Path,
    loaded: Callable[..., Loaded],
    encoded_under: Policy,
    loaded_under: Policy,
) -> None:
    """What the law needs and the rows don't hold is made from the photos."""
    one, other = tmp_path / "one.kadr", tmp_path / "other.kadr"
    encoded(photos, tmp_path / "out", model, encoded_under)
    loaded(one, tmp_path / "out", loaded_under)
    with Library.open(other, model=model, policy=loaded_under) as library:
        library.index([photos])
    if loaded_under is UNDER_16:
        assert_alike(one, other)
    else:  # the rows may hold what a law will want
        assert everything(one)["parts"] == everything(other)["parts"]


def test_a_second_loading_does_only_what_is_new(
    photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
) -> None:
    library, out = tmp_path / "l.kadr", tmp_path / "out"
    encoded(photos, out, model)
    loaded(library, out)
    before = content(library)
    again = loaded(library, out)
    # What is no file has no size to be known again by.
    assert (again.files, again.unchanged, again.skipped) == (15, 14, 1)
    assert_same(content(library), before)
    paint(photos / "new.png", 60)
    encoded(photos, out, model)
    third = loaded(library, out)
    # Encoding tried the pipe again, in vain: of its two rows one says it all.
    assert (third.files, third.loaded, third.unchanged, third.skipped) == (17, 1, 15, 1)


def test_what_changed_since_or_is_gone_is_not_loaded(
    photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
) -> None:
    library, out = tmp_path / "l.kadr", tmp_path / "out"
    encoded(photos, out, model)
    paint(photos / "0.png", 70)
    (photos / "1.png").unlink()
    result = loaded(library, out)
    assert (result.changed, result.gone) == (1, 1)
    assert not {str(photos / "0.png"), str(photos / "1.png")} & content(library).files.keys()
    encoded(photos, out, model)  # both rows of 0.png are there now; the file tells which counts
    assert loaded(library, out).loaded == 1
    with Library.open(library, model=model) as opened:
        assert list(opened.verify()) == []


def test_a_missing_file_that_is_back(
    photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
) -> None:
    library, out = tmp_path / "l.kadr", tmp_path / "out"
    encoded(photos, out, model)
    loaded(library, out)
    away = (photos / "0.png").rename(tmp_path / "0.png")
    with Library.open(library, model=model) as opened:
        opened.index()
    away.rename(photos / "0.png")
    assert loaded(library, out).known == 1
    assert content(library).files[str(photos / "0.png")][2] == 0


@pytest.mark.parametrize("at", range(1, 4))
def test_a_loading_killed_anywhere_goes_on(
    photos: Path,
    model: Path,
    tmp_path: Path,
    loaded: Callable[..., Loaded],
    at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other, out = tmp_path / "one.kadr", tmp_path / "other.kadr", tmp_path / "out"
    encoded(photos, out, model, UNDER_16)
    calls = 0

    class Killed(BaseException):
        pass

    def dying(self: Library, *arguments: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed
        assess(self, *arguments, **named)

    assess = Library._assess
    monkeypatch.setattr(Library, "_assess", dying)
    with pytest.raises(Killed):
        loaded(one, out, UNDER_16)
    monkeypatch.undo()
    with closing(sqlite3.connect(one)) as base:  # no photo without its assessment
        assert base.execute(
            "SELECT count(*) FROM photos WHERE encoded AND id NOT IN"
            " (SELECT photo FROM assessments)"
        ).fetchone() == (0,)
    loaded(one, out, UNDER_16)
    loaded(other, out, UNDER_16)
    assert_alike(one, other)


class TestPlaces:
    def test_the_same_tree_elsewhere(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        encoded(photos, tmp_path / "out", model)
        moved = photos.rename(tmp_path / "moved")
        with pytest.raises(DataError, match=r"photos: no such folder"):
            loaded(tmp_path / "l.kadr", tmp_path / "out", at=photos)
        assert loaded(tmp_path / "l.kadr", tmp_path / "out", at=moved).loaded == CONTENTS
        with Library.open(tmp_path / "l.kadr", model=model) as opened:
            assert opened.folders == (moved,)
            again = opened.index()
        assert (again.encoded, again.known, again.unchanged) == (0, 0, READABLE)

    def test_a_mount_of_an_object_store(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        """Times are the mount's own, so that the next indexing finds nothing changed."""
        encoded(photos, tmp_path / "out", model)
        remote(tmp_path / "out", photos, "s3://bucket/in")
        with pytest.raises(LibraryError, match=r"s3://bucket/in.*--at s3://bucket/in"):
            loaded(tmp_path / "l.kadr", tmp_path / "out", at=None)
        (photos / "2.png").write_bytes(b"longer than it was")
        result = loaded(tmp_path / "l.kadr", tmp_path / "out", at=photos)
        assert (result.loaded, result.changed) == (CONTENTS - 1, 1)
        with Library.open(tmp_path / "l.kadr", model=model) as opened:
            again = opened.index()
        assert (again.encoded, again.unchanged) == (0, READABLE - 1)

    def test_of_two_versions_of_an_object_the_later_counts(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        encoded(photos, tmp_path / "out", model)
        first = (photos / "0.png").read_bytes()
        size = len(first)
        while len((paint(photos / "0.png", 80)).read_bytes()) != size:
            (photos / "0.png").write_bytes((photos / "0.png").read_bytes()[:size].ljust(size))
            break
        os.utime(photos / "0.png", ns=(2**62, 2**62))
        encoded(photos, tmp_path / "out", model)
        remote(tmp_path / "out", photos, "s3://bucket/in")
        loaded(tmp_path / "l.kadr", tmp_path / "out", at=photos)
        with Library.open(tmp_path / "l.kadr", model=model) as opened:
            assert list(opened.verify()) == []

    def test_a_list_adds_no_folder(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        """Else the next indexing would read the whole disk."""
        parquet.write_table(pa.table({"path": [str(photos / "0.png")]}), tmp_path / "l.parquet")
        encoded(tmp_path / "l.parquet", tmp_path / "out", model)
        assert loaded(tmp_path / "l.kadr", tmp_path / "out", at=Path("/")).loaded == 1
        with Library.open(tmp_path / "l.kadr", model=model) as opened:
            assert opened.folders == ()
            assert opened.totals().photos == 1

    def test_a_folder_that_no_person_named_is_refused(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        """A stranger's part chooses no folder, not even by naming no photo in it."""
        library, out = tmp_path / "l.kadr", tmp_path / "out"
        encoded(photos, out, model)
        for name in Output(str(out)).names()[1:]:
            Path(name).unlink()
        (name,) = Output(str(out)).names()
        for listed, change in ((False, {}), (True, {}), (False, {"root": "/"})):
            forge(name, lambda row: row, **{"root": str(photos), "listed": listed, **change})
            with pytest.raises(LibraryError, match=r"in no folder of the library.*--at /"):
                loaded(library, out, at=None)
        with Library.open(library, model=model) as opened:
            assert opened.folders == ()
            opened.index([photos])
        for listed in (False, True):
            forge(name, lambda row: row, root=str(photos), listed=listed)
            assert loaded(library, out, at=None).unchanged > 0

    def test_what_indexing_leaves_out_is_not_loaded(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        library, out, more = tmp_path / "l.kadr", tmp_path / "out", photos / "ünï"
        (photos / "link").symlink_to(more)
        encoded(photos, out, model)
        hidden = (".hidden/0.png", "link/café.png")

        def forged(row: dict[str, Any]) -> dict[str, Any]:
            path = Path(os.fsdecode(row["path"]))
            other = {"0.png": hidden[0], "1.png": hidden[1]}.get(path.name)
            if other is None:
                return row
            file = photos / other
            size, modified = file.stat().st_size, file.stat().st_mtime_ns
            return row | {"path": os.fsencode(file), "size": size, "modified": modified}

        for name in Output(str(out)).names():
            forge(name, forged)
        with Library.open(library, model=model) as opened:
            opened.exclude(photos, ["our kids/"])
        result = loaded(library, out)
        assert result.ignored == 4
        found = content(library).files
        assert not any(word in path for path in found for word in ("kids", ".hidden", "link"))

    def test_a_content_that_is_not_the_file_s_is_refused(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        """Else its vector would be that of another photo, which is indexed later."""
        library, out = tmp_path / "l.kadr", tmp_path / "out"
        encoded(photos, out, model)
        target = bytes(range(32))

        def forged(row: dict[str, Any]) -> dict[str, Any]:
            return row | {"digest": target} if row["path"].endswith(b"/5.png") else row

        for name in Output(str(out)).names():
            forge(name, forged)
        assert loaded(library, out).changed == 1
        assert target.hex() not in {str(file[3]) for file in content(library).files.values()}
        with Library.open(library, model=model) as opened:
            assert not opened.store.knows(target.hex())

    @pytest.mark.parametrize(
        "key", ["../x.jpg", "a/../../x.jpg", "/etc/x.jpg", "a//b.jpg", "./b.jpg"]
    )
    def test_a_strange_key_is_skipped(
        self, photos: Path, model: Path, tmp_path: Path, key: str
    ) -> None:
        """Whoever may write one object could else keep all others out."""
        out = tmp_path / "out"
        encoded(photos, out, model)
        remote(out, photos, "s3://bucket/in")
        strange = {"path": f"s3://bucket/in/{key}".encode()}
        for name in Output(str(out)).names():
            forge(name, lambda row: row | (strange if row["path"].endswith(b"/0.png") else {}))
        skipped: list[tuple[Path, str]] = []
        with Library.open(tmp_path / "l.kadr", model=model) as opened:
            told = IndexCallbacks(skip=lambda path, why: skipped.append((path, why)))
            result = opened.load_encoded(str(out), at=photos, callbacks=told)
        assert result.loaded == CONTENTS - 1
        assert "no place below s3://bucket/in has its name" in {why for _, why in skipped}

    @pytest.mark.parametrize("path", ["/photos/a.png", "/photosx/a.png", "//etc/a.png"])
    def test_a_row_beside_the_root_is_refused(self, path: str) -> None:
        with pytest.raises(LibraryError, match="no place below /photos/in"):
            load.Place("/photos/in", Path("/x"), remote=False).path(Row(path, 1, 1))


def remote(out: Path, photos: Path, root: str) -> None:
    """Make an output look as one of an object store, whose times are its own."""
    for name in Output(str(out)).names():
        table = parquet.ParquetFile(name).read()
        note = json.loads(table.schema.metadata[b"kadr"]) | {"root": root}
        paths = [
            path.replace(os.fsencode(photos), root.encode()) for path in table["path"].to_pylist()
        ]
        times = [time + 7 for time in table["modified"].to_pylist()]
        for column, values, kind in (("path", paths, pa.binary()), ("modified", times, pa.int64())):
            place = table.schema.get_field_index(column)
            field = pa.field(column, kind, nullable=False)
            table = table.set_column(place, field, pa.array(values, kind))
        table = table.replace_schema_metadata({b"kadr": json.dumps(note).encode()})
        parquet.write_table(table, name)


def forge(name: str, change: Callable[[dict[str, Any]], dict[str, Any]], **note: Any) -> None:
    """Write a part's file anew, with other rows and notes, as a stranger may."""
    table = parquet.ParquetFile(name).read()
    noted = json.loads(table.schema.metadata[b"kadr"]) | note
    said = table.schema.with_metadata({b"kadr": json.dumps(noted).encode()})
    forged = pa.Table.from_pylist([change(row) for row in table.to_pylist()], schema=said)
    parquet.write_table(forged, name)


class TestRefused:
    def test_vectors_of_another_encoder(self, photos: Path, model: Path, tmp_path: Path) -> None:
        encoded(photos, tmp_path / "out", model)
        other = bundle.save(corner_matcher(), tmp_path / "corners")
        with (
            Library.open(tmp_path / "l.kadr", model=other) as opened,
            pytest.raises(LibraryError, match=r"holds vectors of fake-colour.*--model MODEL"),
        ):
            opened.load_encoded(str(tmp_path / "out"), at=photos)
        assert content(tmp_path / "l.kadr").files == {}

    def test_a_library_of_another_encoder(self, photos: Path, model: Path, tmp_path: Path) -> None:
        encoded(photos, tmp_path / "out", model)
        with Library.open(tmp_path / "l.kadr", model=corner_matcher()) as opened:
            opened.index([photos])
        with (
            Library.open(tmp_path / "l.kadr", model=model) as opened,
            pytest.raises(LibraryError, match="--reencode"),
        ):
            opened.load_encoded(str(tmp_path / "out"), at=photos)

    @pytest.mark.parametrize(
        "law",
        [
            {"law_dim": 7},
            {"law_encoder": "another"},
            {"law_encoder": "fake-colour"},
        ],
    )
    def test_vectors_that_the_law_does_not_take(
        self, photos: Path, model: Path, tmp_path: Path, law: dict[str, Any]
    ) -> None:
        """One of another length would end every search."""
        encoded(photos, tmp_path / "out", model, UNDER_16)
        for name in Output(str(tmp_path / "out")).names():
            forge(name, lambda row: row, **law)
        with (
            Library.open(tmp_path / "l.kadr", model=model, policy="none") as opened,
            pytest.raises(LibraryError, match=r"for the law, which takes those of mini.*Encode"),
        ):
            opened.load_encoded(str(tmp_path / "out"), at=photos)
        assert content(tmp_path / "l.kadr").files == {}

    @pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda _: None])
    def test_a_place_that_holds_nothing(
        self,
        tmp_path: Path,
        loaded: Callable[..., Loaded],
        make: Callable[[Path], None],
    ) -> None:
        make(tmp_path / "out")
        with pytest.raises(DataError, match="out"):
            loaded(tmp_path / "l.kadr", tmp_path / "out")

    def test_a_damaged_row_ends_it_and_keeps_what_came_before(
        self, photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
    ) -> None:
        encoded(photos, tmp_path / "out", model)
        *_, last = Output(str(tmp_path / "out")).names()
        table = parquet.ParquetFile(last).read()
        vectors = [None if v is None else [*v[:-1], np.nan] for v in table["vector"].to_pylist()]
        place = table.schema.get_field_index("vector")
        column = pa.array(vectors, table.schema.field("vector").type)
        parquet.write_table(table.set_column(place, table.schema.field("vector"), column), last)
        with pytest.raises(DataError, match=r"part-.*row \d is wrong"):
            loaded(tmp_path / "l.kadr", tmp_path / "out")
        found = content(tmp_path / "l.kadr").files
        assert 0 < len(found) < 15


class Counting(Faces):
    """Faces that a test finds; counts how often somebody looks."""

    def __init__(self, ages: tuple[float, ...]) -> None:
        self.version, self.ages, self.looked = "counting", ages, 0

    def find(self, image: Any) -> tuple[float, ...]:
        self.looked += 1
        return self.ages


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Counting:
    found = Counting((4.0,))
    monkeypatch.setattr("kadr.law.assessor.Faces", lambda: found)
    return found


ALWAYS = replace(UNDER_16, faces="always")


def test_faces_that_a_worker_saw_are_not_looked_for_again(
    photos: Path,
    model: Path,
    tmp_path: Path,
    loaded: Callable[..., Loaded],
    finder: Counting,
) -> None:
    encoded(photos, tmp_path / "out", model, ALWAYS)
    looked = finder.looked
    assert looked == READABLE
    loaded(tmp_path / "l.kadr", tmp_path / "out", ALWAYS)
    # A content with two names is looked at once more: its second name makes its record void.
    assert finder.looked <= looked + 1
    with Library.open(tmp_path / "other.kadr", model=model, policy=ALWAYS) as library:
        library.index([photos])
    assert everything(tmp_path / "l.kadr") == everything(tmp_path / "other.kadr")


def test_a_law_doesn_t_believe_what_a_row_says_of_itself(
    photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
) -> None:
    """The photo's name and vector count, whatever the row's assessment claims."""
    encoded(photos, tmp_path / "out", model, UNDER_16)
    claim = {"words": [], "scene": 0.0, "faces": None, "failed": [], "probability": 0.0}
    for name in Output(str(tmp_path / "out")).names():
        table = parquet.ParquetFile(name).read()
        field = table.schema.field("assessment")
        claims = [
            None if one is None else claim | {"version": one["version"]}
            for one in table["assessment"].to_pylist()
        ]
        place = table.schema.get_field_index("assessment")
        parquet.write_table(table.set_column(place, field, pa.array(claims, field.type)), name)
    loaded(tmp_path / "l.kadr", tmp_path / "out", UNDER_16)
    with Library.open(tmp_path / "other.kadr", model=model, policy=UNDER_16) as library:
        library.index([photos])
    assert everything(tmp_path / "l.kadr") == everything(tmp_path / "other.kadr")


def test_progress_and_skips_are_told(photos: Path, model: Path, tmp_path: Path) -> None:
    encoded(photos, tmp_path / "out", model)
    progress: list[Sequence[int]] = []
    skipped: list[Path] = []
    with Library.open(tmp_path / "l.kadr", model=model) as opened:
        opened.load_encoded(
            str(tmp_path / "out"),
            at=photos,
            callbacks=IndexCallbacks(
                lambda *counts: progress.append(counts), lambda path, _: skipped.append(path)
            ),
        )
    assert progress[0] == (0, 0, 15)
    assert progress[-1] == (15, 4, 15)
    assert sorted(path.name for path in skipped) == [
        "broken too.jpg", "broken.jpg", "empty.png", "pipe.png",
    ]  # fmt: skip


def test_vectors_are_bit_equal(
    photos: Path, model: Path, tmp_path: Path, loaded: Callable[..., Loaded]
) -> None:
    encoded(photos, tmp_path / "out", model)
    loaded(tmp_path / "l.kadr", tmp_path / "out")
    store = open_store(tmp_path / "l.kadr")
    try:
        for row in rows(tmp_path / "out"):
            if row.photo is None or row.photo.vector is None:
                continue
            _, (vector,) = store.vectors(store.numbers([row.photo.digest]))
            wanted: Vectors = row.photo.vector
            assert vector.tobytes() == wanted.tobytes()
    finally:
        store.close()
    shutil.rmtree(tmp_path / "out")
