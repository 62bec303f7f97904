"""Settings, built once: flags > environment > default."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where kadr keeps what it may lose."""

    cache: Path

    @classmethod
    def from_environment(cls) -> "Settings":
        """KADR_CACHE, or vectors.sqlite in the system's cache folder."""
        named = os.environ.get("KADR_CACHE")
        if named:
            return cls(Path(named))
        from platformdirs import user_cache_path

        return cls(user_cache_path("kadr") / "vectors.sqlite")
