"""The tables, made by numbered steps: a new library takes them all, an older one those it lacks."""

import os

from kadr.stores.postgres.statements import IDS, MARK, RULING_MARK, Run, put_note

_SCHEMA = f"""
CREATE TABLE kadr (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), format int NOT NULL, id bytea NOT NULL,
    revision bigint NOT NULL DEFAULT 0, vectors bigint, joint bigint, dim int);
CREATE SEQUENCE table_numbers;
CREATE TABLE notes (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE folders (path bytea NOT NULL);
CREATE TABLE photos (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, digest bytea NOT NULL UNIQUE,
    encoded boolean NOT NULL, problem text, kind text COLLATE "C", width bigint, height bigint,
    taken text COLLATE "C", camera text, camera_folded text COLLATE "C",
    latitude double precision, longitude double precision, hash bigint, texts text COLLATE "C");
CREATE INDEX photos_taken ON photos (taken);
CREATE INDEX photos_with_texts ON photos (id) WHERE texts IS NOT NULL AND encoded;
CREATE TABLE files (
    path bytea NOT NULL, size bigint NOT NULL, modified bigint NOT NULL,
    photo bigint REFERENCES photos (id), problem text, missing boolean NOT NULL DEFAULT false);
CREATE UNIQUE INDEX files_path ON files (sha256(path));
CREATE INDEX files_start ON files (substr(path, 1, 1000));
CREATE INDEX files_photo ON files (photo);
CREATE TABLE parts (photo bigint PRIMARY KEY REFERENCES photos (id), hashes bytea NOT NULL);
CREATE TABLE vector_sets (id bigint PRIMARY KEY, encoder text COLLATE "C" NOT NULL UNIQUE);
CREATE TABLE unused_tables (name text COLLATE "C" PRIMARY KEY);
CREATE TABLE assessments (
    photo bigint PRIMARY KEY REFERENCES photos (id), words text NOT NULL, scene double precision,
    faces text, failed text COLLATE "C" NOT NULL, probability double precision NOT NULL,
    version text COLLATE "C" NOT NULL, mark bigint);
CREATE VIEW sound_assessments AS SELECT * FROM assessments WHERE mark = {MARK};
CREATE TABLE copies (
    photo bigint NOT NULL REFERENCES photos (id), digest bytea NOT NULL,
    probability double precision NOT NULL, PRIMARY KEY (photo, digest));
CREATE INDEX copies_of ON copies (digest);
CREATE TABLE rulings (
    digest bytea PRIMARY KEY, verdict text COLLATE "C" NOT NULL, who text NOT NULL,
    at text COLLATE "C" NOT NULL, why text NOT NULL, mark text);
CREATE VIEW decisions AS SELECT
    digest, CASE WHEN mark = {RULING_MARK} THEN verdict ELSE 'hide' END AS verdict, who, at, why
    FROM rulings;
CREATE TABLE requests (
    digest bytea PRIMARY KEY, kind text COLLATE "C" NOT NULL, who text NOT NULL,
    at text COLLATE "C" NOT NULL, why text NOT NULL);
CREATE TABLE audit (
    sequence bigint PRIMARY KEY, time text NOT NULL, event text COLLATE "C" NOT NULL,
    facts text NOT NULL, previous text NOT NULL, hash text NOT NULL, seal text NOT NULL);
CREATE INDEX audit_events ON audit (event, sequence);
CREATE TABLE exclusions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, folder bytea NOT NULL,
    pattern text NOT NULL);
CREATE TABLE distinct_photos (first bytea, second bytea, PRIMARY KEY (first, second))
"""
# A path may be longer than an index takes, so its SHA-256 and its start are indexed. Vectors lie in
# tables of their own, vectors_N and joint_N, whose numbers the row of `kadr` names: whoever reads
# at an earlier instant goes on reading the earlier ones, which `unused_tables` lists until `sweep`.
# A row whose mark isn't that of what it says was damaged: as an assessment it is none, so that a
# person must look; as a ruling it hides.


def _tables(run: Run) -> None:
    for statement in _SCHEMA.strip().split(";\n"):
        run(statement)
    run("INSERT INTO kadr (format, id) VALUES (0, %s)", (os.urandom(16),))
    put_note(run, IDS, os.urandom(32).hex())


STEPS = (_tables,)
"""Step n makes format n of format n - 1. What was released is never changed."""
FORMAT = len(STEPS)


def migrate(run: Run, version: int) -> None:
    """Bring a library's tables from a format to this one, within a transaction."""
    for step in STEPS[version:]:
        step(run)
    run("UPDATE kadr SET format = %s", (FORMAT,))
