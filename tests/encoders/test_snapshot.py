"""Downloads go on where they were, are checked against digests, and happen only when asked for."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hub_server
from hub_server import REPOSITORY, REVISION, Hub
from kadr.encoders import snapshot
from kadr.errors import KadrError

WEIGHTS = bytes(range(256)) * 4000
FILES = {"onnx/model.onnx": WEIGHTS, "config.json": b'{"a": 1}', "empty.json": b""}
MODEL = "onnx/model.onnx"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with hub_server.serve(dict(FILES)) as served:
        monkeypatch.setenv("HF_ENDPOINT", f"{served.address}/")
        yield served


def bring(folder: Path, name: str = MODEL) -> str:
    return snapshot.download(snapshot.find(REPOSITORY), name, folder)


def test_every_file_comes_whole(hub: Hub, tmp_path: Path) -> None:
    found = snapshot.find(REPOSITORY)
    assert found.revision == REVISION
    assert set(found.files) == set(FILES)
    seen: list[tuple[str, int, int]] = []
    for name, data in FILES.items():
        digest = snapshot.download(found, name, tmp_path, lambda *step: seen.append(step))
        assert digest == hashlib.sha256(data).hexdigest()
        assert (tmp_path / name).read_bytes() == data
    assert (MODEL, len(WEIGHTS), len(WEIGHTS)) in seen
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_there_isnt_asked_for_again(hub: Hub, tmp_path: Path) -> None:
    bring(tmp_path)
    bring(tmp_path)
    assert hub.sent[MODEL] == len(WEIGHTS)


def test_a_damaged_file_is_brought_again(hub: Hub, tmp_path: Path) -> None:
    bring(tmp_path)
    for damaged in (WEIGHTS[:-1], b"\1" + WEIGHTS[1:]):
        (tmp_path / MODEL).write_bytes(damaged)
        bring(tmp_path)
        assert (tmp_path / MODEL).read_bytes() == WEIGHTS


def test_a_broken_connection_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 300_000, 3
    bring(tmp_path)
    assert (tmp_path / MODEL).read_bytes() == WEIGHTS
    assert hub.sent[MODEL] == len(WEIGHTS)


def test_a_stopped_download_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    def stop(_: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    hub.cut_after, hub.cuts = 300_000, 1
    with pytest.raises(KeyboardInterrupt):
        snapshot.download(snapshot.find(REPOSITORY), MODEL, tmp_path, stop)
    (partial,) = tmp_path.rglob("*.part")
    kept = partial.stat().st_size
    assert 0 < kept < len(WEIGHTS)
    hub.sent.clear()
    bring(tmp_path)
    assert hub.sent[MODEL] == len(WEIGHTS) - kept
    assert (tmp_path / MODEL).read_bytes() == WEIGHTS


def test_a_hub_without_ranges_begins_anew(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts, hub.ranges = 300_000, 1, False
    bring(tmp_path)
    assert (tmp_path / MODEL).read_bytes() == WEIGHTS


def test_a_hub_that_never_goes_on_is_given_up(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 0, 1000
    with pytest.raises(KadrError, match=r"can't be reached|too early"):
        bring(tmp_path)


@pytest.mark.parametrize("name", [MODEL, "config.json"])
def test_wrong_bytes_are_thrown_away(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.change = lambda _, data: bytes(len(data))
    with pytest.raises(KadrError, match="other bytes than the hub's digest says"):
        bring(tmp_path, name)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    hub.change = lambda _, data: data
    bring(tmp_path, name)


def test_a_longer_file_than_said(hub: Hub, tmp_path: Path) -> None:
    hub.change = lambda _, data: data + bytes(10_000_000)
    with pytest.raises(KadrError, match="longer than the hub said"):
        bring(tmp_path)
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) <= len(WEIGHTS)


def test_other_bytes_of_the_same_name_dont_mix(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 300_000, 1
    with pytest.raises(KeyboardInterrupt):
        snapshot.download(snapshot.find(REPOSITORY), MODEL, tmp_path, _stop)
    hub.files[MODEL] = WEIGHTS[::-1]
    bring(tmp_path)
    assert (tmp_path / MODEL).read_bytes() == WEIGHTS[::-1]


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_offline_nothing_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(KadrError, match="HF_HUB_OFFLINE"):
        snapshot.find(REPOSITORY)
    assert not hub.asked


def test_a_token_of_the_environment_or_of_a_login(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "secret"
    with pytest.raises(KadrError, match=r"HTTP 401.*HF_TOKEN"):
        snapshot.find(REPOSITORY)
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert snapshot.find(REPOSITORY).files
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/token").write_text("secret\n")
    assert snapshot.find(REPOSITORY).files


def test_no_hub_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(KadrError, match=r"can't be reached at http://127\.0\.0\.1:9"):
        snapshot.find(REPOSITORY)


@pytest.mark.parametrize("name", ["one", "a/b/c", "../x", "a/..", "", "a/b?c"])
def test_names_that_are_none(hub: Hub, name: str) -> None:
    with pytest.raises(KadrError, match="no name of a repository"):
        snapshot.find(name)
    assert not hub.asked


@pytest.mark.parametrize(
    "listed",
    [
        [],
        {"sha": REVISION},
        {"sha": "main", "siblings": []},
        {"sha": REVISION, "siblings": [{"rfilename": "a", "size": -1}]},
        {"sha": REVISION, "siblings": [{"rfilename": "a", "size": 10**15}]},
        {"sha": REVISION, "siblings": [{"rfilename": 5, "size": 1}]},
        {"sha": REVISION, "siblings": {"a": 1}},
    ],
)
def test_a_listing_that_is_none(hub: Hub, listed: Any) -> None:
    hub.listing = lambda _: listed
    with pytest.raises(KadrError, match="list of files can't be read"):
        snapshot.find(REPOSITORY)


def test_paths_that_lead_out_are_left_out(hub: Hub) -> None:
    names = ["../a", "/etc/passwd", "a/../../b", "a\\b", "a\0b", "fine.json"]
    hub.listing = lambda listed: listed | {"siblings": [{"rfilename": n, "size": 1} for n in names]}
    assert set(snapshot.find(REPOSITORY).files) == {"fine.json"}


def test_a_hub_that_begins_anew_each_time_is_left(hub: Hub, tmp_path: Path) -> None:
    hub.ranges = False
    hub.cut_after, hub.cuts = 5000, 1000
    with pytest.raises(KadrError, match=r"run it again|too early"):
        bring(tmp_path)
    assert len(hub.asked) < 20


def test_nothing_is_unpacked(hub: Hub, tmp_path: Path) -> None:
    """A few bytes can be gigabytes."""
    hub.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(KadrError, match="encoded \\(gzip\\)"):
        snapshot.find(REPOSITORY)


@pytest.mark.parametrize("digest", [[], "\ud800" * 64, "a" * 63, 5])
def test_a_digest_that_is_none_is_refused(hub: Hub, digest: object) -> None:
    def listing(listed: dict[str, Any]) -> Any:
        for one in listed["siblings"]:
            one["blobId"] = digest
            one.pop("lfs", None)
        return listed

    hub.listing = listing
    with pytest.raises(KadrError, match="list of files"):
        snapshot.find(REPOSITORY)


@pytest.mark.parametrize("token", ["тест", "a\nb"])
def test_a_token_that_is_none_is_not_told(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(KadrError, match="HF_TOKEN") as caught:
        snapshot.find(REPOSITORY)
    assert token not in str(caught.value)
