"""Two engines, one behaviour: whatever is done to both in whatever order, both answer the same."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kadr.errors import LibraryError
from kadr.stores import MEMORY, NewFile, NewPhoto, Selection, Shown, Store, open_store
from kadr.stores.postgres import joint
from kadr.stores.words import wanted
from kadr.types import Assessment, Filters, PhotoFacts, Request, Ruling
from libraries import digest, new_file, new_photo
from postgres_servers import server

CONTENTS = st.integers(0, 9)
PATHS = [f"/{folder}/{n}.jpg" for folder in ("a", "ab", "a/b", "ж") for n in range(3)]
FOLDERS = st.sampled_from(["/a", "/ab", "/a/b", "/ж"])
PATH_SETS = st.sets(st.sampled_from(PATHS), max_size=6)
CHANCES = st.sampled_from([0.0, 0.1, 0.4999999999, 0.5, 0.9, 1.0])
ASSESSMENTS = st.builds(
    Assessment,
    st.sampled_from([(), ("boy", "ребёнок\0")]),
    st.none() | CHANCES,
    st.sampled_from([None, (), (3.5,)]),
    st.sampled_from([(), ("scene",)]),
    CHANCES,
    st.sampled_from(["v1", "v2"]),
)
VERDICTS = st.sampled_from(["allow", "hide"])
COLLECTIONS = st.sampled_from(["a", "б\0"])
STEPS = st.one_of(
    st.tuples(st.just("keep"), st.dictionaries(st.sampled_from(PATHS), CONTENTS, max_size=8)),
    st.tuples(st.just("broken"), CONTENTS),
    st.tuples(st.just("gone"), PATH_SETS),
    st.tuples(st.just("back"), PATH_SETS),
    st.tuples(st.just("prune"), st.none() | FOLDERS),
    st.tuples(st.just("remove"), FOLDERS),
    st.tuples(st.just("forget"), PATH_SETS),
    st.tuples(st.just("add_folder"), FOLDERS),
    st.tuples(st.just("assess"), st.dictionaries(CONTENTS, ASSESSMENTS, max_size=6)),
    st.tuples(st.just("rule"), st.tuples(CONTENTS, st.none() | VERDICTS)),
    st.tuples(st.just("dispute"), st.tuples(CONTENTS, st.sampled_from([None, "disputed", "appealed"]))),
    st.tuples(st.just("copies"), st.lists(st.tuples(CONTENTS, CONTENTS), max_size=4)),
    st.tuples(st.just("other_vectors"), st.sets(CONTENTS, max_size=6)),
    st.tuples(st.just("switch"), st.booleans()),
    st.tuples(st.just("rescan"), st.none()),
    st.tuples(st.just("collect"), st.tuples(COLLECTIONS, st.sets(CONTENTS, max_size=6), st.booleans())),
    st.tuples(st.just("rename"), st.tuples(COLLECTIONS, st.none() | COLLECTIONS)),
    st.tuples(st.just("record"), st.none()),
    st.tuples(st.just("sweep"), st.none()),
)  # fmt: skip
KINDS = ("jpeg", "png", "heic")


def made(content: int) -> NewPhoto:
    """A content whose facts are its own; some tell no date, no place, or have odd names."""
    facts = PhotoFacts(
        KINDS[content % 3], 100 * content, 300,
        None if content % 2 else f"20{10 + content}-05-17T10:00:00",
        ("Zenit\0E", "ЗЕНИТ-Е", None)[content % 3],
        None if content % 4 == 0 else 55.0 + content / 100, None if content % 4 == 0 else 37.0,
        () if content % 3 else ("a Word\0", "слово"), content % 5 != 0,
    )  # fmt: skip
    return replace(new_photo(content, facts=facts), parts=tuple(range(content, content + 7)))


class Both:
    """Does the same to both engines. Photos are told by content, for numbers may differ."""

    def __init__(self, first: Store, second: Store) -> None:
        self.stores = first, second
        for store in self.stores:
            store.note(encoder="one", model="m", space="s")

    def each(self, call: Callable[[Store], Any]) -> Any:
        """What a call answers; the same on both."""
        first, second = (self._answer(call, store) for store in self.stores)
        assert first == second
        return first

    def _answer(self, call: Callable[[Store], Any], store: Store) -> Any:
        try:
            return call(store)
        except LibraryError as error:
            return str(error)

    def number(self, store: Store, content: int) -> int:
        return store.number(digest(content).hex()) or 10**6 + content

    def contents(self, store: Store, numbers: Any) -> list[int]:
        """The contents of photos, in their order."""
        known = {self.number(store, content): content for content in range(10)}
        return [known[number] for number in numbers if number in known]

    def keep(self, files: dict[str, int]) -> None:
        def call(store: Store) -> None:
            new = {c for c in files.values() if not store.settled(digest(c))}
            store.keep(
                [made(content) for content in sorted(new)],
                [new_file(Path(p), c, 10**18 + 10**9 * c) for p, c in files.items()],
            )

        self.each(call)

    def broken(self, content: int) -> None:
        path = Path("/a/broken.jpg")
        photo, file = NewPhoto(digest("bad"), problem="no\0photo"), new_file(path, "bad")
        shut = NewFile(Path("/a/shut.jpg"), -1, -1, None, f"shut {content}")
        self.each(lambda store: store.keep([photo], [file, shut]))

    def gone(self, paths: set[str]) -> None:
        self.each(lambda store: store.mark(map(os.fsencode, sorted(paths)), missing=True))

    def back(self, paths: set[str]) -> None:
        self.each(lambda store: store.mark(map(os.fsencode, sorted(paths)), missing=False))

    def prune(self, folder: str | None) -> None:
        self.each(lambda store: store.prune(folder and Path(folder)))  # type: ignore[arg-type]

    def remove(self, folder: str) -> None:
        def call(store: Store) -> object:
            try:
                return store.remove(Path(folder))
            except LibraryError:
                return "unknown"

        self.each(call)

    def forget(self, paths: set[str]) -> None:
        self.each(lambda store: store.forget(map(Path, sorted(paths))))

    def add_folder(self, folder: str) -> None:
        self.each(lambda store: store.add_folder(Path(folder)))

    def assess(self, assessments: dict[int, Assessment]) -> None:
        self.each(
            lambda store: store.keep_assessments(
                {
                    self.number(store, content): one
                    for content, one in assessments.items()
                    if self.number(store, content) < 10**6
                }
            )
        )

    def rule(self, asked: tuple[int, Any]) -> None:
        content, verdict = asked
        ruling = verdict and Ruling(verdict, "Анна\0", f"2026-01-0{content}", "why\ud800\ue000")
        if verdict and "\ud800" in ruling.why:  # a file takes no half of a pair
            ruling = replace(ruling, why="why\ue000")
        self.each(lambda store: store.set_ruling(digest(content).hex(), ruling))

    def dispute(self, asked: tuple[int, str | None]) -> None:
        content, kind = asked
        request = kind and Request(kind, "Boris", f"2026-01-0{content}", "")
        self.each(lambda store: store.set_request(digest(content).hex(), request or None))

    def copies(self, pairs: list[tuple[int, int]]) -> None:
        def call(store: Store) -> None:
            numbers = [(self.number(store, a), self.number(store, b)) for a, b in pairs if a != b]
            store.keep_copies([pair for pair in numbers if max(pair) < 10**6])

        self.each(call)

    def collect(self, asked: tuple[str, set[int], bool]) -> None:
        name, contents, collected = asked
        digests = [digest(content).hex() for content in contents]
        if collected:
            self.each(lambda store: store.make_collection(name))
        self.each(lambda store: store.collect(name, digests, collected=collected))

    def rename(self, asked: tuple[str, str | None]) -> None:
        name, new = asked
        if new is None:
            self.each(lambda store: store.drop_collection(name))
        elif new not in self.stores[0].collections():
            self.each(lambda store: store.rename_collection(name, new))

    def other_vectors(self, contents: set[int]) -> None:
        if self.stores[0].meta("encoder") == "one":
            vectors = {c: np.full(3, c + 1, np.float32) for c in contents}
            self.each(
                lambda store: store.add_vectors(
                    "other", {self.number(store, c): row for c, row in vectors.items()}
                )
            )

    def switch(self, keep: bool) -> None:
        encoder = "other" if self.stores[0].meta("encoder") == "one" else "one"
        self.each(
            lambda store: store.switch_encoder(encoder, unit, model="m", space=encoder, keep=keep)
        )

    def rescan(self, _: None) -> None:
        self.each(lambda store: store.rescan(unit, space="half"))

    def record(self, _: None) -> None:
        self.each(lambda store: store.record("refused", {"query": "a\0"}).sequence)

    def sweep(self, _: None) -> None:
        self.each(lambda store: store.sweep())

    def compare(self) -> None:
        """All that can be asked."""
        for ask in (
            lambda s: s.check(),
            lambda s: sorted(s.folders()),
            lambda s: [replace_bytes(s.totals())],
            lambda s: list(s.contents()),
            lambda s: s.problems(),
            lambda s: [s.knows(digest(content).hex()) for content in [*range(10), "bad"]],
            lambda s: s.states(Path("/a")),
            lambda s: list(s.all_files()),
            lambda s: [(p.digest, p.problem, p.facts, p.hash, p.parts) for p in s.all_photos()],
            lambda s: list(s.copies()),
            lambda s: s.all_rulings(),
            lambda s: s.requests(),
            lambda s: dict(s.assessed()),
            lambda s: s.vector_sets(),
            lambda s: [(name, s.collected(name)) for name in s.collections()],
            lambda s: s.collections(holding=digest(1).hex()),
            lambda s: [s.collection_sizes(shown) for shown in (None, Shown(0.5))],
            lambda s: [entry.event for entry in s.entries()],
            lambda s: s.log_problems(),
            lambda s: [self.contents(s, s.lacking(name)) for name in ("one", "other")],
            lambda s: [self.contents(s, s.unassessed(v)) for v in (None, "v1", "v3")],
            lambda s: sorted(self.contents(s, s.suspected(0.5))),
            lambda s: self.contents(s, s.hashes()[0]),
            lambda s: self.contents(s, s.matching(Filters(), newest=True)),
            self._recorded,
            lambda s: [row[1:] for row in s.choices()],
            self._searches,
            self._shown,
        ):
            self.each(ask)

    def _searches(self, store: Store) -> list[object]:
        """The nearest of several selections: in the same order, at nearly the same cosines."""
        (vector,) = unit(np.arange(1, 9, dtype=np.float32)[None])
        if (first := next(store.every_vector(), None)) is not None:
            (vector,) = unit(first[1][:1] + 1)
        answers: list[object] = []
        for filters in SELECTIONS:
            for shown in (None, Shown(0.5), Shown(0.5, faces=True)):
                selection = Selection(filters, shown)
                found = store.nearest(vector, selection, 0, 50)
                assert len(found.photos) == store.count(selection)
                parts = [store.nearest(vector, selection, n, 3).photos for n in range(0, 12, 3)]
                assert np.concatenate(parts).tolist() == found.photos.tolist()
                answers.append(sorted(self.contents(store, found.photos)))
                answers.append(self.contents(store, store.matching(filters)))
        return answers

    def _recorded(self, store: Store) -> list[object]:
        """What is on record: photos by content, with tiers and sources."""
        answers: list[object] = []
        for text in ("word", "слова", "0", "ab b", "zh", "ж 2", "zenit 2014 may", "июня", "зенит"):
            for shown in (None, Shown(0.5)):
                asked = wanted(text)
                found = store.recorded(asked, Selection(Filters(), shown))
                sources = store.sources(asked, found.photos.tolist())
                answers.append(
                    sorted(
                        (self.contents(store, [number]), tier, sources[number])
                        for number, tier in zip(
                            *(a.tolist() for a in (found.photos, found.tiers)), strict=True
                        )
                    )
                )
        return answers

    def _shown(self, store: Store) -> list[object]:
        numbers = [self.number(store, content) for content in range(10)]
        return [
            sorted(self.contents(store, store.shown(Shown(0.5), numbers))),
            store.hides(Shown(0.5)),
            sorted((c, store.assessments([self.number(store, c)]).values()) for c in range(0))
        ]  # fmt: skip


SELECTIONS = (
    Filters(),
    Filters(folder=Path("/a")),
    Filters(camera="zenit"),
    Filters(camera="зенит"),
    Filters(after="2001-09-09T00:00:00", before="2015-01-01T00:00:00"),
    Filters(near=(55.0, 37.0, 5.0)),
    Filters(kind="png", min_width=300),
    Filters(collection="б\0", folder=Path("/a")),
)


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def replace_bytes(totals: Any) -> Any:
    return replace(totals, bytes=0)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEPS, min_size=3, max_size=14), large=st.booleans())
def test_both_engines_answer_the_same(steps: list[tuple[str, Any]], large: bool) -> None:
    with (
        closing(open_store(MEMORY, create=True)) as first,
        closing(open_store(server().empty(), create=True)) as second,
        patch.object(joint, "EXACT", 3 if large else 20_000),  # so that the graph answers too
    ):
        both = Both(first, second)
        for name, argument in steps:
            getattr(both, name)(argument)
        both.compare()
