"""A library as a PostgreSQL database, or one schema of it, with pgvector.

Several processes on several machines read and write it at once. The server keeps what it has
acknowledged; what is written together is written in one transaction.
"""

from kadr.errors import MissingExtraError

try:
    import psycopg as _psycopg  # noqa: F401 - all below needs it
except ImportError as error:
    raise MissingExtraError(
        "A library on PostgreSQL needs the extra: pip install 'kadr[postgres]'"
    ) from error

from kadr.stores.postgres.preferences import PreferenceTables
from kadr.stores.postgres.transfer import Transfer


class PostgresStore(Transfer, PreferenceTables):
    """One library on a server, opened. Not for several threads at once."""
