"""Who is behind a connection, and under which address: a trusted proxy says so in headers.

Anybody can send these headers, so they count only from a proxy that the service was told of. What
can't be parsed counts as not sent.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from kadr.service.config import Service

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NODE = re.compile(
    r"(\d+(?:\.\d+){3})(?::\d{1,5})?|\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([0-9A-Fa-f:.]+)"
)
"""An IPv4 address, a bracketed IPv6 address, each with a port or without; a bare IPv6 address."""
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_HOPS = 20
_HEADER = 2000
"""Proxies in a row, and characters of a header, that are looked at."""


@dataclass(frozen=True)
class Origin:
    """Where a request comes from, and the address that the visitor sees.

    visitor: whose requests are counted together: an IPv4 address, a /64 of IPv6, or the name of a
        connection that has no address. scheme, host: as in the visitor's address bar; `host` has
        the port. prefix: the path below which the service appears, "" or such as "/photos".
    """

    visitor: str
    scheme: str
    host: str
    prefix: str

    @property
    def base_url(self) -> str:
        """The address of the page."""
        return f"{self.scheme}://{self.host}{self.prefix}/"

    @property
    def name(self) -> str:
        """The host without its port, in lower case; "" where there is none."""
        return _split(self.host)[0]

    def is_of(self, url: str) -> bool:
        """Whether a URL has this scheme's host and port; proxies may hide the scheme."""
        try:
            given = urlsplit(url)
        except ValueError:
            return False
        if given.scheme not in {"http", "https"} or not given.netloc or "@" in given.netloc:
            return False
        if given.netloc.lower() == self.host.lower():
            return True
        return _with_port(given.netloc, given.scheme) == _with_port(self.host, self.scheme)


def origin(peer: str | None, scheme: str, headers: Headers, service: Service) -> Origin:
    """Where a request on a connection from `peer` comes from."""
    host = headers.get("host", "")
    if not service.trusts(peer):
        return Origin(visitor(peer), scheme, host, service.root_path)
    forwarded_scheme = _last(headers, "x-forwarded-proto").lower()
    return Origin(
        visitor(_client(headers, service) or peer),
        forwarded_scheme if forwarded_scheme in {"http", "https"} else scheme,
        _last(headers, "x-forwarded-host") or host,
        prefix(_last(headers, "x-forwarded-prefix")) or service.root_path,
    )


def address(text: str) -> Address | None:
    """The address in an element of X-Forwarded-For; None where it isn't one.

    A port, brackets and quotes are allowed; an IPv4 address in an IPv6 one is an IPv4 address.
    """
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        found = ipaddress.ip_address(match[1] or match[2] or match[3])
    except ValueError:
        return None
    if match[2] and found.version == 4:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(1024)
def visitor(peer: str | None) -> str:
    """The name under which the requests of an address are counted: who has one /64 has them all."""
    found = address((peer or "").partition("%")[0])  # a link's name is no part of the address
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found or peer)


def prefix(text: str) -> str:
    """A path below which the service appears, without a slash at its end; "" where it isn't one."""
    text = text.rstrip("/")
    return text if len(text) <= 200 and _PREFIX.fullmatch(text) else ""


def _client(headers: Headers, service: Service) -> str | None:
    """The nearest address that isn't a trusted proxy's; the visitor can forge all before it."""
    elements = ",".join(headers.getlist("x-forwarded-for"))[-_HEADER:].split(",")[-_HOPS:]
    client = None
    for element in reversed(elements):
        found = address(element.strip(" \t"))
        if found is None:
            break
        client = str(found)
        if not service.trusts(client):
            break
    return client


def _last(headers: Headers, name: str) -> str:
    """The last element of a list header: the nearest proxy has added it."""
    return ",".join(headers.getlist(name))[-_HEADER:].rsplit(",", 1)[-1].strip(" \t")


def _split(host: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "", None


def _with_port(host: str, scheme: str) -> tuple[str, int]:
    name, port = _split(host)
    return name, port or (443 if scheme == "https" else 80)
