"""kadr encode as a person runs it: by Daft, on this machine and on Ray, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from encoded_photos import rows
from shell import Shell, one_line

COUNT, PART = 60, 3
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from kadr.cli.main import main
main()
"""
NATIVE: tuple[str, ...] = ()
RAY = ("--ray", "local", "--workers", "2")
ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray isn't installed: make test-extras")
ENGINES = [pytest.param(NATIVE, id="native"), pytest.param(RAY, id="ray", marks=ray)]


@dataclass(frozen=True)
class DaftShell(Shell):
    """Daft and Ray leave pipes open, of which Python warns, and Ray warns of its own future."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "PYTHONWARNINGS": "ignore",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }


@pytest.fixture
def kadr(tmp_path: Path) -> Shell:
    return DaftShell(tmp_path)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Give photos that mini takes a while for."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(COUNT):
        Image.new("RGB", (24, 24), (number, number // 2, 7)).save(folder / f"{number}.png")
    return folder


def found(kadr: Shell, *arguments: str | Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(kadr(*arguments, "--json").stdout)
    assert said.pop("seconds") > 0
    return said


@contextmanager
def running(kadr: Shell, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *map(str, arguments)],
        env=kadr.environment,
        cwd=kadr.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def parts(out: Path) -> int:
    return len(list(out.glob("part-*.parquet")))


def assert_each_once(out: Path, folder: Path) -> None:
    counts = Counter(row.path for row in rows(out))
    assert set(counts) == {str(path) for path in folder.iterdir()}
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("engine", ENGINES)
def test_encoded_and_loaded(
    kadr: Shell, photos: Path, model: Path, tmp_path: Path, engine: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    said = found(kadr, "encode", photos, "--to", out, "--model", model, "--part", "4", *engine)
    assert {name: said[name] for name in ("files", "encoded", "problems", "done", "parts")} == {
        "files": 15, "encoded": 15, "problems": 4, "done": 0, "parts": 4,
    }  # fmt: skip
    assert said["left_out"] == {"hidden": 1, "MXF": 1}
    said = found(kadr, "index", "--from", out, "--at", photos, "--model", model)
    assert (said["files"], said["loaded"], said["known"], said["skipped"]) == (15, 10, 1, 4)
    assert kadr("search", "red car").stdout
    assert len(kadr("library", "problems", code=1).stdout.splitlines()) == 4


def test_what_is_said_to_a_person(kadr: Shell, photos: Path, model: Path, tmp_path: Path) -> None:
    command = ("encode", photos, "--to", "out", "--model", model)
    result = kadr(*command)
    assert result.stdout.startswith("out: 11 encoded, 4 with problems; ")
    assert "Left out: 1 (MXF), 1 (hidden)" in result.stdout
    assert len(result.stderr.splitlines()) == 4
    assert all(
        "not a readable photo" in line or "pipe" in line for line in result.stderr.splitlines()
    )
    assert "14 done before" in kadr(*command).stdout
    assert f"--at {photos}" in one_line(kadr("index", "--from", "out", "--model", model, code=2))
    said = kadr("index", "--from", "out", "--at", photos, "--model", model).stdout
    assert ": 10 new, 1 copies, " in said
    assert ", 4 skipped; " in said


def test_another_folder_loads_nothing(
    kadr: Shell, photos: Path, model: Path, tmp_path: Path
) -> None:
    kadr("encode", photos, "--to", "out", "--model", model, "--device", "cpu")
    (tmp_path / "wrong").mkdir()
    load = ("index", "--from", "out", "--model", model)
    new = ("--library", "wrong.kadr")
    for options in (("--at", "wrong", *new), ("--at", "gone", *new), new):
        kadr(*load, *options, code=2)
        assert not list(tmp_path.glob("wrong.kadr*")), "no library is made for nothing"
    assert kadr(*load, "--at", photos).stdout
    told = one_line(kadr(*load, "--at", "wrong", code=2))
    assert "none of the photos lies here. Name the folder" in told
    assert json.loads(kadr("library", "--json").stdout)["folders"] == [str(photos)]
    assert kadr(*load, "--at", photos).stdout
    next(photos.glob("*.png")).unlink()
    said = kadr(*load, "--at", photos, "--library", "new.kadr", code=1)
    assert "1 file changed since kadr encode" in said.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_driver_loses_nothing(
    kadr: Shell, many: Path, tmp_path: Path, engine: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    command: tuple[str | Path, ...] = ("encode", many, "--to", out, "--part", str(PART), *engine)
    with running(kadr, *command) as process:
        until(lambda: parts(out) >= 2, process)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    psutil.wait_procs(workers, timeout=60)  # what they were at, they may finish
    written = parts(out)
    assert written < COUNT // PART
    said = found(kadr, *command)
    assert said["done"] + said["encoded"] == COUNT
    assert said["done"] >= 2 * PART
    assert_each_once(out, many)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_worker_loses_nothing(
    kadr: Shell, many: Path, tmp_path: Path, engine: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    with running(
        kadr, "encode", many, "--to", out, "--part", str(PART), "--json", *engine
    ) as process:
        until(lambda: parts(out) >= 2, process)
        worker = busiest(process.pid)
        worker.kill()
        said, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert json.loads(said)["encoded"] == COUNT
    assert_each_once(out, many)


def busiest(driver: int) -> psutil.Process:
    """The worker that has done most."""
    children = psutil.Process(driver).children(recursive=True)
    return max(filter(is_worker, children), key=lambda one: one.cpu_times().user)


def is_worker(process: psutil.Process) -> bool:
    try:
        said = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "udf_worker" in said or "UDFActor" in said


def test_stopped_by_a_person_it_goes_on(kadr: Shell, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("encode", many, "--to", out, "--part", str(PART))
    with running(kadr, *command) as process:
        until(lambda: parts(out) >= 2, process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "kadr: stopped. What is done is kept; run it again to go on." in error
    assert "Traceback" not in error
    said = found(kadr, *command)
    assert said["done"] + said["encoded"] == COUNT
    assert_each_once(out, many)


def test_from_one_bucket_into_another_place_of_it(
    kadr: Shell, bucket: Any, photos: Path, model: Path
) -> None:
    """Workers find the store by the environment too."""
    for path in photos.rglob("*.png"):
        if path.is_file():
            bucket.upload_file(str(path), f"in/{path.relative_to(photos)}")
    place = f"s3://{bucket.name}"
    command = ("encode", f"{place}/in", "--to", f"{place}/out", "--model", model, "--part", "4")
    assert found(kadr, *command)["encoded"] == 11
    again = found(kadr, *command)
    assert (again["done"], again["encoded"]) == (11, 0)
    load = ("index", "--from", f"{place}/out", "--model", model)
    said = found(kadr, *load, "--at", photos)
    assert (said["loaded"], said["known"], said["skipped"]) == (9, 1, 1)
    assert kadr("search", "red car").stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["encode", "nowhere", "--to", "out"], "no such folder"),
        (["encode", "bare", "--to", "out"], "no photo below it"),
        (["encode", "ftp://x/y", "--to", "out"], "s3://BUCKET/FOLDER"),
        (["encode", "photos", "--to", "photos/0.png"], "file"),
        (
            ["encode", "photos", "--to", "out", "--ray", "127.0.0.1:1"],
            "--ray needs ray: pip install 'kadr[cluster]'",
        ),
        (["encode", "photos", "--to", "out", "--model", "nothing"], "nothing"),
        (["index", "--from", "photos"], "no encoded photos here"),
        (["index", "--from", "nowhere"], "no encoded photos here"),
        (["index", "--from", "out/part-1.parquet"], "Name the folder"),
        (["index", "--at", "photos"], "--at goes with --from"),
        (["index", "photos", "--from", "nowhere"], "--from loads"),
        (["index", "--from", "nowhere", "--prune"], "--from loads"),
    ],
)
def test_what_can_t_be_done_is_one_line(
    kadr: Shell, photos: Path, command: list[str], said: str
) -> None:
    assert photos.name == "photos"
    (kadr.home / "bare").mkdir()
    if "127.0.0.1:1" in command and find_spec("ray") is not None:
        pytest.skip("Ray asks a dead address for minutes")
    assert said in one_line(kadr(*command, code=2))
    assert not list(kadr.home.rglob("*.kadr"))


def test_without_daft_the_extra_is_named(kadr: Shell, photos: Path, tmp_path: Path) -> None:
    lacking = tmp_path / "lacking"
    lacking.mkdir()
    (lacking / "daft.py").write_text("raise ModuleNotFoundError('no daft', name='daft')")

    @dataclass(frozen=True)
    class Lacking(DaftShell):
        @property
        def environment(self) -> dict[str, str]:
            found = super().environment
            return found | {"PYTHONPATH": os.pathsep.join([str(lacking), found["PYTHONPATH"]])}

    said = one_line(Lacking(tmp_path)("encode", photos, "--to", "out", code=2))
    assert said == ("kadr: encoding for many machines needs daft: pip install 'kadr[cluster]'")


def test_nobody_is_told_that_it_ran() -> None:
    from kadr.encoding.daft import DaftEngine

    code = (
        "from kadr.encoding.daft import DaftEngine; DaftEngine();"
        "from daft.scarf_telemetry import opted_out; print(opted_out())"
    )
    assert DaftEngine is not None
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "True\n"
