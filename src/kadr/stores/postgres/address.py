"""Where a library's server is: its spec, its name without a password, what stands for it here."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from platformdirs import user_data_path
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
_NOT_UNDERSTOOD = (
    "The library's address isn't understood. It is postgresql://USER@HOST/DATABASE; escape what "
    "isn't a letter or a digit in a name, a password or a parameter by %: %40 for @, %2F for /, "
    "?options=-csearch_path%3DNAME for a schema."
)
_SEARCH_PATH = re.compile(
    r"(?:-c\s*|--)search[_-]path\s*=\s*((?:\\.|[^\s\\])+)", re.IGNORECASE | re.DOTALL
)
_SECRET = {"password", "sslpassword", "passfile", "oauth_client_secret"}


def parameters(spec: str) -> dict[str, Any]:
    """The parameters of a spec, as libpq names them.

    Raises:
        LibraryError: it is no address. The message doesn't hold it, for a password may be inside.
    """
    user, at, rest = spec.partition("://")[2].partition("@")
    if "@" in rest or (at and "/" in user):  # a part of a password would be taken for a host
        raise LibraryError(_NOT_UNDERSTOOD)
    try:
        given = conninfo_to_dict(spec)
    except psycopg.Error:
        raise LibraryError(_NOT_UNDERSTOOD) from None
    return {**BOUNDS, "application_name": "kadr", "client_encoding": "UTF8", **given}


def name(spec: str) -> str:
    """The address as messages tell it: without passwords, of its options only the schema."""
    given = parameters(spec)
    user = f"{quote(given['user'])}@" if given.get("user") else ""
    host = quote(str(given.get("host") or given.get("hostaddr") or ""), safe="[]:,")
    port = f":{given['port']}" if given.get("port") else ""
    shown = f"postgresql://{user}{host}{port}/{quote(given.get('dbname') or '')}"
    more = {"service": given["service"]} if given.get("service") else {}
    if paths := _SEARCH_PATH.findall(given.get("options") or ""):  # the last one holds
        more["options"] = f"-csearch_path={paths[-1]}"
    return f"{shown}?{urlencode(more)}" if more else shown


def beside(library: bytes) -> Path:
    """The path that the secrets of the library with this id are named after, on this machine.

    It lies in the folder KADR_SECRETS, else in the user's data folder. Addresses name no file: one
    library has many, and one address may come to mean another library.
    """
    folder = os.environ.get("KADR_SECRETS")
    place = Path(folder) if folder else user_data_path("kadr", appauthor=False)
    return place / f"library-{library.hex()}"


def passwords(given: dict[str, Any]) -> list[str]:
    """What may not be told of an address."""
    return [str(value) for key, value in given.items() if key in _SECRET and value]
