"""Work that doesn't depend on the clock."""

import sys


class Calls:
    """Counts the calls of functions, Python's and C's, within a `with`."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        sys.setprofile(self._tell)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _tell(self, _frame: object, event: str, _argument: object) -> None:
        self.count += event in {"call", "c_call"}
