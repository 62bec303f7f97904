"""How many connections may be open: fewer than the files of the process, and half for one address.

At a limit a new connection takes the place of the oldest idle one, so that whoever only holds
connections open keeps nobody out.
"""

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

MOST = 2000
FILES = 65_536
"""Files that the process asks to be allowed."""
RESERVED = 256
"""Of them for libraries, logs, pipes, and connections that wait to be turned away."""


class Connection(Protocol):
    """What is counted."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered on it."""

    def close(self) -> None:
        """End it."""


class Connections:
    """The open connections of a service."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._of: dict[str, dict[Connection, None]] = {}
        self._count = 0

    def add(self, connection: Connection, address: str, *, is_proxy: bool = False) -> bool:
        """Count a connection; False where there is no room for it. A proxy may hold all of them."""
        held = self._of.get(address, {})
        if not is_proxy and len(held) >= max(1, self._most // 2):
            has_room = self._make_room([address])
        elif self._count >= self._most:
            has_room = self._make_room(sorted(self._of, key=lambda one: -len(self._of[one])))
        else:
            has_room = True
        if has_room:
            self._of.setdefault(address, {})[connection] = None
            self._count += 1
        return has_room

    def remove(self, connection: Connection, address: str) -> None:
        """Count it no more, if it was counted."""
        held = self._of.get(address, {})
        if connection in held:
            del held[connection]
            self._count -= 1
            if not held:
                del self._of[address]

    def _make_room(self, addresses: Iterable[str]) -> bool:
        """Close the oldest idle connection of the first address that has one."""
        for address in addresses:
            idle = next((one for one in self._of[address] if one.is_idle), None)
            if idle is not None:
                self.remove(idle, address)
                idle.close()
                return True
        return False


def allowed() -> int:
    """How many connections this process can hold, a file being open for each.

    Raises the limit of open files as far as the system lets it.
    """
    if sys.platform == "win32":
        return MOST
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = FILES if hard == unlimited else min(FILES, hard)
    if soft != unlimited and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MOST if soft == unlimited else room(soft)


def room(files: int) -> int:
    """Connections that fit beside all else into so many files."""
    return max(8, min(MOST, (files - RESERVED) // 2))
