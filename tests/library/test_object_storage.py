"""Photos in object storage, in a library: from encoding to answers, by the real command line."""

import json
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from encoded_photos import encoded, rows
from kadr.errors import DataError, ImageError, LibraryError, MissingExtraError
from kadr.law import policy as law
from kadr.library import filters
from kadr.library.catalogue import PhotoObject
from kadr.library.ingest import IndexCallbacks
from kadr.library.library import Library
from kadr.matcher import bundle
from kadr.photos import files, object_store, reader
from kadr.photos.objects import NO_PATH, is_object, located
from libraries import colour_matcher, paint

UNDER_16 = law.preset("under-16")
COUNT = 6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.save(colour_matcher(), tmp_path_factory.mktemp("model") / "colours")


@pytest.fixture
def photos(tmp_path: Path, bucket: Any) -> Path:
    """Give photos that are in the bucket too, below in/."""
    folder = tmp_path / "photos"
    for number in range(COUNT):
        put(
            bucket,
            paint(folder / ("old" if number % 2 else "new") / f"{number}.bmp", number, "BMP"),
        )
    return folder


def put(bucket: Any, path: Path) -> str:
    key = f"in/{path.parent.name}/{path.name}"
    bucket.upload_file(str(path), key)
    return f"s3://{bucket.name}/{key}"


@pytest.fixture
def library(bucket: Any, photos: Path, model: Path, tmp_path: Path) -> Path:
    """Give a library of the bucket's photos."""
    encoded(f"s3://{bucket.name}/in", tmp_path / "out", model)
    with Library.open(tmp_path / "l.kadr", model=model) as opened:
        loaded = opened.load_encoded(str(tmp_path / "out"), at=located(f"s3://{bucket.name}/in"))
    assert (loaded.files, loaded.loaded) == (COUNT, COUNT)
    return tmp_path / "l.kadr"


def again(library: Path, bucket: Any, model: Path, tmp_path: Path) -> Any:
    encoded(f"s3://{bucket.name}/in", tmp_path / "out", model)
    with Library.open(library, model=model) as opened:
        return opened.load_encoded(str(tmp_path / "out"))


