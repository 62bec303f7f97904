"""Opening the library: what server, database and user can do, and making the tables."""

import re
from dataclasses import dataclass

from psycopg.errors import InsufficientPrivilege

from kadr.errors import LibraryError
from kadr.stores.postgres.migrations import FORMAT, migrate
from kadr.stores.postgres.statements import Run

SERVER = 14
"""The oldest PostgreSQL; whichever is older gets no more corrections."""
PGVECTOR = (0, 8)
"""The first that goes on searching its graph until enough of what it finds passes a filter."""
_MAKING = 0x6B616472
"""The advisory lock of whoever makes or migrates a library of this database."""
_SEEN = """
SELECT current_setting('server_version_num')::int / 10000, getdatabaseencoding()::text,
    s.name::text, (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
    (SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'),
    to_regclass(quote_ident(s.name) || '.kadr') IS NOT NULL,
    EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident(s.name))
        AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT EXISTS (SELECT 1 FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'
FROM (SELECT %s::text AS name) s
"""
_TRUSTED = """
SELECT datdba FROM pg_database WHERE datname = current_database()
UNION ALL SELECT coalesce((SELECT relowner FROM pg_class WHERE oid =
    to_regclass(quote_ident(%s::text) || '.kadr')), current_user::regrole::oid)
UNION ALL SELECT oid FROM pg_roles WHERE rolsuper OR rolname = 'pg_database_owner'
"""
"""Who owns the database or the library, or makes it now; and administrators."""
_CREATORS = f"""
WITH trusted AS ({_TRUSTED}), s AS (SELECT * FROM pg_namespace WHERE nspname = ANY(%s::text[]))
SELECT s.nspname::text, coalesce(r.rolname, 'PUBLIC')::text, true FROM s
CROSS JOIN LATERAL aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE a.privilege_type = 'CREATE' AND a.grantee <> s.nspowner
    AND a.grantee NOT IN (SELECT * FROM trusted)
UNION ALL
SELECT s.nspname::text, pg_get_userbyid(made.owner)::text, false FROM s JOIN (
    SELECT pronamespace AS schema, proowner AS owner FROM pg_proc
    UNION SELECT oprnamespace, oprowner FROM pg_operator) made ON made.schema = s.oid
WHERE made.owner <> s.nspowner AND made.owner NOT IN (SELECT * FROM trusted)
"""
_NAME = re.compile(r'"(?:[^"]|"")*"|[^,\s]+')
_NOT_OURS = {"$user", "pg_catalog", "pg_temp"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a connection finds: the server's version, encoding, the schema, pgvector, tables."""

    version: int
    encoding: str
    schema: str | None
    vector: str | None
    vector_schema: str | None
    made: bool
    """The schema holds the tables of a library."""
    others: bool
    """It holds tables."""
    readonly: bool
    """The server, or this user's settings, let nothing be written."""


def schema(run: Run) -> str | None:
    """The schema of the library, by the settings of address, user and database.

    One that is named after the user is none of them: whoever may make schemas could have made it.
    Until `set_up`, names then mean what the server defines.
    """
    (path,) = run("SELECT pg_catalog.current_setting('search_path')").fetchone()
    names = [one for one in _NAME.findall(path) if one.strip('"').lower() not in _NOT_OURS]
    _search(run, ", ".join(names))
    (found,) = run("SELECT pg_catalog.current_schema()").fetchone()
    _search(run, "")
    return None if found is None else str(found)


def _search(run: Run, path: str) -> None:
    run("SELECT pg_catalog.set_config('search_path', %s, false)", (path,))


def look(run: Run, schema: str | None) -> Seen:
    """What there is."""
    return Seen(*run(_SEEN, (schema,)).fetchone())


def check_creators(run: Run, seen: Seen, name: str) -> None:
    """Raise LibraryError where a stranger may define what the library's statements mean."""
    schemas = [seen.schema, seen.vector_schema or seen.schema]
    row = run(_CREATORS, (seen.schema, schemas)).fetchone()
    if row is None:
        return
    schema, who, may = row
    if may:
        raise LibraryError(
            f"{name}: {who} may create functions in the schema {schema}, which would run with the "
            f"library's rights. Let its owner run: REVOKE CREATE ON SCHEMA {schema} FROM {who}"
        )
    raise LibraryError(
        f"{name}: {who} has created functions in the schema {schema}, which would run with the "
        "library's rights. Drop them, or name a schema of its own: ?options=-csearch_path=NAME"
    )


def set_up(run: Run, seen: Seen, *, timeout: int, idle: int) -> None:
    """Make the session so that pgvector is found, and no statement takes for ever.

    `pg_catalog` is always searched first. A statement may take `timeout` seconds, a transaction may
    wait `idle` seconds for the next one. Plans of statements that were prepared before they know
    their filters are bad ones.
    """
    run(
        "SELECT set_config('search_path', quote_ident(%s) || ', ' || quote_ident(%s), false),"
        " set_config('statement_timeout', %s, false),"
        " set_config('idle_in_transaction_session_timeout', %s, false),"
        " set_config('plan_cache_mode', 'force_custom_plan', false),"
        " set_config('jit', 'off', false)",  # compiling takes longer than any search
        (seen.schema, seen.vector_schema or seen.schema, f"{timeout}s", f"{idle}s"),
    )


def check(seen: Seen, name: str, *, create: bool) -> None:
    """Raise LibraryError where there is no library, and none can be made."""
    if seen.version < SERVER:
        raise LibraryError(
            f"{name}: PostgreSQL {seen.version} is too old. kadr needs {SERVER} or newer."
        )
    if seen.schema is None:
        raise LibraryError(
            f"{name}: there is no schema here that this user may use. Make it, or ask for the "
            "right: CREATE SCHEMA name; GRANT USAGE ON SCHEMA name TO user"
        )
    if seen.made:
        return
    if not create:
        raise LibraryError(f"{name}: no library here. Make one: kadr index FOLDER --library {name}")
    if seen.others:
        raise LibraryError(
            f"{name}: the schema {seen.schema} holds other tables. Name an empty database, or a "
            "schema of its own: ?options=-csearch_path%3DNAME"
        )
    if seen.encoding != "UTF8":
        raise LibraryError(
            f"{name}: the database's texts are in {seen.encoding}. kadr needs UTF8: "
            "createdb --encoding UTF8 --template template0 NAME"
        )


def check_vector(seen: Seen, name: str) -> None:
    """Raise LibraryError where pgvector isn't there, or is too old."""
    if seen.vector is None:
        raise LibraryError(
            f"{name}: the database has no pgvector. Install it on the server, then let an "
            "administrator run: CREATE EXTENSION vector"
        )
    parts = tuple(int(part) for part in seen.vector.split(".")[:2] if part.isdigit())
    if parts < PGVECTOR:
        raise LibraryError(
            f"{name}: pgvector {seen.vector} is too old. kadr needs 0.8 or newer: ALTER EXTENSION "
            "vector UPDATE"
        )


def make_extension(run: Run, seen: Seen, name: str) -> None:
    """Add pgvector to the database where it is installed on the server.

    Raises:
        LibraryError: this user may not.
    """
    row = run("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    if row is not None:
        public = run("SELECT has_schema_privilege('public', 'CREATE')").fetchone()[0]
        (where,) = run("SELECT quote_ident(%s)", ("public" if public else seen.schema,)).fetchone()
        try:
            run(f"CREATE EXTENSION IF NOT EXISTS vector SCHEMA {where}")
        except InsufficientPrivilege:
            raise LibraryError(
                f"{name}: this user may not add pgvector to the database. Let an administrator "
                "run there, once: CREATE EXTENSION vector"
            ) from None


def lock(run: Run) -> None:
    """Be the only one that makes or migrates a library here until the transaction ends."""
    run("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))


def bring_up(run: Run, name: str, *, readonly: bool) -> None:
    """Bring a library's tables to this format, within a transaction that holds `lock`.

    Raises:
        LibraryError: they are of a newer format, of an older one and may only be read, or no
            library's.
    """
    version = format_of(run, name)
    if version == FORMAT:
        return
    if readonly:
        raise LibraryError(
            f"{name} has format {version}, and this kadr reads {FORMAT}. Open it once as a user "
            "who may write, as by kadr library, and it is brought up to date."
        )
    migrate(run, version)


def format_of(run: Run, name: str) -> int:
    """The format of a library's tables.

    Raises:
        LibraryError: it is newer than this kadr, or nobody can tell.
    """
    row = run(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND table_name = 'kadr' AND column_name IN ('format', 'revision', 'id')"
    ).fetchone()
    if row[0] != 3 and has_right(run, "kadr", "SELECT"):
        raise LibraryError(f"{name} isn't a library of kadr. Name another database.")
    version = int(run("SELECT format FROM kadr").fetchone()[0])
    if version > FORMAT:
        raise LibraryError(
            f"{name} has format {version}, this kadr reads {FORMAT}. Install the kadr that made "
            "it, or index into a new database."
        )
    return version


def id_of(run: Run, seen: Seen) -> bytes:
    """The id that a library was given when it was made."""
    (schema,) = run("SELECT quote_ident(%s)", (seen.schema,)).fetchone()
    return bytes(run(f"SELECT id FROM {schema}.kadr").fetchone()[0])


def has_right(run: Run, table: str, right: str) -> bool:
    """Whether this user may do that to a table."""
    return bool(run("SELECT has_table_privilege(%s, %s)", (table, right)).fetchone()[0])
