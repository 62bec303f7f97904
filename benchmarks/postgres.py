"""Prints how a library of made photos on PostgreSQL answers: building, bytes, milliseconds, recall.

Usage: python benchmarks/postgres.py postgresql://... [--photos 200000] [--queries 40] [--variants]
           [--keep | --kept]

The database, or the schema, is empty before; its tables are dropped in the end, unless kept. The
photos lie nowhere, their joint vectors are those of benchmarks/library.py. Recall@250 is the share
of the 250 nearest by exact arithmetic that are found; ranges are over queries. With --variants it
compares ways to make the graph instead, as decision 17 tells.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kadr.matcher import bundle as matcher
from kadr.stores import NewFile, NewPhoto, Selection, Shown
from kadr.stores.postgres import PostgresStore
from kadr.types import Assessment, Filters, PhotoFacts, Vectors
from library import QUERIES, drawn, mixtures

BATCH = 5000
WORDS = ("dog", "собака", "snow", "child", "bicycle", "море", "two men", "crowd", "tree", "red")
PLACES = 250
TIMES = 20
SUSPECT = 20
"""One photo of so many is hidden."""


@dataclass(frozen=True)
class Made:
    """The photos of the library, by number less one: joint vectors, widths and kinds."""

    joint: Vectors
    widths: NDArray[np.int64]
    png: NDArray[np.bool_]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec")
    parser.add_argument("--photos", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--keep", action="store_true", help="Leave the library where it is.")
    parser.add_argument("--kept", action="store_true", help="It is there, by --keep before.")
    parser.add_argument("--variants", action="store_true", help="Compare graphs.")
    options = parser.parse_args()
    store = PostgresStore(options.spec, create=True)
    made = make(options.photos)
    if not options.kept:
        load(store, made)
    if options.variants:
        compare(store, query_vectors(options.queries), made.joint)
        drop(store)
        return
    print(sizes(store, options.photos), flush=True)
    print(
        "| selection | photos | server's CPU, ms | p50 ms | p95 ms | recall@250 (least) |"
        " the second page, p50 ms |\n|---|---|---|---|---|---|---|"
    )
    queries = query_vectors(options.queries)
    for name, selection, passing in selections(made):
        print(row(store, queries, (name, selection), made.joint, passing), flush=True)
    print("under the law, when nothing is remembered, server's CPU, ms:", asking(store))
    if not options.keep:
        drop(store)
    store.close()


def make(count: int) -> Made:
    """The same photos at each call."""
    mini = matcher.load()
    seeds, random = drawn(mini), np.random.default_rng(0)
    joint = np.concatenate(
        [
            mini.alignment.images(mixtures(seeds, min(BATCH, count - start), random)).vectors
            for start in range(0, count, BATCH)
        ]
    )
    return Made(joint, 1 + random.permutation(count) % 1000, alike(joint))


def load(store: PostgresStore, made: Made) -> None:
    """Fill the library; prints the seconds of it, and of its graph."""
    count, joint = len(made.joint), made.joint
    started = time.perf_counter()
    for start in range(0, count, BATCH):
        store.keep(*batch(made, range(start, min(start + BATCH, count))))
    print(f"{count:,} photos, {joint.shape[1]} dimensions: loaded in {since(started):.0f} s")
    assess(store, count)
    started = time.perf_counter()
    store.sweep()
    print(f"its graph: {since(started):.0f} s")
    store.run("ANALYZE")


def alike(joint: Vectors) -> NDArray[np.bool_]:
    """A fifth that look alike: a filter and a query may have much in common, or nothing."""
    side = joint @ np.random.default_rng(5).normal(size=joint.shape[1])
    return np.asarray(side > np.quantile(side, 0.8))


def batch(made: Made, numbers: range) -> tuple[list[NewPhoto], list[NewFile]]:
    """Photos and files of one step; a vector of the encoder would only take up room."""
    photos, files = [], []
    for number in numbers:
        vector = made.joint[number]
        digest = hashlib.sha256(str(number).encode()).digest()
        taken = f"{2000 + number % 25}-{1 + number % 12:02}-15T12:00:00"
        kind, width = ("png" if made.png[number] else "jpeg"), int(made.widths[number])
        facts = PhotoFacts(kind, width, 3000, taken, f"camera {number % 7}", None, None)
        photos.append(NewPhoto(digest, None, facts, number, vector[:8], vector))
        files.append(NewFile(Path(f"/photos/{number // 1000}/{number}.jpg"), 0, 0, digest))
    return photos, files


def assess(store: PostgresStore, count: int) -> None:
    """Let the law know every photo."""
    for start in range(1, count + 1, BATCH):
        store.keep_assessments(
            {
                number: Assessment((), 0.1, None, (), 0.9 if number % SUSPECT == 0 else 0.1, "1")
                for number in range(start, min(start + BATCH, count + 1))
            }
        )


def selections(made: Made) -> Iterator[tuple[str, Selection, NDArray[np.bool_]]]:
    """What is asked for, and which photos pass."""
    everything = np.ones(len(made.joint), bool)
    allowed = np.arange(1, len(made.joint) + 1) % SUSPECT != 0
    law = Shown(0.5)
    yield "all", Selection(), everything
    yield "all, under the law", Selection(shown=law), allowed
    for share in (0.001, 0.01, 0.1, 0.5):
        least = 1001 - round(1000 * share)
        passing = made.widths >= least
        name = f"{share:.1%} at random"
        yield name, Selection(Filters(min_width=least)), passing
        yield f"{name}, law", Selection(Filters(min_width=least), law), passing & allowed
    yield "a sort that looks alike", Selection(Filters(kind="png")), made.png
    yield "the same, law", Selection(Filters(kind="png"), law), made.png & allowed


def query_vectors(count: int) -> Vectors:
    """Texts in the joint space, float32 [count, dim]."""
    mini = matcher.load()
    texts = [f"{query} {word}" for word in WORDS for query in QUERIES][:count]
    return mini.alignment.texts(mini.text_encoder.encode(texts)).vectors


def row(
    store: PostgresStore,
    queries: Vectors,
    asked: tuple[str, Selection],
    joint: Vectors,
    passing: NDArray[np.bool_],
) -> str:
    """One line of the table."""
    name, selection = asked
    numbers = np.flatnonzero(passing)
    times, later, recalls = [], [], []
    store.nearest(queries[0], selection, 0, PLACES)
    before = server_cpu(store)
    for query in queries:
        started = time.perf_counter()
        found = store.nearest(query, selection, 0, PLACES)
        times.append(1000 * since(started))
        started = time.perf_counter()
        store.nearest(query, selection, PLACES, PLACES)
        later.append(1000 * since(started))
    cpu = (server_cpu(store) - before) / len(queries) / 2
    for query in queries:
        found = store.nearest(query, selection, 0, PLACES)
        wanted = min(PLACES, len(numbers))
        best = numbers[np.argsort(-(joint[numbers] @ query), kind="stable")[:wanted]] + 1
        recalls.append(len(np.intersect1d(found.photos, best)) / wanted)
    p50, p95 = np.percentile(times, [50, 95])
    how = "graph" if found.approximate else "exact"
    return (
        f"| {name} ({how}) | {len(numbers):,} | {cpu:.0f} | {p50:.0f} | {p95:.0f} |"
        f" {np.mean(recalls):.3f} ({min(recalls):.3f}) | {np.median(later):.0f} |"
    )


VARIANTS = (
    ("ivfflat (vector halfvec_ip_ops) WITH (lists = 450)", 1, (("ivfflat.probes", "80", 250),)),
    ("hnsw (vector halfvec_ip_ops)", 1, (("off", "1000", 1000), ("relaxed_order", "1000", 4000))),
    ("hnsw (vector halfvec_ip_ops)", 4, (("relaxed_order", "1000", 4000),)),
    (
        "hnsw (vector halfvec_ip_ops) WITH (m = 24, ef_construction = 128)",
        1,
        (("relaxed_order", "1000", 4000),),
    ),
    (
        "hnsw (vector halfvec_ip_ops) WITH (m = 24, ef_construction = 128)",
        4,
        (("relaxed_order", "1000", 4000), ("relaxed_order", "1000", 6000)),
    ),
)
"""Index, partitions, and how it is asked: mode, ef_search or probes, and how many it gives."""


def compare(store: PostgresStore, queries: Vectors, joint: Vectors) -> None:
    """Print seconds and recall of each variant."""
    print("| index | partitions | build, s | mode, effort, given | recall@250 (least) | p50 ms |")
    print("|---|---|---|---|---|---|")
    best = [np.argsort(-(joint @ query), kind="stable")[:PLACES] + 1 for query in queries]
    (number,) = store.read("SELECT joint FROM kadr")[0]
    with store.transaction(alone=True) as run:
        run("SELECT set_config('statement_timeout', '0', true)")
        run("SELECT set_config('maintenance_work_mem', '1500MB', true)")
        store._base.bound = None
        for index, partitions, asked in VARIANTS:
            run("DROP TABLE IF EXISTS variant")
            run(
                f"CREATE TABLE variant (photo bigint, vector halfvec({joint.shape[1]}))"
                " PARTITION BY HASH (photo)"
            )
            for part in range(partitions):
                run(
                    f"CREATE TABLE variant_{part} PARTITION OF variant"
                    f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {part})"
                )
            run(f"INSERT INTO variant SELECT photo, vector FROM joint_{number}")
            started = time.perf_counter()
            run(f"CREATE INDEX ON variant USING {index}")
            built = since(started)
            for how in asked:
                print(
                    f"| {index} | {partitions} | {built:.0f} | {how} |"
                    f" {ask_variant(store, queries, best, how)} |",
                    flush=True,
                )
        run("DROP TABLE variant")


def ask_variant(
    store: PostgresStore,
    queries: Vectors,
    best: list[NDArray[np.int64]],
    how: tuple[str, str, int],
) -> str:
    """Recall and milliseconds of one way to ask."""
    mode, effort, count = how
    settings = (
        {mode: effort}
        if "probes" in mode
        else {"hnsw.iterative_scan": mode, "hnsw.ef_search": effort}
    )
    for name, value in {**settings, "enable_seqscan": "off"}.items():
        store.run("SELECT set_config(%s, %s, true)", (name, value))
    recalls, times = [], []
    for query, wanted in zip(queries, best, strict=True):
        text = "[" + ",".join(map(str, query.tolist())) + "]"
        started = time.perf_counter()
        rows = store.read(
            "SELECT photo, vector <#> %s::halfvec FROM variant ORDER BY vector <#> %s::halfvec"
            " LIMIT %s",
            (text, text, count),
        )
        times.append(1000 * since(started))
        found = [photo for photo, _ in sorted(rows, key=lambda row: row[1])[:PLACES]]
        recalls.append(len(np.intersect1d(found, wanted)) / PLACES)
    return f"{np.mean(recalls):.3f} ({min(recalls):.3f}) | {np.median(times):.0f}"


def server_cpu(store: PostgresStore) -> float:
    """Milliseconds of CPU that this connection's process has had, where the server is here."""
    (pid,) = store.read("SELECT pg_backend_pid()")[0]
    status = Path(f"/proc/{pid}/stat")
    if not status.exists():
        return float("nan")
    user, system = status.read_text().rpartition(")")[2].split()[11:13]
    return 1000 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def asking(store: PostgresStore) -> str:
    """Milliseconds of counting what may be shown, and of asking whether anything is hidden."""
    law = Shown(0.5)
    count = repeated(store, lambda: store.count(Selection(shown=law)))
    return f"count {count:.1f}, hides {repeated(store, lambda: store.hides(law)):.1f}"


def repeated(store: PostgresStore, ask: Callable[[], object]) -> float:
    """Milliseconds of the server's CPU for a question whose answer isn't remembered."""
    ask()
    before = server_cpu(store)
    for _ in range(TIMES):
        store.note(benchmark="changed")
        ask()
    return (server_cpu(store) - before) / TIMES


def sizes(store: PostgresStore, count: int) -> str:
    """Bytes a photo, by table."""
    rows = store.read(
        "SELECT relname::text, pg_total_relation_size(oid), pg_indexes_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        " AND pg_total_relation_size(oid) > 1000000 ORDER BY 2 DESC"
    )
    told = [f"{name} {total / count:.0f} (indexes {own / count:.0f})" for name, total, own in rows]
    return f"bytes a photo: {', '.join(told)}"


def drop(store: PostgresStore) -> None:
    """Leave nothing behind."""
    tables = store.read(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = current_schema()::regnamespace"
    )
    for (table,) in tables:
        store.run(f'DROP TABLE IF EXISTS "{table}" CASCADE')
    store.run("DROP SEQUENCE IF EXISTS table_numbers")


def since(started: float) -> float:
    """Seconds."""
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
