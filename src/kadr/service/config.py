"""The settings of a service."""

import ipaddress
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from kadr.errors import KadrError

Scope: TypeAlias = Literal["read", "write", "review"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that no other one has."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""What a visitor may do: search and look; add and delete; decide for the law."""


@dataclass(frozen=True)
class Service:
    """All settings of a service.

    library: the library's spec. model: a matcher's folder; None: the library's own.
    policy: a preset's name or a policy file. keyed_policy: the one from the moment on that visitors
        need a key; None: the same. country, country_header, country_parameter: where a
        visitor's country is taken from, the first that is set: this one; a header set by one of
        `proxies`; the request's parameter. Unknown: the file's strictest policy.
    proxies: networks whose forwarding headers are trusted.
    root_path: the path below which a proxy serves this, such as /photos; "" for none.
    anonymous: what is allowed without a key; None: everything, until there is a key. keys: their
        file.
    public_names: host names of a proxy's site. Pages that it brings from there are the service's
        own, and whoever asks for one may read while there is no key.
    hosts: host names that the service answers to; None: any.
    uploads: the folder for new photos; None: uploads are refused.
    rate: searches and the like that one visitor may make, such as 600/minute; None: no limit.
    most_bytes, most_pixels: of an upload. seconds: that sending or decoding it may take.
        Reading an object, or a part of it, takes no longer either.
    memory: bytes that a decoding process may hold. waiting: searches that may wait.
    cached_bytes: of smaller copies in memory.
    blocked_by: the address of whoever blocks photos by law (RFC 7725); None: this service's.
    log_queries: whether the log holds the texts of queries.
    """

    library: str | Path
    model: Path | None = None
    policy: str = "under-16"
    keyed_policy: str | None = None
    country: str | None = None
    country_header: str | None = None
    country_parameter: bool = False
    proxies: tuple[str, ...] = ()
    root_path: str = ""
    anonymous: AbstractSet[Scope] | None = frozenset()
    keys: Path | None = None
    public_names: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None
    uploads: Path | None = None
    rate: str | None = "600/minute"
    most_bytes: int = 25_000_000
    most_pixels: int = 200_000_000
    seconds: float = 10.0
    memory: int = 2**31
    waiting: int = 64
    cached_bytes: int = 64_000_000
    blocked_by: str | None = None
    log_queries: bool = False

    def trusts(self, peer: str | None) -> bool:
        """Whether a connection comes from a proxy whose headers are trusted."""
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in networks(self.proxies))


@cache
def networks(proxies: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks of proxies.

    Raises:
        KadrError: one is neither an address nor a network.
    """
    return tuple(_network(proxy) for proxy in proxies)


def _network(proxy: str) -> Network:
    try:
        return ipaddress.ip_network(proxy, strict=False)
    except ValueError as error:
        raise KadrError(
            f"{proxy!r} isn't an address. Write one such as 10.0.0.1, or a network, 10.0.0.0/8."
        ) from error
