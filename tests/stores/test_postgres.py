"""The library on a server: several who write, and whatever is killed, cut, frozen or forbidden."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.errors import LibraryError, LibraryUnavailableError, ReadOnlyError
from kadr.stores import (
    NewFile,
    NewPhoto,
    Selection,
    Shown,
    beside,
    exists,
    formats,
    named,
    open_store,
)
from kadr.stores.postgres import PostgresStore, joint, migrations, opening
from kadr.stores.postgres.address import parameters
from kadr.stores.postgres.connection import BoundedConnection
from kadr.stores.postgres.failures import translated
from kadr.stores.postgres.migrations import FORMAT
from kadr.stores.postgres.statements import Run
from kadr.stores.postgres.texts import from_text, to_text
from kadr.stores.words import wanted
from kadr.types import Filters, Request, Ruling
from libraries import FACTS, add, assess, digest, matching, new_file, new_photo, number
from postgres_servers import Server, server

SEEN = opening.Seen(
    version=18, encoding="UTF8", schema="a", vector="0.8.5", vector_schema="a", made=False,
    others=False, readonly=False,
)  # fmt: skip
RULING = Ruling("hide", "Анна", "2026-01-01T00:00:00+00:00", "I know them")


@pytest.fixture
def running() -> Server:
    return server()


@pytest.fixture
def spec(running: Server) -> str:
    return running.empty()


@pytest.fixture
def store(spec: str) -> Iterator[PostgresStore]:
    with closing(PostgresStore(spec, create=True)) as opened:
        yield opened


@contextmanager
def role(running: Server, name: str, *grants: str) -> Iterator[str]:
    """A user who may do that much, and no more."""
    with running.connect() as base:
        base.execute(f"CREATE ROLE {name} LOGIN".encode())
        for grant in grants:
            base.execute(f"GRANT {grant} TO {name}".encode())
        try:
            yield name
        finally:
            base.execute(f"DROP OWNED BY {name}".encode())
            base.execute(f"DROP ROLE {name}".encode())


def schema_of(spec: str) -> str:
    return spec.rpartition("search_path%3D")[2]


def of_user(spec: str, name: str) -> str:
    return spec.replace("postgres@", f"{name}@")


def as_of_format_3(run: Run) -> None:
    """Make a library as it was before words were on record."""
    run("DROP TABLE words, picture_texts")
    run("DELETE FROM notes WHERE key = 'words'")
    run("CREATE INDEX photos_with_texts ON photos (id)")
    run("ALTER TABLE photos DROP place, DROP place_folded, DROP own")
    run("ALTER TABLE files DROP sidecar, DROP sidecar_said")
    run("UPDATE kadr SET format = 3")


class TestOpening:
    def test_a_missing_library_is_told_and_made_only_where_asked(self, spec: str) -> None:
        assert not exists(spec)
        with pytest.raises(LibraryError, match=r"no library here\. Make one: kadr index FOLDER"):
            open_store(spec)
        open_store(spec, create=True).close()
        assert exists(spec)
        for create in (True, False):
            with closing(open_store(spec, create=create)) as opened:
                assert opened.check() == []
                assert opened.file is None

    def test_two_libraries_in_one_database_know_nothing_of_each_other(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        add(store, {"/p/1.jpg": 1})
        with (
            closing(PostgresStore(running.empty(), create=True)) as other,
            store.writing(),
            other.writing(lambda: pytest.fail("another library's turn")),
        ):
            assert other.totals().files == 0

    def test_another_program_s_tables_stay_as_they_are(self, running: Server, spec: str) -> None:
        schema = schema_of(spec)
        with running.connect() as base:
            base.execute(f"CREATE TABLE {schema}.photos (id int)".encode())
            with pytest.raises(LibraryError, match=r"holds other tables.*csearch_path%3DNAME"):
                open_store(spec, create=True)
            base.execute(f"CREATE TABLE {schema}.kadr (format text)".encode())
            with pytest.raises(LibraryError, match="isn't a library of kadr"):
                open_store(spec, create=True)

    def test_a_newer_format_is_told(self, store: PostgresStore, spec: str) -> None:
        store.run("UPDATE kadr SET format = 99")
        with pytest.raises(LibraryError, match=r"has format 99, this kadr reads \d+\. Install"):
            open_store(spec)

    def test_an_older_one_is_brought_up_to_date_by_whoever_may_write(
        self,
        running: Server,
        store: PostgresStore,
        spec: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        add(store, {"/p/1.jpg": 1})
        steps = (*migrations.STEPS, lambda run: run("CREATE TABLE newer (id int)"))
        for module in (migrations, opening, sys.modules["kadr.stores.postgres.connection"]):
            monkeypatch.setattr(module, "FORMAT", len(steps), raising=False)
        monkeypatch.setattr(migrations, "STEPS", steps)
        schema = schema_of(spec)
        rights = f"USAGE ON SCHEMA {schema}", f"SELECT ON ALL TABLES IN SCHEMA {schema}"
        told = "Open it once as a user who may write"
        with role(running, "looks", *rights), pytest.raises(LibraryError, match=told):
            open_store(of_user(spec, "looks"))
        with closing(PostgresStore(spec)) as opened:
            assert opened.read("SELECT count(*) FROM newer") == [(0,)]
            assert opened.totals().files == 1

    def test_its_format_is_told_without_bringing_it_up_to_date(
        self, store: PostgresStore, spec: str
    ) -> None:
        assert formats(spec) == (FORMAT, FORMAT)
        with store.transaction() as run:
            as_of_format_3(run)
        assert formats(spec) == (3, FORMAT)
        done = CliRunner().invoke(app, ["library", "upgrade", "--check", "--library", spec])
        assert (done.exit_code, "has format 3, this kadr makes" in done.stdout) == (1, True)
        done = CliRunner().invoke(app, ["library", "upgrade", "--library", spec])
        assert "is on a server: back it up with pg_dump" in str(done.exception)
        assert formats(spec) == (3, FORMAT)
        done = CliRunner().invoke(app, ["library", "upgrade", "--no-backup", "--library", spec])
        assert (done.exit_code, formats(spec)) == (0, (FORMAT, FORMAT))

    def test_words_of_photos_that_were_there_are_made_by_the_next_index(
        self, store: PostgresStore, spec: str
    ) -> None:
        add(store, {"/p/wedding.jpg": 1, "/p/beach.jpg": 2})
        with store.transaction() as run:
            as_of_format_3(run)
        with closing(PostgresStore(spec)) as opened:
            assert opened.recorded(wanted("wedding"), Selection()).photos.tolist() == []
            assert opened.keep_words() == 2
            assert opened.recorded(wanted("wedding"), Selection()).photos.tolist() == [1]
            assert opened.keep_words() == 0

    def test_made_by_several_at_once_it_is_one(self, spec: str) -> None:
        problems: list[Exception] = []

        def make() -> None:
            try:
                PostgresStore(spec, create=True).close()
            except LibraryError as error:
                problems.append(error)

        in_threads([make] * 4)
        assert problems == []

    @pytest.mark.parametrize(
        ("seen", "told"),
        [
            (replace(SEEN, version=13), "13 is too old.*14"),
            (replace(SEEN, schema=None), "CREATE SCHEMA"),
            (replace(SEEN, encoding="LATIN1"), "encoding UTF8"),
            (replace(SEEN, vector=None), "CREATE EXTENSION"),
            (replace(SEEN, vector="0.7.4"), "0.7.4 is too old"),
        ],
    )
    def test_what_a_server_lacks_is_told(self, seen: opening.Seen, told: str) -> None:
        with pytest.raises(LibraryError, match=f"^postgresql://host/db.*{told}") as caught:
            opening.check(seen, "postgresql://host/db", create=True)
            opening.check_vector(seen, "postgresql://host/db")
        assert "\n" not in str(caught.value)

    def test_without_the_right_to_add_pgvector_it_is_told(self, running: Server) -> None:
        with running.connect() as base:
            base.execute("CREATE DATABASE bare TEMPLATE template0 ENCODING 'UTF8'")
        try:
            with role(running, "guest"):
                with running.connect("bare") as base:
                    base.execute("CREATE SCHEMA guest AUTHORIZATION guest")
                with pytest.raises(
                    LibraryError, match=r"may not add pgvector.*CREATE EXTENSION vector"
                ):
                    open_store(
                        running.spec("bare", "guest", options="-csearch_path=guest"), create=True
                    )
                with running.connect("bare") as base:
                    base.execute("DROP SCHEMA guest")
            with closing(open_store(running.spec("bare"), create=True)) as made:
                assert made.check() == []
        finally:
            with running.connect() as base:
                base.execute("DROP DATABASE bare WITH (FORCE)")

    def test_without_psycopg_the_extra_is_named(self) -> None:
        code = (
            "import sys; sys.modules['psycopg'] = None\n"
            "from kadr.errors import MissingExtraError\n"
            "from kadr.stores import open_store\n"
            "try: open_store('postgresql://host/db')\n"
            "except MissingExtraError as error: print(error)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert "pip install 'kadr[postgres]'" in told.stdout
        assert told.stdout.count("\n") == 1


class TestAddress:
    def test_a_schema_is_named_by_an_escaped_parameter(self) -> None:
        assert parameters("postgresql://h/d?options=-csearch_path%3Darchive")["options"] == (
            "-csearch_path=archive"
        )
        with pytest.raises(LibraryError, match="options=-csearch_path%3DNAME"):
            parameters("postgresql://h/d?options=-csearch_path=archive")

    def test_what_libpq_says_after_its_first_line_is_left_out(self) -> None:
        said = psycopg.OperationalError("connection failed: refused\n\tIs the server running?")
        told = str(translated(said, "postgresql://h/d"))
        assert "can't be reached (connection failed: refused)." in told
        refused = psycopg.OperationalError("failed\nFATAL: password authentication failed for x")
        assert "refuses this user (failed)" in str(translated(refused, "postgresql://h/d"))

    @pytest.mark.parametrize(
        "spec",
        [
            "postgresql://ann:s3cret@127.0.0.1:1/photos",
            "postgresql://ann@127.0.0.1:1/photos?password=s3cret",
            "postgresql://ann@127.0.0.1:1/photos?sslpassword=s3cret",
        ],
    )
    def test_passwords_are_never_told(self, spec: str) -> None:
        with pytest.raises(LibraryUnavailableError, match="can't be reached") as caught:
            open_store(spec)
        with pytest.raises(LibraryUnavailableError) as asked:
            exists(spec)
        for error in (caught.value, asked.value):
            assert "s3cret" not in str(error)
            assert error.__cause__ is None
            assert str(error).startswith("postgresql://ann@127.0.0.1:1/photos:")
            assert "\n" not in str(error)

    @pytest.mark.parametrize("spec", ["postgresql://[::1", "postgresql://u:s3cret@h:x/d?nope=1"])
    def test_what_is_no_address_is_told_without_it(self, spec: str) -> None:
        with pytest.raises(LibraryError, match=r"isn't understood|invalid port") as caught:
            open_store(spec)
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize(
        "spec",
        [
            "postgresql://ann:p@ss3cret@127.0.0.1:1/photos",
            "postgresql://ann:12/s3cret@127.0.0.1:1/photos",
            "postgresql://ann:p?@s3cret@127.0.0.1:1/photos",
            "postgresql:/ann:s3cret@127.0.0.1/photos",
            "postgresql:ann:s3cret@127.0.0.1",
            "ann:s3cret@127.0.0.1/photos",
            "host=127.0.0.1 password=s3cret",
            "user=ann password = s3cret options=://",
            "POSTGRESQL:ann:s3cret@h://x",
        ],
    )
    def test_a_password_that_is_not_escaped_is_not_repeated(self, spec: str) -> None:
        for ask in (open_store, exists, named, beside):
            with pytest.raises(LibraryError, match=r"postgresql://USER@") as told:
                ask(spec)
            assert "s3cret" not in str(told.value)

    def test_of_options_only_the_schema_is_told(self) -> None:
        options = "-cfoo.password%3Ds3cret%20-csearch_path%3Da%20--search-path%3Db"
        spec = f"postgresql://ann@h/d?options={options}&service=x"
        assert named(spec) == "postgresql://ann@h/d?service=x&options=-csearch_path%3Db"
        assert named("postgresql://h/d?options=-cfoo.password%3Ds3cret") == "postgresql://h/d"

    def test_a_file_may_be_called_anything_else(self, tmp_path: Path) -> None:
        for name in ("a@b", "a=b", "passwords", "C:", "postgres"):
            open_store(tmp_path / name, create=True).close()

    def test_a_database_that_is_not_there_is_told(self, running: Server) -> None:
        with pytest.raises(LibraryError, match=r"no such database.*createdb"):
            open_store(running.spec("nowhere"))

    def test_a_user_who_is_not_there_is_told(self, running: Server) -> None:
        with pytest.raises(LibraryError, match=r"refuses this user.*PGPASSWORD"):
            open_store(running.spec(user="nobody"))

    def test_secrets_are_a_library_s_own_by_whichever_address(
        self, running: Server, spec: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with pytest.raises(LibraryError, match=r"no library here\. Make one"):
            beside(spec)
        monkeypatch.setenv("KADR_SECRETS", str(tmp_path))
        schema, other = schema_of(spec), running.empty()
        for one in (spec, other):
            open_store(one, create=True).close()
        addresses = [
            spec,
            spec.replace("postgres@", "postgres:pw@"),
            running.spec(options=f"--search-path={schema}"),
            running.spec(options=f"-cSEARCH_PATH={schema},public"),
            running.spec(options=f"-csearch_path=x -csearch_path={schema}", connect_timeout="5"),
        ]
        (place,) = {beside(one) for one in addresses}
        assert place.parent == tmp_path
        assert beside(other) != place
        with running.connect() as base:
            base.execute(f"ALTER SCHEMA {schema} RENAME TO {schema}_moved".encode())
        assert beside(f"{spec}_moved") == place
        monkeypatch.delenv("KADR_SECRETS")
        assert beside(other).parent != tmp_path


@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0\ue000\ud800d8f0")))
def test_any_text_comes_back_from_what_postgresql_takes(text: str) -> None:
    column = to_text(text)
    assert column is not None
    assert "\0" not in column
    column.encode()
    assert from_text(column) == text


class TestStrangers:
    def test_any_text_of_a_photo_is_kept(self, store: PostgresStore) -> None:
        odd = "a\0b\ud800\ue000\U0001f4f7"
        facts = replace(FACTS, camera=odd, texts=(odd, "b"), kind="jpeg")
        store.keep(
            [new_photo(1, facts=facts), NewPhoto(digest(2), problem=odd)],
            [new_file(Path("/p/1.jpg"), 1), NewFile(Path("/p/2.jpg"), 1, 1, None, odd)],
        )
        one = number(store, 1)
        assert store.stored(store.present([one]))[one].facts == facts
        assert store.problem(digest(2)) == odd
        assert store.problems()[0].reason == odd
        assert matching(store, Filters(camera="A\0B")) == {"/p/1.jpg"}
        assert matching(store, Filters(camera="\0\0")) == set()
        assert store.recorded(wanted("b"), Selection()).photos.tolist() == [one]
        ruling = replace(RULING, who=odd, why=odd)
        store.set_ruling(digest(1).hex(), ruling)
        store.set_request(digest(1).hex(), Request("appealed", odd, RULING.when, odd))
        assert store.ruling(digest(1).hex()) == ruling
        assert store.requests()[digest(1).hex()].why == odd
        assert store.record("refused", {"query": odd}).facts == {"query": odd}
        assert store.log_problems() == []

    def test_paths_may_be_longer_than_an_index_takes(self, store: PostgresStore) -> None:
        random = np.random.default_rng(1)
        deep = Path("/p", *(random.bytes(120).hex() for _ in range(16)))
        paths = [deep / "1.jpg", deep / "2.jpg", Path(f"{deep}x/3.jpg")]
        numbers = add(store, {str(path): place for place, path in enumerate(paths)})
        assert store.present([numbers[str(paths[0])]]) == {1: (paths[0],)}
        assert matching(store, Filters(folder=deep)) == {str(path) for path in paths[:2]}
        assert set(store.states(deep)) == {os.fsencode(path) for path in paths[:2]}
        add(store, {str(paths[0]): 1})
        assert store.totals().copies == 1
        assert store.forget([paths[0]]) == 1

    @pytest.mark.parametrize("size", [2**31, 2**40])
    def test_large_files_and_late_times(self, store: PostgresStore, size: int) -> None:
        late = 2**63 + 5
        store.keep([new_photo(1)], [NewFile(Path("/p/1.jpg"), size, late, digest(1))])
        assert store.state(Path("/p/1.jpg")) == (size, 2**63 - 1)
        assert matching(store, Filters(after="2999-01-01T00:00:00")) == {"/p/1.jpg"}
        assert store.matching(Filters(), newest=True).tolist() == [1]

    def test_what_cannot_be_stored_is_refused_and_nothing_is_kept(
        self, store: PostgresStore
    ) -> None:
        wide = new_photo(1, facts=replace(FACTS, width=2**63))
        with pytest.raises((ValueError, OverflowError)):
            store.keep([wide, new_photo(2)], [new_file(Path("/p/2.jpg"), 2)])
        broken = replace(new_photo(3), joint=np.zeros(5, np.float32))
        with pytest.raises(ValueError, match="same shape"):
            store.keep([new_photo(2), broken], [new_file(Path("/p/2.jpg"), 2)])
        assert store.totals().photos == 0
        add(store, {"/p/2.jpg": 2})
        assert store.check() == []


class TestRoles:
    @pytest.fixture
    def reader(self, running: Server, spec: str, store: PostgresStore) -> Iterator[PostgresStore]:
        add(store, {"/p/1.jpg": 1, "/p/2.jpg": 2})
        store.record("refused", {})
        schema = schema_of(spec)
        rights = f"USAGE ON SCHEMA {schema}", f"SELECT ON ALL TABLES IN SCHEMA {schema}"
        with (
            role(running, "reader", *rights) as name,
            closing(PostgresStore(of_user(spec, name))) as opened,
        ):
            yield opened

    def test_who_may_read_can_search(self, reader: PostgresStore) -> None:
        assert reader.readonly
        vector = new_photo(1).joint
        assert vector is not None
        assert reader.nearest(vector, Selection(), 0, 1).photos.tolist() == [1]
        assert reader.count(Selection()) == 2
        assert reader.totals().files == 2
        assert [entry.event for entry in reader.entries()] == ["refused"]
        assert reader.check() == []
        assert reader.log_problems() == []
        assert len(list(reader.fingerprints(0, "none"))) == 1

    def test_and_writes_nothing(self, reader: PostgresStore) -> None:
        def turn() -> None:
            with reader.writing():
                pass

        for write in (
            lambda: reader.note(key="value"),
            lambda: add(reader, {"/p/3.jpg": 3}),
            lambda: reader.record("refused", {}),
            lambda: reader.rescan(lambda rows: rows),
            lambda: reader.set_ruling("ab" * 32, RULING),
            turn,
        ):
            with pytest.raises(ReadOnlyError, match="may only be read here"):
                write()

    def test_a_user_whose_transactions_only_read_is_one(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        shut = spec + "%20-cdefault_transaction_read_only%3Don"
        with closing(PostgresStore(shut)) as opened:
            assert opened.readonly
            with pytest.raises(ReadOnlyError):
                opened.note(key="value")
        fresh = running.empty() + "%20-cdefault_transaction_read_only%3Don"
        with pytest.raises(ReadOnlyError, match="Name the primary"):
            open_store(fresh, create=True)

    def test_who_may_not_even_read_is_told(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        usage, told = f"USAGE ON SCHEMA {schema_of(spec)}", r"lacks a right \(permission denied"
        with role(running, "stranger", usage), pytest.raises(LibraryError, match=told):
            open_store(of_user(spec, "stranger"))
        with role(running, "outsider"), pytest.raises(LibraryError, match="GRANT USAGE"):
            open_store(of_user(spec, "outsider"))


class TestOtherUsers:
    """Other users of the same database, who may do less than the library's."""

    def test_who_may_create_beside_the_tables_is_told(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        schema = schema_of(spec)
        with role(running, "other", f"CREATE, USAGE ON SCHEMA {schema}") as name:
            with pytest.raises(LibraryError, match=f"REVOKE CREATE ON SCHEMA {schema} FROM other"):
                open_store(spec)
            with psycopg.connect(of_user(spec, name), autocommit=True) as base:
                base.execute(
                    "CREATE FUNCTION generate_series(integer, smallint) RETURNS SETOF integer"
                    " LANGUAGE sql AS 'SELECT 1'"
                )
            with running.connect() as base:
                base.execute(f"REVOKE CREATE ON SCHEMA {schema} FROM other".encode())
            with pytest.raises(LibraryError, match="other has created functions in the schema"):
                open_store(spec)
        open_store(spec).close()

    def test_or_beside_pgvector(self, running: Server, spec: str) -> None:
        with running.connect() as base:
            base.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
            try:
                with pytest.raises(LibraryError, match="CREATE ON SCHEMA public FROM PUBLIC"):
                    open_store(spec, create=True)
            finally:
                base.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    def test_a_schema_that_is_named_after_the_user_is_not_taken(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        with running.connect() as base:
            base.execute("CREATE SCHEMA postgres")
            try:
                path = f'"$user",{schema_of(spec)}'
                with closing(PostgresStore(running.spec(options=f"-csearch_path={path}"))) as one:
                    assert one.read("SELECT id FROM kadr") == store.read("SELECT id FROM kadr")
                    assert one.read("SELECT current_schema()::text") == [(schema_of(spec),)]
            finally:
                base.execute("DROP SCHEMA postgres")

    def test_nobody_without_rights_holds_up_a_decision(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        rights = f"USAGE ON SCHEMA {schema_of(spec)}", "SELECT ON writers"
        advisory = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        with running.connect() as base, store.durable():
            store.set_ruling(digest(1).hex(), RULING)
            assert base.execute(advisory).fetchone() == (0,)
        store.run("SELECT 1")
        with running.connect() as base:
            base.execute(f"SET search_path TO {schema_of(spec)}".encode())
            base.execute("CREATE ROLE looker LOGIN")
            for right in rights:
                base.execute(f"GRANT {right} TO looker".encode())
        try:
            with psycopg.connect(of_user(spec, "looker")) as base:
                base.execute("SELECT * FROM writers")  # stays in its transaction
                with store.durable():
                    store.set_ruling(digest(2).hex(), RULING)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    base.execute("LOCK TABLE writers IN ROW EXCLUSIVE MODE")
        finally:
            with running.connect() as base:
                base.execute("DROP OWNED BY looker")
                base.execute("DROP ROLE looker")

    def test_a_reader_that_stays_in_its_transaction_stalls_nobody(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        add(store, {f"/p/{n}.jpg": n for n in range(5)})
        store.add_vectors("other", {1: np.ones(3, np.float32)})
        with closing(PostgresStore(spec)) as reader, closing(PostgresStore(spec)) as other:
            with reader.reading():
                assert reader.vector_sets() == {"other": 1}
                vector = new_photo(0).joint
                assert vector is not None
                reader.nearest(vector, Selection(), 0, 1)
                store.drop_vectors("other")
                store.rescan(lambda rows: rows, space="b")
                sweeping = threading.Thread(target=store.sweep)
                sweeping.start()
                other.run("SET lock_timeout = '5s'")
                other.set_ruling(digest(1).hex(), RULING)
                sweeping.join(20)
                assert not sweeping.is_alive()
                assert len(other.read("SELECT name FROM unused_tables")) == 2
            store.sweep()
            assert other.read("SELECT name FROM unused_tables") == []


WRITER = """
import sys
from pathlib import Path
from kadr.stores import open_store
from libraries import new_file, new_photo
store = open_store(sys.argv[1])
for start in range(0, 100_000, 5):
    names = range(start, start + 5)
    store.keep([new_photo(n) for n in names], [new_file(Path(f"/p/{n}.jpg"), n) for n in names])
    print(start + 5, flush=True)
"""


def writer(spec: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, spec],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def acknowledged(process: "subprocess.Popen[str]", kill: Callable[[], None]) -> int:
    """Let it write a while, kill something, and tell how far it had come."""
    assert process.stdout is not None
    with process:
        for _ in range(10):
            last = process.stdout.readline()
        kill()
        rest = process.stdout.read().splitlines()
        process.kill()
    return int([last.strip(), *rest][-1])


class TestKilled:
    def test_a_writer_loses_nothing_that_was_acknowledged(
        self, spec: str, store: PostgresStore
    ) -> None:
        process = writer(spec)
        done = acknowledged(process, process.kill)
        assert store.totals().files in {done, done + 5}
        assert store.check() == []
        with store.writing(lambda: pytest.fail("its turn outlived it")):
            add(store, {"/q/1.jpg": "q"})

    def test_nor_does_a_server(self, running: Server, spec: str, store: PostgresStore) -> None:
        process = writer(spec)
        done = acknowledged(process, running.kill)
        with pytest.raises(LibraryUnavailableError, match="can't be reached"):
            store.totals()
        running.start()
        assert store.totals().files in {done, done + 5}, "it connects anew"
        assert store.check() == []

    def test_a_stopped_server_is_told_and_comes_back(
        self, running: Server, store: PostgresStore
    ) -> None:
        add(store, {"/p/1.jpg": 1})
        before = store.changes()
        running.stop()
        for _ in range(2):
            with pytest.raises(LibraryUnavailableError, match="Check that it runs, and try again"):
                store.totals()
        running.start()
        assert store.totals().files == 1
        assert store.changes() != before, "what was read before may be old"
        cut(running, store)
        assert store.totals().files == 1, "a cut that nobody noticed is none"

    def test_a_frozen_server_is_an_error_in_bounded_time(
        self, running: Server, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(BoundedConnection, "bound", 0.3)
        store._base.bound = 0.3
        with running.frozen(), pytest.raises(LibraryUnavailableError, match="hasn't answered"):
            store.totals()
        monkeypatch.undo()
        assert store.totals().files == 0

    def test_cut_within_a_transaction_nothing_of_it_is_kept(
        self, running: Server, store: PostgresStore
    ) -> None:
        with pytest.raises(LibraryUnavailableError), store.durable():
            store.note(key="value")
            cut(running, store)
            with pytest.raises(LibraryUnavailableError):
                store.note(other="value")
            store.note(third="value")
        assert store.meta("key") is None
        store.note(key="again")
        assert store.meta("key") == "again"

    def test_an_instant_ends_with_its_connection(
        self, running: Server, store: PostgresStore
    ) -> None:
        with pytest.raises(LibraryUnavailableError), store.reading():
            cut(running, store)
            with pytest.raises(LibraryUnavailableError):
                store.totals()
            store.totals()
        assert store.totals().files == 0

    def test_a_turn_is_taken_again_or_lost(
        self, running: Server, spec: str, store: PostgresStore
    ) -> None:
        with closing(PostgresStore(spec)) as other:
            with store.writing():
                cut(running, store)
                assert store.totals().files == 0
                with pytest.raises(TimeoutError), other.writing(stop_waiting):
                    pass
                cut(running, store)
                with other.writing(lambda: pytest.fail("still held")):
                    for _ in range(2):
                        with pytest.raises(LibraryUnavailableError, match="another process writes"):
                            store.note(key="value")
            assert other.meta("key") is None


def cut(running: Server, store: PostgresStore) -> None:
    with running.connect() as base:
        base.execute("SELECT pg_terminate_backend(%s, 5000)", (store._base.info.backend_pid,))


def stop_waiting() -> None:
    raise TimeoutError


def in_threads(tasks: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


class TestTogether:
    def test_writers_of_the_same_contents_agree(self, spec: str, store: PostgresStore) -> None:
        problems: list[Exception] = []

        def write(place: int) -> None:
            random = np.random.default_rng(place)
            try:
                with closing(PostgresStore(spec)) as own:
                    for start in range(0, 60, 10):
                        names = random.permutation(np.arange(start, start + 10)).tolist()
                        own.keep(
                            [new_photo(n) for n in names],
                            [new_file(Path(f"/{place}/{n}.jpg"), n) for n in names],
                        )
                        own.keep_assessments({})
                        own.record("refused", {"by": place})
            except (LibraryError, ValueError, psycopg.Error) as error:
                problems.append(error)

        in_threads([lambda place=place: write(place) for place in range(4)])  # type: ignore[misc]
        assert problems == []
        totals = store.totals()
        assert (totals.photos, totals.files) == (60, 240)
        assert store.check() == []
        assert store.log_problems() == []
        entries = [entry.sequence for entry in store.entries()]
        assert entries == list(range(1, 25)), "the chain is one"
        known, vectors = store.vectors(store.matching(Filters()).tolist())
        assert len(known) == len(vectors) == 60

    def test_nobody_writes_while_another_decides(self, spec: str, store: PostgresStore) -> None:
        with closing(PostgresStore(spec)) as other:
            done = threading.Event()

            def write() -> None:
                other.note(key="other")
                done.set()

            thread = threading.Thread(target=write)
            with store.durable():
                thread.start()
                assert not done.wait(0.2)
                store.note(key="own")
            thread.join(20)
            assert store.meta("key") == "other"

    @pytest.mark.parametrize(
        ("one", "other", "waits"),
        [
            (["/a"], ["/b"], False),
            (["/a/b"], ["/a/c"], False),
            (["/a/b"], ["/a/bc"], False),
            (["/a"], ["/a"], True),
            (["/a"], ["/a/b"], True),
            (["/a/b"], ["/a"], True),
            (["/x", "/a/b/c"], ["/a/b"], True),
            (["/a"], [], True),
            ([], ["/a"], True),
            ([], [], True),
        ],
    )
    def test_folders_apart_are_indexed_side_by_side(
        self, spec: str, store: PostgresStore, one: list[str], other: list[str], waits: bool
    ) -> None:
        with closing(PostgresStore(spec)) as second, store.writing(folders=[*map(Path, one)]):
            wanted = [*map(Path, other)]
            if waits:
                with pytest.raises(TimeoutError), second.writing(stop_waiting, wanted):
                    pass
            else:
                with second.writing(lambda: pytest.fail("it waited"), wanted):
                    pass
        with closing(PostgresStore(spec)) as third, third.writing(lambda: pytest.fail("held")):
            pass

    def test_a_turn_is_waited_for(self, spec: str, store: PostgresStore) -> None:
        with closing(PostgresStore(spec)) as other:
            waited, events = threading.Event(), list[str]()

            def second() -> None:
                with other.writing(waited.set):
                    events.append("second")

            thread = threading.Thread(target=second)
            with store.writing():
                thread.start()
                assert waited.wait(20)
                events.append("first")
            thread.join(20)
            assert events == ["first", "second"]

    def test_contents_stay_while_another_one_indexes(self, spec: str, store: PostgresStore) -> None:
        add(store, {"/a/1.jpg": 1})
        with closing(PostgresStore(spec)) as other:
            with store.writing(folders=[Path("/a")]), other.writing(folders=[Path("/b")]):
                store.mark([b"/a/1.jpg"], missing=True)
                assert store.prune() == 1
                assert store.settled(digest(1)), "the other may just have found it"
                other.keep([], [new_file(Path("/b/1.jpg"), 1)])
                store.sweep()
            assert store.totals().photos == 1
            store.forget([Path("/b/1.jpg")])
            assert not store.settled(digest(1))

    def test_an_instant_outlives_another_joint_space(self, spec: str, store: PostgresStore) -> None:
        numbers = list(add(store, {f"/p/{n}.jpg": n for n in range(20)}).values())
        store.note(encoder="one")
        store.add_vectors("other", {n: np.full(3, n, np.float32) for n in numbers})
        vector = new_photo(0).joint
        assert vector is not None
        with closing(PostgresStore(spec)) as reader, reader.reading():
            before = reader.nearest(vector, Selection(), 0, 20)
            store.switch_encoder("other", lambda rows: rows[:, :2], model="", space="", keep=False)
            after = reader.nearest(vector, Selection(), 0, 20)
            assert after.photos.tolist() == before.photos.tolist()
            assert reader.vectors(numbers)[1].shape == (20, 8)
        assert store.vectors(numbers)[1].shape == (20, 3)
        store.sweep()
        assert store.read("SELECT count(*) FROM unused_tables") == [(0,)]
        assert store.check() == []

    def test_a_lower_number_that_comes_late_is_not_missed(
        self, spec: str, store: PostgresStore
    ) -> None:
        with closing(PostgresStore(spec)) as late:
            (first,) = add(store, {"/p/0.jpg": 0}).values()
            found: list[int] = []

            def look() -> None:
                with closing(PostgresStore(spec)) as reader:
                    for photos, _, _ in reader.fingerprints(first, "none"):
                        found.extend(photos.tolist())

            thread = threading.Thread(target=look)
            with late.transaction():
                late.keep([new_photo(1)], [])
                store.keep([new_photo(2)], [])
                thread.start()
                thread.join(0.2)
                assert thread.is_alive()
            thread.join(20)
            assert found == [first + 1, first + 2]


class TestJoined:
    def test_an_error_that_is_passed_over_takes_back_its_own_part(
        self, store: PostgresStore
    ) -> None:
        with store.durable():
            store.note(key="value")
            with pytest.raises(ValueError, match="range"):
                store.keep([], [NewFile(Path("/p/1.jpg"), 2**63, 0, None, "shut")])
            store.note(other="value")
        assert (store.meta("key"), store.meta("other")) == ("value", "value")
        assert store.totals().problems == 0


class TestKey:
    def test_another_machine_needs_the_same_key(
        self, spec: str, store: PostgresStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.record("refused", {})
        own = beside(spec)
        key = own.with_name(own.name + ".audit.key")
        assert key.stat().st_mode & 0o777 == 0o600
        monkeypatch.setenv("KADR_SECRETS", str(tmp_path / "other"))
        with closing(PostgresStore(spec)) as elsewhere:
            with pytest.raises(LibraryError, match=r"audit\.key is missing.*Copy that file"):
                elsewhere.record("refused", {})
            there = tmp_path / "other" / key.name
            assert not there.exists(), "no key is made where the library has one"
            assert any("it can't be told" in line for line in elsewhere.log_problems())
            there.parent.mkdir()
            there.write_bytes(bytes(32))
        with closing(PostgresStore(spec)) as elsewhere:
            with pytest.raises(LibraryError, match=r"audit\.key isn't the key.*Copy that file"):
                elsewhere.record("refused", {})
            there.write_bytes(key.read_bytes())
        with closing(PostgresStore(spec)) as elsewhere:
            elsewhere.record("refused", {})
            assert elsewhere.log_problems() == []
        assert len(list(store.entries())) == 2

    def test_nothing_is_recorded_without_the_key_and_what_it_tells_of_is_taken_back(
        self, spec: str, store: PostgresStore
    ) -> None:
        store.record("refused", {})
        beside(spec).with_name(beside(spec).name + ".audit.key").unlink()
        with closing(PostgresStore(spec)) as again:
            with pytest.raises(LibraryError, match="is missing"), again.durable():
                again.set_ruling("ab" * 32, RULING)
                again.record("ruled", {})
            assert again.ruling("ab" * 32) is None

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE audit SET facts = '{}' WHERE sequence = 2",
            "DELETE FROM audit WHERE sequence = 2",
            "DELETE FROM audit WHERE sequence = 3",
            "UPDATE audit SET facts = 'no JSON' WHERE sequence = 1",
            "INSERT INTO audit SELECT 4, time, event, facts, previous, hash, seal FROM audit"
            " WHERE sequence = 3",
        ],
    )
    def test_a_stranger_s_hand_is_told(self, store: PostgresStore, statement: str) -> None:
        for place in range(3):
            store.record("refused", {"place": place})
        assert store.log_problems() == []
        store.run(statement)
        assert store.log_problems()
        store.record("refused", {})
        assert store.log_problems(), "no later entry covers it"


class TestDamage:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE assessments SET probability = 0.1",
            "UPDATE assessments SET probability = 1e300",
            "UPDATE assessments SET probability = 'NaN'",
            "UPDATE assessments SET failed = '[]'",
            "UPDATE assessments SET version = 'x'",
            "UPDATE assessments SET mark = NULL",
        ],
    )
    def test_a_damaged_assessment_is_none(self, store: PostgresStore, statement: str) -> None:
        (one,) = add(store, {"/p/1.jpg": 1}).values()
        assess(store, {one: 0.9}, ("scene",))
        if "version" in statement:
            add(store, {"/p/another name.jpg": 1})
        store.run(statement)
        assert store.shown(Shown(0.5), [one]) == []
        assert store.count(Selection(shown=Shown(0.5))) == 0
        if "version" not in statement and "failed" not in statement:
            assert store.assessments([one]) == {}
        assert any("damaged" in line for line in store.check())

    def test_a_damaged_decision_hides(self, store: PostgresStore) -> None:
        (one,) = add(store, {"/p/1.jpg": 1}).values()
        assess(store, {one: 0.1})
        store.set_ruling(digest(1).hex(), RULING)
        store.run("UPDATE rulings SET verdict = 'allow'")
        assert store.shown(Shown(0.5), [one]) == []
        assert store.rulings([one])[one].verdict == "hide"
        assert any("decisions are damaged" in line for line in store.check())

    @pytest.mark.parametrize(
        ("statement", "told"),
        [
            ("DELETE FROM vectors_{vectors} WHERE photo = 1", "1 photos that were encoded have no"),
            ("UPDATE photos SET encoded = false WHERE id = 2", "1 vectors belong to no photo"),
            ("DELETE FROM joint_{joint} WHERE photo = 3", "1 photos are not in the joint space"),
            (
                "UPDATE vectors_{vectors} SET vector = vector || '\\x00000000' WHERE photo = 2",
                "1 vectors of the library's encoder are of another length",
            ),
        ],
    )
    def test_check_sees_contradictions(
        self, store: PostgresStore, statement: str, told: str
    ) -> None:
        add(store, {f"/p/{n}.jpg": n for n in range(3)})
        vectors, place = store.read("SELECT vectors, joint FROM kadr")[0]
        store.run(statement.format(vectors=vectors, joint=place))
        assert any(told in line for line in store.check())


class TestGraph:
    """Searches of many photos, made few here."""

    @pytest.fixture
    def large(self, store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> PostgresStore:
        monkeypatch.setattr(joint, "EXACT", 40)
        monkeypatch.setattr(joint, "GRAPH", 60)
        add(store, {f"/{'ab'[n % 2]}/{n}.jpg": n for n in range(200)})
        assert store._joint()[1], "it has its graph"
        return store

    def test_pages_hold_every_photo_once_and_stay(self, large: PostgresStore) -> None:
        vector = np.random.default_rng(2).normal(size=8).astype(np.float32)
        vector /= np.linalg.norm(vector)
        pages = [large.nearest(vector, Selection(), first, 33) for first in range(0, 231, 33)]
        found = np.concatenate([page.photos for page in pages])
        assert sorted(found.tolist()) == large.matching(Filters()).tolist()
        assert all(page.approximate for page in pages)
        assert large.nearest(vector, Selection(), 0, 500).photos.tolist() == found.tolist()
        again = [large.nearest(vector, Selection(), first, 33) for first in range(0, 231, 33)]
        assert np.concatenate([page.photos for page in again]).tolist() == found.tolist()
        exact = large.cosines(vector, Selection(), found)
        assert len(set(exact.photos[:50].tolist()) & set(found[:50].tolist())) >= 48
        order = np.lexsort((pages[0].photos, -pages[0].cosines))
        assert order.tolist() == list(range(33))

    def test_few_are_compared_one_by_one(self, large: PostgresStore) -> None:
        vector = new_photo(7).joint
        assert vector is not None
        some = large.matching(Filters())[:30]
        large.run("UPDATE photos SET width = 9000 WHERE id = ANY(%s)", (some.tolist(),))
        found = large.nearest(vector, Selection(Filters(min_width=9000)), 0, 100)
        assert not found.approximate
        assert sorted(found.photos.tolist()) == some.tolist()
        assert found.photos.tolist() == large.cosines(vector, Selection(), some).photos.tolist()

    def test_filters_and_the_law_hold_within_it(self, large: PostgresStore) -> None:
        numbers = large.matching(Filters()).tolist()
        assess(large, {n: (0.9 if n % 5 == 0 else 0.1) for n in numbers})
        selection = Selection(Filters(folder=Path("/a")), Shown(0.5))
        vector = new_photo(7).joint
        assert vector is not None
        expected = set(large.matching(selection.filters).tolist()) - {
            n for n in numbers if n % 5 == 0
        }
        found = large.nearest(vector, selection, 0, 500)
        assert found.approximate
        assert set(found.photos.tolist()) == expected
        assert large.count(selection) == len(expected)
        first = int(found.photos[0])
        (path,) = large.present([first])[first]
        key = next(d for p, _, _, d in large.contents() if p == path)
        large.set_ruling(key, RULING)
        assert set(large.nearest(vector, selection, 0, 500).photos.tolist()) == expected - {first}

    def test_hidden_photos_don_t_decide_how_it_is_searched(
        self, spec: str, large: PostgresStore
    ) -> None:
        """Else the order of a page would tell that there are some."""
        vector = new_photo("q").joint
        assert vector is not None
        everything = large.matching(Filters()).tolist()
        of_a = [n for n in everything if large.present([n])[n][0].parent == Path("/a")]
        for filters, asked in ((Filters(), everything), (Filters(folder=Path("/a")), of_a)):
            selection = Selection(filters, Shown(0.5))
            for visible, approximate in ((40, False), (41, True)):
                seen = set(asked[:visible])
                assess(large, {n: float(n not in seen) for n in everything})
                with closing(PostgresStore(spec)) as opened:
                    found = opened.nearest(vector, selection, 0, 10)
                    assert found.approximate == approximate
                    again = opened.nearest(vector, selection, 0, 10)
                    assert again.photos.tolist() == found.photos.tolist()
                assert set(found.photos.tolist()) <= seen

    def test_another_space_has_its_graph_before_it_is_used(self, large: PostgresStore) -> None:
        large.rescan(
            lambda rows: rows[:, :4] / np.linalg.norm(rows[:, :4], axis=1)[:, None], space="half"
        )
        assert large._joint()[1]
        unit = np.array([1, 0, 0, 0], np.float32)
        assert len(large.nearest(unit, Selection(), 0, 500).photos) == 200
        large.sweep()
        assert large.check() == []
