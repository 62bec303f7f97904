"""Sources: what is listed, what is left out, and what is no source."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from kadr.encoding import sources, storage
from kadr.encoding.sources import Entry, Source
from kadr.errors import DataError, MissingExtraError
from libraries import paint


def paths(manifest: sources.Manifest, root: Path | str) -> list[str]:
    return [one.path.removeprefix(f"{root}/") for one in manifest.entries]


def write_list(path: Path, names: list[Any], column: str = "path", kind: Any = None) -> str:
    parquet.write_table(pa.table({"other": [1] * len(names), column: pa.array(names, kind)}), path)
    return str(path)


class TestFolder:
    def test_it_is_what_an_indexing_would_read(self, photos: Path) -> None:
        manifest = sources.read(str(photos))
        assert manifest.source == Source(str(photos))
        assert paths(manifest, photos) == [
            *(f"{number}.png" for number in range(7)), "broken too.jpg", "broken.jpg", "empty.png",
            "pipe.png", "red.jpg", "our kids/IMG_20190503_101112.png", "our kids/again.png",
            "ünï/café.png",
        ]  # fmt: skip
        assert manifest.left_out == {"hidden": 1, "MXF": 1}
        status = (photos / "0.png").stat()
        assert manifest.entries[0] == Entry(
            str(photos / "0.png"), status.st_size, status.st_mtime_ns
        )

    def test_what_can_t_be_read_says_so_already(self, photos: Path) -> None:
        (pipe,) = [
            one for one in sources.read(str(photos)).entries if one.path.endswith("pipe.png")
        ]
        assert pipe.problem == "no file but a pipe, a socket or a device"

    def test_patterns_leave_out(self, photos: Path) -> None:
        manifest = sources.read(str(photos), ["our kids/", "*.jpg"])
        assert not any("kids" in one.path or "jpg" in one.path for one in manifest.entries)
        assert manifest.left_out["--exclude"] == 4

    @pytest.mark.parametrize("place", ["nowhere", "file", ""])
    def test_what_is_none_is_told(
        self, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file").touch()
        (tmp_path / "0.png").touch()
        if place:
            with pytest.raises(DataError, match=place):
                sources.read(place)
        else:
            assert sources.read(place).source.root == str(tmp_path)


class TestList:
    @pytest.mark.parametrize("column", ["path", "url"])
    @pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string()])
    def test_it_names_photos(self, tmp_path: Path, column: str, kind: pa.DataType) -> None:
        names = [str(paint(tmp_path / f"{name}.png", 1)) for name in ("b", "a")]
        gone = str(tmp_path / "gone.png")
        place = write_list(
            tmp_path / "list.parquet", [*names, gone, names[0], "/x/letter.txt"], column, kind
        )
        manifest = sources.read(place)
        assert manifest.source == Source("/", listed=True)
        assert [one.path for one in manifest.entries] == [*names, gone]
        assert manifest.entries[2].problem == "can't be read: No such file or directory"
        assert manifest.left_out == {"not a photo by its name": 1}

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["a.png"], "isn't absolute"),
            (["/a.png", None], "more than paths"),
            ([1, 2], "more than paths"),
            (["/a.png", "s3://b/a.png"], "one list for each"),
            (["s3://c/a.png", "s3://b/a.png"], "one list for each"),
            (["ftp://c/a.png"], "can't be read"),
        ],
    )
    def test_what_it_may_not_hold_is_told(
        self, tmp_path: Path, names: list[Any], said: str
    ) -> None:
        place = write_list(tmp_path / "list.parquet", names)
        with pytest.raises(DataError, match=said):
            sources.read(place)

    def test_a_file_that_is_none_is_told(self, tmp_path: Path) -> None:
        place = tmp_path / "list.parquet"
        for change in (lambda: None, place.touch, lambda: place.write_bytes(b"PAR1" * 9)):
            change()
            with pytest.raises(DataError, match="not a readable list"):
                sources.read(str(place))
        with pytest.raises(DataError, match="no column"):
            sources.read(write_list(place, ["/a.png"], "name"))

    def test_without_pyarrow_the_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'kadr\[cluster\]'"):
            sources.read(str(tmp_path / "list.parquet"))


class TestObjectStore:
    def test_a_bucket_is_listed(self, bucket: Any) -> None:
        for key in ("in/b.png", "in/a.JPG", "in/.hidden/c.png", "in/letter.txt", "inside.png"):
            bucket.put_object(Key=key, Body=b"123")
        manifest = sources.read(f"s3://{bucket.name}/in/")
        assert manifest.source == Source(f"s3://{bucket.name}/in")
        assert paths(manifest, f"s3://{bucket.name}/in") == ["a.JPG", "b.png"]
        assert {one.size for one in manifest.entries} == {3}
        assert min(one.modified for one in manifest.entries) > 10**18
        assert manifest.left_out == {"hidden": 1}

    def test_a_list_of_urls(self, bucket: Any, tmp_path: Path) -> None:
        bucket.put_object(Key="a.png", Body=b"123")
        urls = [f"s3://{bucket.name}/{name}.png" for name in "ab"]
        manifest = sources.read(write_list(tmp_path / "list.parquet", urls, "url"))
        assert manifest.source == Source(f"s3://{bucket.name}", listed=True)
        assert [one.size for one in manifest.entries] == [3, -1]
        assert manifest.entries[1].problem == "can't be read: there is no such object"

    def test_a_list_may_lie_there_too(self, bucket: Any, tmp_path: Path) -> None:
        path = str(paint(tmp_path / "a.png", 1))
        bucket.upload_file(write_list(tmp_path / "list.parquet", [path]), "list.parquet")
        assert [one.path for one in sources.read(f"s3://{bucket.name}/list.parquet").entries] == [
            path
        ]

    def test_what_isn_t_there_is_told(self, bucket: Any) -> None:
        for place in (f"s3://{bucket.name}/empty", "s3://no-such-bucket/x"):
            with pytest.raises(DataError, match=place):
                sources.read(place)

    @pytest.mark.parametrize("place", ["s3://", "ftp://x/y", "http://x/y", "://x"])
    def test_other_urls_are_told(self, place: str) -> None:
        with pytest.raises(DataError, match="Name a folder, or s3://"):
            sources.read(place)

    def test_azure_wants_an_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(DataError, match="AZURE_STORAGE_ACCOUNT_NAME"):
            sources.read("az://photos/in")


def test_an_object_appears_whole(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that dies before the end leaves nothing."""
    url = f"s3://{bucket.name}/x.parquet"
    store = storage.Bucket(f"s3://{bucket.name}")
    stream = store._files.open_output_stream(f"{bucket.name}/x.parquet")
    stream.write(b"1" * 2**24)
    assert list(store.found()) == []
    stream.close()
    assert [(one.url, one.size) for one in store.found()] == [(url, 2**24)]
    store.write(url, b"12")
    assert store.read(url) == b"12"
