"""The real command line in a process of its own, for tests."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from forks import run_kadr

PLUGINS = Path(__file__).parent / "plugins"
DISCLAIMER = "This image is unavailable in your country in compliance with local laws"
FAKES = ("--image-encoder", "colours", "--text-encoder", "words")
RUN = (sys.executable, "-m", "kadr.cli.main")

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Shell:
    """Runs kadr with a home and a cache of its own."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KADR_", "XDG_"))}
        path = os.pathsep.join(filter(None, (str(PLUGINS), os.environ.get("PYTHONPATH"))))
        return kept | {
            "HOME": str(self.home),
            "KADR_CACHE": str(self.home / "vectors.sqlite"),
            "PYTHONPATH": path,
            "PYTHONWARNINGS": "error",
            "PYTHONIOENCODING": "utf-8:strict",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    def __call__(self, *arguments: str | Path, code: int = 0) -> Result:
        result = run_kadr(list(map(str, arguments)), self.environment, self.home)
        assert "Traceback" not in result.stderr, result.stderr
        assert "Warning" not in result.stderr, result.stderr
        assert result.returncode == code, result.stdout + result.stderr
        return result


def one_line(result: Result) -> str:
    """What the command said on stderr, which must be one line."""
    (line,) = result.stderr.splitlines()
    assert line.startswith("kadr: ")
    return line
