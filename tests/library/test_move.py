"""A library in another store: the same in all but numbers and secrets, wherever it was stopped."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from kadr.errors import LibraryError
from kadr.law import proof, review
from kadr.law.policy import PRESETS
from kadr.library import move as flow
from kadr.library.library import Library
from kadr.library.move import compare, move
from kadr.photos.files import digest as digest_of
from kadr.stores import MOVING, POLICY, NewFile, NewPhoto, Selection, Shown, Store, open_store
from kadr.stores.words import wanted
from kadr.types import Request, Vectors
from libraries import (
    FACTS,
    add,
    assess,
    colour_matcher,
    digest,
    new_file,
    new_photo,
    number,
    paint,
)
from postgres_servers import server
from shell import Shell, one_line

LAW = PRESETS["under-16"]
ODD = replace(FACTS, texts=("a boy\x00", "\udcff"), texts_complete=False, latitude=1.5, longitude=2)


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def fill(store: Store) -> None:
    """Something of all that a library can hold."""
    store.note(encoder="one", model="", space="a")
    store.add_folder(Path("/p"))
    store.exclude(Path("/p"), ["*.gif", "!a.gif"])
    add(store, {f"/p/{n}.jpg": n for n in range(40)})
    store.keep(
        [
            replace(new_photo("odd", facts=ODD), parts=(1, 2**64 - 1, 3, 4, 5, 6, 7)),
            replace(new_photo("law"), others={"other": np.ones(3, np.float32)}),
            NewPhoto(digest("bad"), "no photo"),
            NewPhoto(digest("waits"), None, FACTS, 5),
        ],
        [
            NewFile(Path("/p/\udcff.jpg"), 2**40, -5, digest("odd")),
            new_file(Path("/p/law.jpg"), "law"),
            new_file(Path("/p/copy.jpg"), "law"),
            new_file(Path("/p/bad.jpg"), "bad"),
            new_file(Path("/p/waits.jpg"), "waits"),
            NewFile(Path("/p/shut.jpg"), -1, -1, None, "shut"),
        ],
    )
    numbers = [n for n in map(store.number, (digest(n).hex() for n in range(40))) if n]
    store.mark([b"/p/3.jpg"], missing=True)
    store.set_distinct([(digest(1).hex(), digest(2).hex())], distinct=True)
    store.make_collection("любимые")
    store.make_collection("empty")
    store.collect("любимые", [digest(n).hex() for n in (1, 2, "gone")], collected=True)
    store.keep_copies([(numbers[4], numbers[5]), (numbers[4], numbers[6])])
    for n, verdict in ((7, "hide"), (8, "allow")):
        review.decide(store, digest(n).hex(), review.ruling(verdict, "Анна", "I know them"))
    store.set_request(digest(9).hex(), Request("appealed", "Boris", "2026-01-01", "it's a tree"))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "one.kadr", create=True)) as store:
        fill(store)
        yield store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "two.kadr", create=True)) as store:
        yield store


def quiet(*_: object) -> None:
    pass


def test_all_of_it_arrives(source: Store, target: Store) -> None:
    moved = move(source, target, unit, quiet)
    assert (moved.photos, moved.files, moved.entries) == (41, 42, 2)
    assert list(compare(source, target)) == []
    assert target.meta(MOVING) is None
    photos = {photo.digest: photo for photo in target.all_photos()}
    assert photos[digest("odd")].facts == ODD
    assert photos[digest("waits")].vector is None
    assert photos[digest("law")].others["other"].tolist() == [1, 1, 1]
    assert [event.event for event in target.entries()] == ["ruled", "ruled"]


def test_any_difference_is_found(source: Store, target: Store) -> None:
    move(source, target, unit, quiet)
    changes: dict[str, Callable[[], object]] = {
        "photos": lambda: target.keep([new_photo("more")], []),
        "files": lambda: target.keep([], [new_file(Path("/p/new.jpg"), 1)]),
        "copies": lambda: target.put_copies([(digest(1).hex(), digest(2).hex(), 0.5)]),
        "entries of the audit log": lambda: target.record("refused", {}),
        "folders": lambda: target.add_folder(Path("/q")),
        "exclusions": lambda: target.exclude(Path("/q"), ["*"]),
        "distinct photos": lambda: target.set_distinct([("aa", "bb")], distinct=True),
        "collections": lambda: target.drop_collection("empty"),
        "decisions": lambda: target.set_ruling(digest(7).hex(), None),
        "requests": lambda: target.set_request(digest(9).hex(), None),
    }
    for what, change in changes.items():
        change()
        assert f"{what} differ" in list(compare(source, target))


class StopError(Exception):
    """As a kill would be."""


class Stopping:
    """A store that stops at a call that writes."""

    WRITES = ("keep", "note", "set_ruling", "mark", "keep_assessments", "put_copies", "adopt_log")

    def __init__(self, store: Store, calls: int) -> None:
        self._store, self._left = store, calls

    def __getattr__(self, name: str) -> Any:
        if name in self.WRITES:
            self._left -= 1
            if self._left < 0:
                raise StopError
        return getattr(self._store, name)


@pytest.mark.parametrize("calls", range(0, 60, 3))
def test_stopped_anywhere_it_goes_on(
    source: Store, target: Store, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    monkeypatch.setattr(flow, "BATCH", 7)
    stopped = False
    try:
        move(source, cast(Store, Stopping(target, calls)), unit, quiet)
    except StopError:
        stopped = True
        move(source, target, unit, quiet)
    assert stopped == (calls < 36), "else this looks at too little or too much"
    assert list(compare(source, target)) == []
    assert target.meta(MOVING) is None


@pytest.mark.parametrize("calls", [5, 20])
def test_to_a_server_and_back(
    source: Store, target: Store, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    monkeypatch.setattr(flow, "BATCH", 7)
    with closing(open_store(server().empty(), create=True)) as between:
        with suppress(StopError):
            move(source, cast(Store, Stopping(between, calls)), unit, quiet)
        move(source, between, unit, quiet)
        assert list(compare(source, between)) == []
        assert between.check() == []
        with suppress(StopError):
            move(between, cast(Store, Stopping(target, calls)), unit, quiet)
        move(between, target, unit, quiet)
    assert list(compare(source, target)) == []
    assert target.check() == []


def test_words_on_record_go_with_it(source: Store, target: Store) -> None:
    add(source, {"/p/Anna/wedding.jpg": "w"})
    source.add_folder(Path("/p"))
    move(source, target, unit, quiet)
    for store in (source, target):
        (photo,) = store.recorded(wanted("anna wedding"), Selection()).photos.tolist()
        assert store.stored(store.present([photo]))[photo].digest == digest("w").hex()
    assert target.keep_words() == 0


def test_a_used_library_is_left_alone(source: Store, target: Store) -> None:
    add(target, {"/q/1.jpg": 1})
    with pytest.raises(LibraryError, match=r"two\.kadr isn't empty"):
        move(source, target, unit, quiet)
    assert target.totals().photos == 1


def test_a_move_of_another_library_is_not_gone_on_with(source: Store, target: Store) -> None:
    target.note(**{MOVING: "/elsewhere.kadr"})
    with pytest.raises(LibraryError, match=r"/elsewhere\.kadr was on its way"):
        move(source, target, unit, quiet)


def test_a_half_moved_library_answers_to_nobody(tmp_path: Path, target: Store) -> None:
    target.note(**{MOVING: "/one.kadr"})
    told = r"move isn't finished.*--from /one\.kadr --to"
    with pytest.raises(LibraryError, match=told):
        Library.open(tmp_path / "two.kadr", model=colour_matcher())
    with pytest.raises(LibraryError, match=told):
        open_store(tmp_path / "two.kadr")
    kadr = Shell(tmp_path)
    for command in (
        ("audit", "verify"),
        ("audit", "show"),
        ("review",),
        ("review", "stats"),
        ("review", "decide", "ab" * 32, "hide", "--why", "x"),
        ("library", "problems"),
    ):
        said = kadr(*command, "--library", "two.kadr", code=2).stderr.splitlines()
        assert "move isn't finished" in said[-1]


@pytest.fixture(params=["file", "server"])
def twice(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """One library by two spellings."""
    if request.param == "server":
        spec = server().empty()
        return spec, spec.replace("options=", "application_name=two&options=")
    (tmp_path / "link.kadr").symlink_to(tmp_path / "new.kadr")
    return str(tmp_path / "new.kadr"), str(tmp_path / "link.kadr")


def test_to_itself_by_another_spelling_is_told_at_once(twice: tuple[str, str]) -> None:
    with (
        closing(open_store(twice[0], create=True)) as one,
        closing(open_store(twice[1], create=True)) as two,
    ):
        add(one, {"/p/1.jpg": 1})
        with pytest.raises(LibraryError, match=r"is the same library as .* Name a new one"):
            move(one, two, unit, quiet)
        assert one.meta(MOVING) is None


def test_who_is_waited_for_is_said(source: Store, empty: str) -> None:
    with closing(open_store(empty, create=True)) as target:
        named = target.name

        def wait(name: str) -> None:
            assert name == named
            raise StopError

        with (
            closing(open_store(empty)) as other,
            other.writing(),
            pytest.raises(StopError),
        ):
            move(source, target, unit, quiet, wait)
        move(source, target, unit, quiet, wait)


def test_a_library_that_may_only_be_read_is_moved(target: Store) -> None:
    running = server()
    spec = running.empty()
    with closing(open_store(spec, create=True)) as store:
        fill(store)
        with closing(open_store(spec + "%20-cdefault_transaction_read_only%3Don")) as reader:
            assert reader.readonly
            move(reader, target, unit, quiet)
        assert list(compare(store, target)) == []


def test_what_changes_meanwhile_is_told_and_follows(source: Store, target: Store) -> None:
    def change(done: int, _total: int) -> None:
        if done:
            source.set_ruling(digest(7).hex(), None)

    with pytest.raises(LibraryError, match="decisions differ"):
        move(source, target, unit, change)
    assert target.meta(MOVING) == source.name
    move(source, target, unit, quiet)
    assert target.ruling(digest(7).hex()) is None


@pytest.fixture(params=["file", "server"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The spec of a library that is still to be made."""
    return server().empty() if request.param == "server" else str(tmp_path / "new.kadr")


