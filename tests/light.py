"""kadr as the default install has it, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

BLOCKER = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from kadr.cli.main import main
sys.exit(main())
"""
STUDY = ("krippendorff", "lightgbm", "matplotlib", "scipy", "sklearn", "pandas")


def kadr(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """kadr where nothing of the extra `study` can be imported."""
    code = BLOCKER.format(names=set(STUDY))
    environment = {
        **os.environ,
        "KADR_LIBRARY": str(folder / "library.kadr"),
        "KADR_CACHE": str(folder / "cache.sqlite"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
