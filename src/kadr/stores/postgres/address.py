"""Where a library's server is: its spec, its name without a password, what stands for it here."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from platformdirs import user_data_path
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from kadr.errors import LibraryError

BOUNDS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A server that is gone is an error within half a minute, unless the spec says otherwise."""
_SECRET = {"password", "sslpassword", "passfile", "oauth_client_secret"}
_SEARCH_PATH = re.compile(r"search_path\s*=\s*([^\s,]+)")


def parameters(spec: str) -> dict[str, Any]:
    """The parameters of a spec, as libpq names them.

    Raises:
        LibraryError: it is no address. The message doesn't hold it, for a password may be inside.
    """
    try:
        given = conninfo_to_dict(spec)
    except psycopg.Error:
        raise LibraryError(
            "The library's address isn't understood. It is postgresql://USER@HOST/DATABASE; escape "
            "what isn't a letter or a digit in a name, a password or a parameter by %: %40 for @, "
            "?options=-csearch_path%3DNAME for a schema."
        ) from None
    return {**BOUNDS, "application_name": "kadr", "client_encoding": "UTF8", **given}


def name(spec: str) -> str:
    """The address without passwords, as messages tell it."""
    given = parameters(spec)
    user = f"{quote(given['user'])}@" if given.get("user") else ""
    host = quote(str(given.get("host") or given.get("hostaddr") or ""), safe="[]:,")
    port = f":{given['port']}" if given.get("port") else ""
    shown = f"postgresql://{user}{host}{port}/{quote(given.get('dbname') or '')}"
    options = given.get("options")
    return f"{shown}?{urlencode({'options': options})}" if options else shown


def beside(spec: str) -> Path:
    """The path that the library's secrets on this machine are named after.

    It lies in the folder KADR_SECRETS, else in the user's data folder, and is told by the host, the
    database and the schema.
    """
    given = _defaults() | parameters(spec)
    host = given.get("host") or given.get("hostaddr") or "localhost"
    database = given.get("dbname") or given.get("user") or ""
    schema = _SEARCH_PATH.search(given.get("options") or "")
    parts = [str(host), str(database), *([schema[1]] if schema else [])]
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(parts)).lstrip(".")
    if plain != "-".join(parts) or len(plain) > 100:  # two libraries may not share a file
        plain = f"{plain[:100]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}"
    folder = os.environ.get("KADR_SECRETS")
    return (Path(folder) if folder else user_data_path("kadr", appauthor=False)) / plain


def _defaults() -> dict[str, Any]:
    """What libpq takes from its environment."""
    return {
        option.keyword.decode(): option.val.decode(errors="replace")
        for option in pq.Conninfo.get_defaults()
        if option.val is not None
    }


def passwords(given: dict[str, Any]) -> list[str]:
    """What may not be told of an address."""
    return [str(value) for key, value in given.items() if key in _SECRET and value]
