"""The tables, made by numbered steps: a new library takes them all, an older one those it lacks."""

import os
from collections.abc import Sequence
from pathlib import Path

from kadr.stores import IDS
from kadr.stores.sealer import Sealer
from kadr.stores.sqlite.statements import MARK, RULING_MARK, Run, put_note
from kadr.stores.words import NOTE, SOURCES, VERSION

APPLICATION = 0x6B616472
"""SQLite's application_id of a library: "kadr" in ASCII."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE folders (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE photos (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE,
    encoded INT NOT NULL, problem TEXT,
    kind TEXT, width INT, height INT, taken TEXT, camera TEXT, latitude REAL, longitude REAL,
    hash INT, texts TEXT);
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INT NOT NULL, modified INT NOT NULL,
    photo INT REFERENCES photos (id), problem TEXT, missing INT NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX files_of_photo ON files (photo);
CREATE TABLE vectors (photo INTEGER PRIMARY KEY REFERENCES photos (id), vector BLOB NOT NULL);
CREATE TABLE assessments (
    photo INTEGER PRIMARY KEY REFERENCES photos (id), words TEXT NOT NULL, scene REAL, faces TEXT,
    failed TEXT NOT NULL, probability REAL NOT NULL, version TEXT NOT NULL);
CREATE TABLE rulings (
    digest BLOB PRIMARY KEY, verdict TEXT NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL,
    why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, photos BLOB NOT NULL, scales BLOB NOT NULL, vectors BLOB NOT NULL);
"""
# AUTOINCREMENT never gives a photo's number to another one, so a stale row of the scan can't
# speak for a new photo. Vectors lie apart from facts, which filters read from end to end.

_RECORD = f"""
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY, time TEXT NOT NULL, event TEXT NOT NULL, facts TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL, seal TEXT NOT NULL);
CREATE INDEX audit_events ON audit (event);
CREATE TABLE requests (
    digest BLOB PRIMARY KEY, kind TEXT NOT NULL, who TEXT NOT NULL, at TEXT NOT NULL,
    why TEXT NOT NULL) WITHOUT ROWID;
ALTER TABLE assessments ADD mark INT;
UPDATE assessments SET mark = {MARK};
CREATE VIEW sound_assessments AS SELECT * FROM assessments WHERE mark = {MARK};
ALTER TABLE rulings ADD mark TEXT;
UPDATE rulings SET mark = {RULING_MARK};
CREATE VIEW decisions AS SELECT
    digest, CASE WHEN mark = {RULING_MARK} THEN verdict ELSE 'hide' END AS verdict, who, at, why
    FROM rulings
"""
# A row whose mark isn't that of what it says was damaged: as an assessment it is none, so that a
# person must look; as a ruling it hides.


_COPIES = """
CREATE TABLE copies (
    photo INT NOT NULL REFERENCES photos (id), digest BLOB NOT NULL, probability REAL NOT NULL,
    PRIMARY KEY (photo, digest)) WITHOUT ROWID;
CREATE INDEX copies_of ON copies (digest);
CREATE TABLE parts (photo INTEGER PRIMARY KEY REFERENCES photos (id), hashes BLOB NOT NULL)
"""

_PREFERENCES = """
CREATE TABLE exclusions (folder BLOB NOT NULL, pattern TEXT NOT NULL);
CREATE TABLE distinct_photos (
    first BLOB, second BLOB, PRIMARY KEY (first, second)) WITHOUT ROWID
"""

_TEXTS = "CREATE INDEX photos_with_texts ON photos (encoded) WHERE texts IS NOT NULL AND encoded"
# Every search asks for the photos whose texts hold its words; few photos have texts at all.

_VECTOR_SETS = "CREATE TABLE vector_sets (id INTEGER PRIMARY KEY, encoder TEXT NOT NULL UNIQUE)"
# A set lies in a table of its own, vectors_ID, shaped as `vectors`, which holds those that are
# searched: a switch renames tables, whatever they hold, and a search is as fast as with one set.