CHANGES: dict[str, Callable[[Store], object]] = {
    "a new photo": lambda s: add(s, {f"/p/new{n}.jpg": f"new {n}" for n in range(20)}),
    "other facts": lambda s: s.update_facts([NewPhoto(digest(1), facts=ODD, hash=5)]),
    "other content": lambda s: add(s, {"/p/1.jpg": "other"}),
    "gone": lambda s: s.forget([Path("/p/law.jpg"), Path("/p/copy.jpg"), Path("/p/7.jpg")]),
    "no ruling, and gone": lambda s: (
        s.set_ruling(digest(7).hex(), None),  # type: ignore[func-returns-value]
        s.forget([Path("/p/7.jpg")]),
    ),
    "another folder": lambda s: (
        s.remove(Path("/p")),
        s.add_folder(Path("/q")),  # type: ignore[func-returns-value]
    ),
    "exclusions": lambda s: s.exclude(Path("/p"), []),
    "distinct photos": lambda s: s.set_distinct(
        [(digest(1).hex(), digest(2).hex())], distinct=False
    ),
    "collections": lambda s: (
        s.drop_collection("empty"),  # type: ignore[func-returns-value]
        s.collect("любимые", [digest(1).hex()], collected=False),  # type: ignore[func-returns-value]
    ),
    "no set": lambda s: s.drop_vectors("other"),
    "copies": lambda s: s.put_copies([]),
    "the log": lambda s: s.record("refused", {"query": "x"}),
    "another encoder": lambda s: s.switch_encoder(
        "other", unit, model="/other", space="b", keep=False
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_stopped_move_ends_whatever_has_changed_since(
    source: Store, empty: str, change: Callable[[Store], object]
) -> None:
    source.note(**{POLICY: "one"})
    with closing(open_store(empty, create=True)) as target:
        with pytest.raises(StopError), pytest.MonkeyPatch.context() as patch:
            patch.setattr(flow, "compare", stop)
            move(source, target, unit, quiet)
        change(source)
        move(source, target, unit, quiet)
        assert list(compare(source, target)) == []
        assert target.meta(MOVING) is None


def stop(*_: object) -> Iterator[str]:
    raise StopError


def test_a_library_that_was_opened_before_shows_nothing_of_a_half_done_move(
    tmp_path: Path, empty: str
) -> None:
    photos, model = tmp_path / "photos", colour_matcher()
    for seed in range(4):
        paint(photos / f"{seed}.png", seed)
    with Library.open(tmp_path / "one.kadr", model=model, policy=LAW) as library:
        library.index([photos])
        open_store(empty, create=True).close()
        with (
            Library.open(empty, model=model, policy=LAW) as service,
            closing(open_store(empty)) as target,
        ):
            with pytest.raises(StopError), pytest.MonkeyPatch.context() as patch:
                patch.setattr(flow, "compare", stop)
                move(library.store, target, lambda v: model.alignment.images(v).vectors, quiet)
            photo = target.number(digest_of(photos / "0.png"))
            assert photo is not None
            asked: dict[str, Callable[[], object]] = {
                "search": lambda: service.search("red"),
                "similar": lambda: service.similar(photo),
                "newest": lambda: service.catalogue.newest(3),
                "photo": lambda: service.catalogue.photo(photo),
                "hides": lambda: service.catalogue.hides(photo),
                "facets": service.catalogue.facets,
                "duplicates": service.duplicates,
                "index": lambda: service.index([photos]),
                "rule": lambda: service.rule(digest(1).hex(), review.ruling("allow", "Anna", "")),
            }
            for ask in asked.values():
                with pytest.raises(LibraryError, match="move isn't finished"):
                    ask()
            move(library.store, target, lambda v: model.alignment.images(v).vectors, quiet)
            assert len(service.search("red").hits) == len(library.search("red").hits)


@pytest.mark.parametrize("calls", range(0, 60, 3))
def test_copies_of_hidden_photos_are_hidden_at_every_moment(
    source: Store, empty: str, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    monkeypatch.setattr(flow, "BATCH", 7)
    numbers = {n: number(source, n) for n in range(40)}
    assess(source, {one: 0.9 if n == 5 else 0.0 for n, one in numbers.items()})
    with closing(open_store(empty, create=True)) as target:
        with suppress(StopError):
            move(source, cast(Store, Stopping(target, calls)), unit, quiet)
        copy = target.number(digest(4).hex())
        assert copy is None or not target.shown(Shown(LAW.review), [copy])


def test_moved_by_the_command_it_answers_as_before(
    tmp_path: Path,
) -> None:
    kadr = Shell(tmp_path)
    for seed in range(8):
        paint(tmp_path / "photos" / f"{seed}.png", seed)
    one, two = str(tmp_path / "one.kadr"), str(tmp_path / "two.kadr")
    kadr("index", tmp_path / "photos", "--library", one, "--policy", "under-16")
    said = kadr("library", "move", "--from", one, "--to", two)
    assert "Photos: 8. Files: 8." in said.stdout
    for policy in ("none", "under-16"):
        found = [
            kadr(
                "search", "a red car", "--library", path, "--policy", policy, "--json", code=1
            ).stdout
            for path in (one, two)
        ]
        assert found[0] == found[1]
    kadr("audit", "verify", "--library", two)
    itself = kadr("library", "move", "--from", one, "--to", tmp_path / "photos/../one.kadr", code=2)
    assert "is the same library as" in one_line(itself)
    again = kadr("library", "move", "--from", one, "--to", two, code=2)
    assert "isn't empty" in one_line(again)
    with closing(open_store(two)) as store:
        assert proof.verify(store) == []
