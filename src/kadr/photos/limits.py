"""What a process that reads strangers' bytes may take."""

import sys
from contextlib import suppress


def confine(memory: int) -> None:
    """Limit this process to so many bytes, where the system can, and leave Ctrl-C to its parent."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
