"""A real service in a process of its own, over a small library of drawn scenes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
from PIL import Image

from kadr.data.drawn.dice import Dice
from kadr.data.drawn.picture import draw
from kadr.data.drawn.scene import compose
from kadr.law import review
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.types import Ruling
from libraries import colour_matcher, paint

API = "/api/v1"
SECRET = "Canaryville"
"""A folder, and part of the camera's name, of photos that are hidden."""
SECRET_YEAR = "1987"
MARK = "SERVICE_LOG"
"""In the environment of a service and of whatever it starts: whose they are."""
FAKES = {
    "PYTHONPATH": os.pathsep.join(
        [str(Path(__file__).parent / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
}
"""The environment in which a service finds the encoders of `paint_library`."""
HIDDEN_BY_WORDS = "children at school.jpg"
HIDDEN_BY_PERSON = "quiet.jpg"


@dataclass(frozen=True)
class Running:
    """A service that runs: where it answers, what it writes, what it is made of."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    library: Path

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def client(self, key: str | None = None) -> httpx.Client:
        """A client of the service; nothing in the environment sends it elsewhere."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.address, headers=headers, trust_env=False, timeout=30)

    def processes(self) -> list[psutil.Process]:
        """The service and its decoder."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def processes_left(self) -> list[int]:
        """Processes that were started for the service and outlive it for long; none should."""
        _, left = psutil.wait_procs(self._started(), timeout=30)
        return [one.pid for one in left]

    def _started(self) -> list[psutil.Process]:
        found = list[psutil.Process]()
        for one in psutil.process_iter(["environ"]):
            if (one.info["environ"] or {}).get(MARK) != str(self.log):
                continue
            try:
                if one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
            except psutil.NoSuchProcess:  # it ended since it was listed
                continue
        return found

    def memory(self) -> float:
        """MB that all its processes hold."""
        held = 0
        for one in self.processes():
            try:
                held += one.memory_info().rss
            except psutil.NoSuchProcess:  # it ended between the two calls
                continue
        return held / 1e6

    def stop(self, how: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(seconds)

    def written(self) -> str:
        return self.log.read_text("utf-8", "replace")


@contextmanager
def serving(
    library: Path,
    *options: str | Path,
    environment: dict[str, str] | None = None,
    spec: str | None = None,
) -> Iterator[Running]:
    """Run `kadr serve` on a free port until the block ends; it answers when the block begins.

    Its policy is under-16 unless the options name another. Its home and working folder are the library's, its log lies beside the library. With `spec` the
    library is that one, and the path names only where it runs.
    """
    log = library.with_name(f"{library.name}.{time.monotonic_ns()}.log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "kadr.cli.main", "serve"),
                *("--library", spec or library, "--port", "0", "--rate", "off"),
                *(() if "--policy" in options else ("--policy", "under-16")),
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=library.parent,
            env=clean_environment(library.parent) | {MARK: str(log)} | (environment or {}),
        )
    try:
        yield Running(process, _address(process, log), log, library)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def clean_environment(home: Path) -> dict[str, str]:
    """As a person has it who never ran kadr; ONNX Runtime behaves otherwise where it sees a CI."""
    left = ("KADR_", "XDG_", "ORT_", "CI", "GITHUB_", "GITLAB_", "TF_BUILD", "JENKINS_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(left)}
    return kept | {"HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(
            r"kadr serves .* at (http://\S+)/", log.read_text("utf-8", "replace")
        ):
            ready = httpx.get(found[1] + "/ready", trust_env=False, timeout=30)
            assert ready.status_code == 200, ready.text
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"The service didn't begin:\n{log.read_text('utf-8', 'replace')}")


def draw_photo(path: Path, seed: int, camera: str | None = None, taken: str | None = None) -> Path:
    """A drawn scene as a JPEG; what its file says of camera and date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dice = Dice(seed, 427)
    tags = Image.Exif()
    if camera:
        tags[0x0110] = camera
    if taken:
        tags[0x8769] = {0x9003: taken}
    draw(compose(dice, with_child=False), dice).save(path, "JPEG", exif=tags)
    return path


def draw_library(folder: Path, count: int = 24) -> Path:
    """A library of drawn scenes in `folder`/Photos: most shown, two hidden, two in doubt.

    The hidden ones lie in a folder, are by a camera and of a year that no shown one is.
    """
    photos = folder / "Photos"
    for number in range(count):
        place = photos / ("Walks" if number % 3 else "Trips/2024") / f"{number:02}.jpg"
        draw_photo(place, number, "Canon EOS 5D", f"2024:05:{1 + number % 28:02} 10:00:00")
    for number, name in enumerate([HIDDEN_BY_WORDS, HIDDEN_BY_PERSON]):
        draw_photo(
            photos / SECRET / name, 900 + number, f"{SECRET} 3000", f"{SECRET_YEAR}:06:01 10:00:00"
        )
    library = folder / "library.kadr"
    with Library.open(library, policy="under-16") as opened:
        opened.index([photos])
        _decide(opened, [photos / SECRET / HIDDEN_BY_PERSON], "hide")
        _decide(opened, sorted((photos / "Walks").iterdir()), "allow")
        _decide(opened, sorted((photos / "Trips/2024").iterdir())[:-2], "allow")
        _doubt(opened, sorted((photos / "Trips/2024").iterdir())[-2:])
    return library


def paint_library(folder: Path, count: int = 12, spec: str | None = None) -> tuple[Path, Path]:
    """A library of painted photos and a matcher of colours for it, which are quick.

    The third photo is hidden, the last is in doubt. The service needs FAKES in its environment.
    """
    model = matcher.save(colour_matcher(), folder / "model")
    for seed in range(count):
        paint(folder / "Photos" / ("Walks" if seed % 2 else "Trips/2024") / f"{seed:02}.png", seed)
    library = folder / "library.kadr"
    with Library.open(spec or library, model=model) as opened:
        opened.index([folder / "Photos"])
        photos = sorted((folder / "Photos").rglob("*.png"), key=lambda path: path.name)
        _decide(opened, photos[:-1], "allow")  # indexed without a law, they wait
        _decide(opened, photos[2:3], "hide")
    return library, model


def _decide(library: Library, photos: Sequence[Path], verdict: str) -> None:
    ruling = Ruling(verdict, "test", "2026-01-01T00:00:00+00:00", "")  # type: ignore[arg-type]
    for path in photos:
        review.decide(library.store, digest_of(library, path), ruling)


def _doubt(library: Library, photos: Sequence[Path]) -> None:
    """Have the machine be unsure of these."""
    numbers = [library.store.number(digest_of(library, path)) for path in photos]
    found = library.store.assessments([number for number in numbers if number])
    middle = (library.policy.review + library.policy.hide) / 2
    unsure = {n: replace(one, probability=middle, scene=middle) for n, one in found.items()}
    library.store.keep_assessments(unsure)


def digest_of(library: Library, path: Path) -> str:
    found = library.store.digest_at(path)
    assert found is not None
    return found


def number_of(library: Path, path: Path) -> int:
    """A photo's public id by its file."""
    with Library.open(library) as opened:
        found = opened.store.number(digest_of(opened, path))
        assert found is not None
        return opened.public_id(found)