_COLLECTIONS = """
CREATE TABLE collections (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE collected (
    collection INT NOT NULL REFERENCES collections (id), digest BLOB NOT NULL,
    PRIMARY KEY (collection, digest)) WITHOUT ROWID;
CREATE INDEX collected_digests ON collected (digest)
"""
# Contents, not photos: what was collected is so again when its file comes back.

_WORD_SOURCES = SOURCES[:5]
"""Those of the format that first had words."""
_WORDS = (
    "CREATE VIRTUAL TABLE {} USING fts5 ({}, tokenize = \"ascii tokenchars '_'\", detail = column)"
)
# Its texts are keys that are made already: the tokenizer only parts them at spaces.

_SIDECARS = """
ALTER TABLE files ADD sidecar TEXT;
ALTER TABLE files ADD sidecar_said TEXT;
ALTER TABLE photos ADD own TEXT;
CREATE INDEX files_with_sidecars ON files (photo) WHERE sidecar IS NOT NULL
"""
# The columns of a photo hold its facts with what is said beside its files; `own` holds what differs
# of its own.


_PICTURE_TEXTS = """
CREATE TABLE picture_texts (
    photo INTEGER PRIMARY KEY REFERENCES photos (id), engine TEXT NOT NULL, lines TEXT NOT NULL,
    problem TEXT)
"""


def _photos(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _SCHEMA)


def _record(run: Run, path: Path, sealer: Sealer) -> None:
    from kadr.stores.sqlite import takeover  # no search pays for it

    _script(run, _RECORD)
    put_note(run, IDS, os.urandom(32).hex())
    takeover.take_over(run, path.with_name(path.name + ".audit.jsonl"), sealer)


def _copies(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _COPIES)


def _preferences(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _PREFERENCES)


def _texts(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _TEXTS)


def _vector_sets(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _VECTOR_SETS)


def _collections(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _COLLECTIONS)


def _words(run: Run, _path: Path, _sealer: Sealer) -> None:
    """Words of photos that are there already are made by the next `index`: it may take minutes."""
    run("DROP INDEX photos_with_texts")
    run(_WORDS.format("words", ", ".join(_WORD_SOURCES)))
    if run("SELECT 1 FROM photos LIMIT 1").fetchone() is None:
        put_note(run, NOTE, VERSION)


def _places(run: Run, _path: Path, _sealer: Sealer) -> None:
    """A photo's place and its words."""
    run("ALTER TABLE photos ADD place TEXT")
    run("ALTER TABLE photos ADD place_folded TEXT")
    run("CREATE INDEX photos_place ON photos (latitude, longitude) WHERE latitude IS NOT NULL")
    _add_source(run, _WORD_SOURCES, "place")


def _sidecars(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _SIDECARS)


def _picture_texts(run: Run, _path: Path, _sealer: Sealer) -> None:
    _script(run, _PICTURE_TEXTS)
    _add_source(run, (*_WORD_SOURCES, "place"), "picture")


def _add_source(run: Run, sources: Sequence[str], added: str) -> None:
    """Give words on record a source; a full-text table takes no further column: it is copied."""
    known = ", ".join(sources)
    run(_WORDS.format("more_words", f"{known}, {added}"))
    run(f"INSERT INTO more_words (rowid, {known}, {added}) SELECT rowid, {known}, '' FROM words")
    run("DROP TABLE words")
    run("ALTER TABLE more_words RENAME TO words")


STEPS = (
    *(_photos, _record, _copies, _preferences, _texts, _vector_sets, _collections, _words),
    *(_places, _sidecars, _picture_texts),
)
"""Step n makes format n of format n - 1. What was released is never changed."""
FORMAT = len(STEPS)


def migrate(run: Run, path: Path, sealer: Sealer) -> None:
    """Bring a library's tables to this format, within a transaction."""
    (version,) = run("PRAGMA user_version").fetchone()
    for step in STEPS[version:]:
        step(run, path, sealer)
    run(f"PRAGMA user_version={FORMAT}")


def _script(run: Run, statements: str) -> None:
    for statement in statements.strip().split(";\n"):
        run(statement)
