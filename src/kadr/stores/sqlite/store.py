"""The engine as `kadr.stores.ENGINES` names it."""

from pathlib import Path

from kadr.stores.sqlite.nearest import NearestPhotos
from kadr.stores.sqlite.preferences import PreferenceTables
from kadr.stores.sqlite.transfer import Transfer


class SqliteStore(Transfer, NearestPhotos, PreferenceTables):
    """One library file, opened. Not for several threads at once."""

    @staticmethod
    def exists(spec: str) -> bool:
        """Whether there is such a file."""
        return Path(spec).exists()

    @staticmethod
    def formats(spec: str) -> tuple[int, int]:
        """The library's format, and the one that this kadr brings it to."""
        from kadr.stores.sqlite import backup, migrations

        return backup.format_of(Path(spec)), migrations.FORMAT

    @staticmethod
    def named(spec: str) -> str:
        """The path itself."""
        return spec

    @staticmethod
    def beside(spec: str) -> Path:
        """The file itself: a library's secrets lie next to it."""
        return Path(spec)
