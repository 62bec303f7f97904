"""Processes of the command line that don't each import scikit-learn for a second.

One process per test run imports what starts no threads, nothing of kadr, and forks for each command. The
child is a process as any other: it has its own arguments, environment, folder and exit code.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

SERVER = """
import json, os, runpy, signal, sys, warnings
import httpx, jinja2, numpy, rich.console, rich.progress, rich.table, typer
import PIL.Image, PIL.ImageOps, scipy.optimize, scipy.stats, sklearn.linear_model, sklearn.model_selection

for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
else:
    os._exit(0)
signal.alarm(600)  # a command that doesn't end must not keep the tests from ending
for number, name in enumerate((os.devnull, request["stdout"], request["stderr"])):
    file = os.open(name, os.O_RDWR)
    os.dup2(file, number)
    os.close(file)
os.chdir(request["folder"])
os.environ.clear()
os.environ.update(request["environment"])
encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
sys.stdout.reconfigure(encoding=encoding, errors=errors or "strict")
sys.stderr.reconfigure(encoding=encoding, errors="backslashreplace")
if os.environ.get("PYTHONWARNINGS"):
    warnings.simplefilter(os.environ["PYTHONWARNINGS"])
sys.path[:0] = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p not in sys.path]
sys.argv = ["kadr", *request["arguments"]]
runpy.run_module("kadr.cli.main", run_name="__main__", alter_sys=True)
"""

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""A process that forks may have no other thread; pandas brings pyarrow, whose allocator starts one."""


def run_kadr(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run `kadr` with arguments to its end, in a process of its own."""
    with tempfile.TemporaryDirectory() as written:
        out, err = (Path(written, name) for name in ("stdout", "stderr"))
        out.touch()
        err.touch()
        request = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "stdout": str(out),
            "stderr": str(err),
        }
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        texts = [file.read_text("utf-8", "surrogateescape") for file in (out, err)]
    return subprocess.CompletedProcess(["kadr", *arguments], code, *texts)


@cache
def _server() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **ONE_THREAD},
    )
    atexit.register(process.terminate)
    return process