def shown(library: Path, **options: Any) -> set[str]:
    with Library.open(library, **options) as opened:
        return {str(hit.image.path) for hit in opened.search("a red dog", 50).hits}


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kadr(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process: exit code, stdout, stderr."""
    from kadr.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "_end", sys.exit)  # with Daft there it would end this process

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["kadr", *map(str, words)])
        code = 0
        try:
            main.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def test_answers_name_urls(
    kadr: Run, library: Path, bucket: Any, photos: Path, tmp_path: Path
) -> None:
    root = f"s3://{bucket.name}/in"
    search = ("search", "a red dog", "--library", library, "-n", "50", "--json")
    code, out, _ = kadr(*search)
    paths = [hit["path"] for hit in json.loads(out)["hits"]]
    assert sorted(paths) == sorted(
        f"{root}/{path.relative_to(photos)}" for path in photos.rglob("*.bmp")
    )
    _, out, _ = kadr(*search, "--in", f"{root}/old")
    assert {hit["path"].split("/")[4] for hit in json.loads(out)["hits"]} == {"old"}
    code, out, _ = kadr("library", "--library", library)
    assert f"  {root}\n" in out
    assert json.loads(kadr("library", "--library", library, "--json")[1])["folders"] == [root]
    copies = tmp_path / "copies"
    code, *_ = kadr(*search, "--at-least", "0", "--copy-to", copies, "--sheet", tmp_path / "s.html")
    assert code == 0
    assert {files.digest(one) for one in copies.iterdir()} == {
        files.digest(one) for one in photos.rglob("*.bmp")
    }
    assert (tmp_path / "s.html").read_text().count("<img") >= COUNT
    code, _, err = kadr(*search, "--at-least", "0", "--open")
    assert (code, err.count("\n")) == (2, 1)
    assert "--copy-to FOLDER" in err


def test_what_is_like_an_object(kadr: Run, library: Path, bucket: Any) -> None:
    """It is left out itself, as a file of the library is."""
    root = f"s3://{bucket.name}/in"
    code, out, _ = kadr("similar", f"{root}/new/0.bmp", "--library", library, "--json")
    paths = {hit["path"] for hit in json.loads(out)["hits"]}
    assert (code, len(paths)) == (0, COUNT - 1)
    assert f"{root}/new/0.bmp" not in paths
    code, _, err = kadr("similar", f"{root}/nothing.jpg", "--library", library)
    assert code == 2
    assert f"{root}/nothing.jpg: can't be read (it isn't there)" in err


def test_indexing_leaves_them_alone(
    kadr: Run, library: Path, bucket: Any, model: Path, tmp_path: Path
) -> None:
    root = f"s3://{bucket.name}/in"
    for words in (("index", root), ("index",), ("index", "--watch")):
        code, out, err = kadr(*words, "--library", library)
        assert code == 2, (out, err)
        assert f"kadr encode {root} --to OUT, then kadr index --from OUT" in err
        assert err.count("\n") == 1
    assert kadr("index", "s3://nothing/at-all", "--library", tmp_path / "new.kadr")[0] == 2
    assert not (tmp_path / "new.kadr").exists()
    paint(tmp_path / "here" / "a.png", 40)
    with Library.open(library, model=model) as opened:
        result = opened.index([tmp_path / "here"])
        assert (result.encoded, result.gone) == (1, 0)
        assert opened.index(prune=True).gone == 0
        assert list(opened.ignored()) == []
        assert list(opened.verify()) == []
    assert len(shown(library)) == COUNT + 1


def test_what_changed_or_is_gone_in_the_store(
    library: Path, bucket: Any, photos: Path, model: Path, tmp_path: Path
) -> None:
    changed = put(bucket, paint(photos / "new" / "0.bmp", 50, "TIFF"))
    gone = f"s3://{bucket.name}/in/old/1.bmp"
    bucket.Object("in/old/1.bmp").delete()
    with Library.open(library) as opened:
        assert sorted(opened.verify()) == [
            f"{changed}: changed since it was indexed. Run kadr index.",
            f"{gone}: can't be read (it isn't there)",
        ]
        found = opened.store.digest_at(located(gone))
        assert found is not None
    assert gone in shown(library)  # nobody has asked
    result = again(library, bucket, model, tmp_path)
    assert (result.loaded, result.gone) == (1, 1)
    assert shown(library) == {
        *(f"s3://{bucket.name}/in/new/{n}.bmp" for n in (0, 2, 4)),
        *(f"s3://{bucket.name}/in/old/{n}.bmp" for n in (3, 5)),
    }
    with Library.open(library) as opened:
        assert list(opened.verify()) == []
        assert opened.remove(Path(f"s3://{bucket.name}/in/old")) == 3


def test_a_folder_filter_knows_other_spellings(library: Path, bucket: Any) -> None:
    with Library.open(library) as opened:
        chosen = filters.parse(folder=located(f"s3://{bucket.name}/in/new"))
        assert len(opened.search("a dog", 50, filters=chosen).hits) == COUNT // 2
        number = opened.store.present([1])[1][0]
        assert is_object(number)
        facets = opened.catalogue.facets()
    assert {str(folder): count for folder, count in facets.folders.items()} == {
        f"s3://{bucket.name}/in": COUNT,
        f"s3://{bucket.name}/in/new": COUNT // 2,
        f"s3://{bucket.name}/in/old": COUNT // 2,
    }


def test_only_objects_of_the_library_s_folders_are_opened(library: Path, bucket: Any) -> None:
    with Library.open(library) as opened:
        photo = opened.catalogue.photo(1)
        assert photo is not None
        assert isinstance(opened.catalogue.open(photo), PhotoObject)
        with closing(sqlite3.connect(library)) as base, base:
            base.execute("UPDATE folders SET path = ?", (b"s3://elsewhere",))
        assert opened.store.present([1])[1]
        assert opened.catalogue.open(photo) is None


def test_a_list_of_objects(bucket: Any, photos: Path, model: Path, tmp_path: Path) -> None:
    """The bucket is the library's folder, so that they may be opened; others aren't missed."""
    names = [f"s3://{bucket.name}/in/new/{n}.bmp" for n in (0, 2)]
    parquet.write_table(pa.table({"url": names}), tmp_path / "list.parquet")
    encoded(tmp_path / "list.parquet", tmp_path / "out", model)
    with Library.open(tmp_path / "l.kadr", model=model) as opened:
        at = located(f"s3://{bucket.name}")
        with pytest.raises(LibraryError, match="in no folder of the library"):
            opened.load_encoded(str(tmp_path / "out"))
        assert opened.load_encoded(str(tmp_path / "out"), at=at).loaded == 2
        assert [str(folder) for folder in opened.folders] == [f"s3://{bucket.name}"]
    assert shown(tmp_path / "l.kadr") == set(names)


def test_keys_that_are_no_paths_are_told(
    bucket: Any, photos: Path, model: Path, tmp_path: Path
) -> None:
    bucket.upload_file(str(photos / "new" / "0.bmp"), "in//twice.bmp")
    root = f"s3://{bucket.name}/in"
    assert encoded(root, tmp_path / "out", model).left_out == {NO_PATH: 1}
    parquet.write_table(pa.table({"url": [f"{root}//twice.bmp"]}), tmp_path / "l.parquet")
    encoded(tmp_path / "l.parquet", tmp_path / "listed", model)
    (row,) = rows(tmp_path / "listed")
    assert row.problem == f"can't be read: {NO_PATH}"
    skipped: list[tuple[Path, str]] = []
    callbacks = IndexCallbacks(skip=lambda path, reason: skipped.append((path, reason)))
    with Library.open(tmp_path / "l.kadr", model=model) as opened:
        at = located(f"s3://{bucket.name}")
        loaded = opened.load_encoded(str(tmp_path / "listed"), at=at, callbacks=callbacks)
    assert (loaded.loaded, loaded.skipped) == (0, 1)
    assert skipped == [(located(f"{root}/twice.bmp"), NO_PATH)]


class TestTheLaw:
    def test_it_hides_them_as_files(
        self, bucket: Any, photos: Path, model: Path, tmp_path: Path
    ) -> None:
        """By the names of folders below the root, and with what rows of no law lack."""
        put(bucket, paint(photos / "our kids" / "9.bmp", 9, "BMP"))
        encoded(f"s3://{bucket.name}/in", tmp_path / "out", model)  # under no law
        with Library.open(tmp_path / "l.kadr", model=model, policy=UNDER_16) as opened:
            at = located(f"s3://{bucket.name}/in")
            opened.load_encoded(str(tmp_path / "out"), at=at)
            assert opened.unseen_by_law() == 0  # the classifier's vectors were made from the store
        hidden = f"s3://{bucket.name}/in/our kids/9.bmp"
        assert hidden not in shown(tmp_path / "l.kadr", policy=UNDER_16)
        assert hidden in shown(tmp_path / "l.kadr")

    def test_it_fails_closed_where_the_store_can_t_be_had(
        self, bucket: Any, photos: Path, model: Path, tmp_path: Path, monkeypatch: Any
    ) -> None:
        encoded(f"s3://{bucket.name}/in", tmp_path / "out", model)

        def lost(*_: object) -> bytes:
            raise OSError("gone")

        monkeypatch.setattr(object_store, "read", lost)
        with Library.open(tmp_path / "l.kadr", model=model, policy=UNDER_16) as opened:
            at = located(f"s3://{bucket.name}/in")
            opened.load_encoded(str(tmp_path / "out"), at=at)
            assert opened.unseen_by_law() == COUNT
            assert not opened.search("a red dog", 50).hits


class TestTrouble:
    def test_what_isn_t_there(self, bucket: Any) -> None:
        path = located(f"s3://{bucket.name}/nothing.jpg")
        assert is_object(path)
        assert object_store.state(path) is None
        with pytest.raises(ImageError, match="it isn't there"):
            reader.read(path, 32)

    def test_what_is_too_large_isn_t_read(self, bucket: Any) -> None:
        bucket.put_object(Key="big.jpg", Body=b"x" * 2_000_000)
        path = located(f"s3://{bucket.name}/big.jpg")
        assert is_object(path)
        with pytest.raises(ImageError, match="2 MB are more than are read"):
            reader.fetched(path, 1_000_000)

    def test_another_content_isn_t_decoded(self, library: Path, bucket: Any) -> None:
        path = located(f"s3://{bucket.name}/in/new/0.bmp")
        with pytest.raises(ImageError, match="changed since it was indexed"):
            reader.read(path, 32, "0" * 64)

    def test_a_part_of_what_was_indexed(self, bucket: Any) -> None:
        bucket.put_object(Key="a.jpg", Body=bytes(range(100)))
        path = located(f"s3://{bucket.name}/a.jpg")
        assert is_object(path)
        state = object_store.state(path)
        assert state is not None
        assert object_store.part(path, state, 10, 5) == bytes(range(10, 15))
        for other in ((101, state[1]), (100, state[1] - 10**9)):
            with pytest.raises(FileNotFoundError):
                object_store.part(path, other, 10, 5)
        with pytest.raises(FileNotFoundError):
            object_store.part(path, state, 98, 5)

    def test_a_store_that_says_nothing(self, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
            monkeypatch.setattr(object_store, "_SILENCE", 1.0)
            object_store._kept.cache_clear()
            path = located(f"s3://{bucket.name}/a.jpg")
            assert is_object(path)
            with pytest.raises(ImageError, match="its store doesn't answer"):
                reader.fetched(path, 100, 0.2)
            with pytest.raises(ImageError, match="NETWORK_CONNECTION"):  # the client gives up
                reader.fetched(path, 100, 60)
        object_store._kept.cache_clear()

    def test_without_pyarrow_the_extra_is_named(
        self, library: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        object_store._kept.cache_clear()
        monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'kadr\[objects\]'"):
            reader.read(located(f"s3://{bucket.name}/in/new/0.bmp"), 32)

    def test_a_store_is_no_mount(self, library: Path, model: Path, tmp_path: Path) -> None:
        with Library.open(library, model=model) as opened:
            with pytest.raises(LibraryError, match="were encoded from s3://"):
                opened.load_encoded(str(tmp_path / "out"), at=Path("s3://a/b"))
            with pytest.raises(DataError, match="kadr encode s3://a/b"):
                opened.index([Path("s3://a/b")])
