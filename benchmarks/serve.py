"""Prints how `kadr serve` bears load: searches a second, an overload, its event loop, its memory.

Usage: python benchmarks/serve.py [--photos 10000] [--seconds 20] [--rounds 3] [--minutes 10]
    [--keep FOLDER]

The photos are those of benchmarks/library.py, one in twenty of them assessed as hidden by law, and
some dozen drawn scenes, which have files to decode. The client is wrk, a process of its own; the
same search in a process is measured alternately with it. A run waits until the machine is at rest
and is repeated where other processes took much of it meanwhile. Linux only.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from kadr.data import drawn as scenes
from kadr.library.library import Library
from kadr.types import Assessment
from library import make

CONNECTIONS = (1, 8, 64)
OVERLOAD = 640
SCENES = 48
HIDDEN = 20
"""One in so many made photos is hidden by law."""
POLICIES = ("none", "under-16")
ONE_BY_ONE = "from kadr.service import worker_pool; worker_pool.BATCH; worker_pool.BATCH = 1; "
AS_THE_COMMAND = {"OMP_WAIT_POLICY": "passive", **os.environ}
"""What `kadr` sets for itself."""
COMMAND = "from kadr.cli.main import main; main()"
BATCHES = ("1", "2", "3-4", "5-8", "9-16")
REST, DISTURBED, TRIES = 0.1, 0.1, 20
"""A run begins when less than this share of the machine is busy; it is repeated, so often at most,
where other processes took more than this share during it."""
WARM = 3
"""Seconds of load before anything is measured."""
WHO = {
    "en": ("a dog", "two men", "a woman in a red coat", "a cyclist", "a black cat", "some people",
           "a man with a camera", "an old couple", "a horse", "a street musician", "a climber"),
    "ru": ("собака", "двое мужчин", "женщина в красном пальто", "велосипедист", "чёрная кошка",
           "люди", "мужчина с фотоаппаратом", "пожилая пара", "лошадь", "музыкант", "скалолаз"),
}  # fmt: skip
DOES = {
    "en": ("runs", "sits and rests", "jumps", "looks at the sky", "waits", "walks slowly",
           "eats ice cream", "plays with a ball", "crosses the road", "stands still", "laughs"),
    "ru": ("бежит", "сидит и отдыхает", "прыгает", "смотрит на небо", "ждёт", "медленно идёт",
           "ест мороженое", "играет с мячом", "переходит дорогу", "стоит", "смеётся"),
}  # fmt: skip
WHERE = {
    "en": ("on the beach", "in the snow", "near a lake", "in a busy street", "on a bridge",
           "under a tree", "in the mountains", "at night", "in front of a red car", "on grass"),
    "ru": ("на пляже", "в снегу", "у озера", "на людной улице", "на мосту", "под деревом",
           "в горах", "ночью", "перед красной машиной", "на траве"),
}  # fmt: skip
CLIENT = """
local threads, paths = {}, {}
function setup(thread) table.insert(threads, thread) end
function init(arguments)
  for line in io.lines(arguments[1]) do table.insert(paths, line) end
  place, ok, busy, mute, other = tonumber(arguments[2]), 0, 0, 0, 0
end
function request()
  place = place % #paths + 1
  return wrk.format("GET", paths[place])
end
function response(status, headers)
  if status == 200 then ok = ok + 1
  elseif status == 503 then
    busy = busy + 1
    if not (headers["retry-after"] or headers["Retry-After"]) then mute = mute + 1 end
  else other = other + 1 end
end
function done(summary, latency)
  local function sum(name)
    local total = 0
    for _, thread in ipairs(threads) do total = total + thread:get(name) end
    return total
  end
  local lost = summary.errors
  print(string.format(
    '{"seconds": %f, "ok": %d, "busy": %d, "mute": %d, "errors": %d, "lost": %d,' ..
    ' "p50": %f, "p95": %f, "p99": %f}', summary.duration / 1e6, sum("ok"), sum("busy"),
    sum("mute"), sum("other"), lost.connect + lost.read + lost.write + lost.timeout,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True)
class Load:
    """What became of the requests of one run; `lost` were not answered. Milliseconds."""

    seconds: float
    ok: int
    busy: int
    mute: int
    errors: int
    lost: int
    p50: float
    p95: float
    p99: float
    others: float = 0.0
    """Share of the machine that other processes took."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.ok / self.seconds


@dataclass
class Service:
    """A running service."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int

    def get(self, path: str) -> tuple[int, bytes]:
        """One answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def batches(self) -> list[float]:
        """Batches of each size so far, by the buckets of BATCHES, and all searches in them."""
        text = self.get("/metrics")[1].decode()
        upto = [float(v) for v in re.findall(r"batch_size_bucket\{le=\"[0-9.]+\"\} (\S+)", text)]
        (searches,) = re.findall(r"batch_size_sum (\S+)", text)
        return [b - a for a, b in itertools.pairwise([0, *upto])] + [float(searches)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=20, help="Of each run.")
    parser.add_argument("--rounds", type=int, default=3, help="Figures are medians of so many.")
    parser.add_argument("--minutes", type=float, default=10, help="Of the memory run; 0: none.")
    parser.add_argument("--keep", type=Path, help="Make the library here, or use it again.")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk, the client, isn't installed. Debian: apt-get install wrk")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.keep or Path(scratch)) / f"served-{options.photos}"
        if not (folder / "done").exists():
            prepare(folder, options.photos)
        bench = Bench(folder / "library.kadr", Path(scratch))
        bench.searches(options.seconds, options.rounds)
        bench.overload(options.seconds)
        if options.minutes:
            bench.memory(options.minutes)


def prepare(folder: Path, count: int) -> None:
    """Make the library."""
    shutil.rmtree(folder, ignore_errors=True)
    make(folder, count)
    drawn = folder / "drawn"
    scenes.generate(drawn, images=SCENES, seed=2)
    with Library.open(folder / "library.kadr", create=False) as library:
        made = library.store.unassessed()
        library.store.keep_assessments({number: assessed(number) for number in made})
        library.index([drawn])
    (folder / "done").touch()


def assessed(number: int) -> Assessment:
    """A made photo's assessment: hidden, or shown."""
    probability = 0.95 if number % HIDDEN == 0 else 0.02
    return Assessment((), probability, None, (), probability, "made")


class Bench:
    """All measurements on one library."""

    def __init__(self, library: Path, scratch: Path) -> None:
        self._library = library
        self._scratch = scratch
        self._texts = texts()
        self._asked = 0
        (scratch / "client.lua").write_text(CLIENT)
        self._searches = self._paths(
            "searches", [f"/api/v1/search?q={quote(text)}" for text in self._texts]
        )

    def _paths(self, name: str, paths: Sequence[str]) -> Path:
        file = self._scratch / f"{name}.txt"
        file.write_text("".join(f"{path}\n" for path in paths))
        return file

    # Searches.

    def searches(self, seconds: int, rounds: int) -> None:
        """Print the tables of searches, of their batches, and of the event loop."""
        with (
            self._serving("none") as plain,
            self._serving("under-16") as law,
            self._serving("none", one_by_one=True) as single,
        ):
            told = {"policy none": plain, "policy under-16": law, "none, batches of 1": single}
            found, grouped = self._rounds(told, seconds, rounds)
            print_searches(found)
            print_batches(grouped)
            waits = {
                f"{c} connections": self._health(plain, c, seconds) for c in (0, *CONNECTIONS[1:])
            }
            print_waits(waits)

    def _rounds(
        self, services: Mapping[str, Service], seconds: int, rounds: int
    ) -> tuple[dict[tuple[str, int], list[Load]], dict[int, list[float]]]:
        """Loads by side and connections, 0: in process; and batch sizes by connections."""
        found = defaultdict[tuple[str, int], list[Load]](list)
        grouped = {count: [0.0] * (len(BATCHES) + 1) for count in CONNECTIONS}
        for _ in range(rounds):
            for policy in POLICIES:
                found[f"policy {policy}", 0].append(self._inside(policy, seconds))
            for count, (name, service) in itertools.product(CONNECTIONS, services.items()):
                before = service.batches()
                load = undisturbed(partial(self._load, service, count, seconds), service)
                found[name, count].append(load)
                if name == "policy none":
                    new = [b - a for a, b in zip(before, service.batches(), strict=True)]
                    grouped[count] = [a + b for a, b in zip(grouped[count], new, strict=True)]
        return found, grouped

    def _inside(self, policy: str, seconds: int) -> Load:
        """The same searches in a process of their own, one after the other."""
        command = [sys.executable, __file__, "--inside", str(self._library), policy, str(seconds)]

        def run() -> Load:
            asked = json.dumps(self._next_texts()).encode()
            done = subprocess.run(
                command, input=asked, stdout=subprocess.PIPE, env=AS_THE_COMMAND, check=True
            )
            return Load(**json.loads(done.stdout))

        return undisturbed(run)

    def _next_texts(self) -> list[str]:
        """The texts, from one on that wasn't asked lately."""
        start = self._next()
        return self._texts[start:] + self._texts[:start]

    def _next(self) -> int:
        self._asked = (self._asked + len(self._texts) * 5 // 13) % len(self._texts)
        return self._asked

    def _load(
        self, service: Service, connections: int, seconds: float, paths: Path | None = None
    ) -> Load:
        """Let wrk ask for so many seconds, with so many requests at any time."""
        command = [
            "wrk", "--threads", "1", "--connections", str(connections),
            "--duration", f"{seconds:.0f}s", "--timeout", "60s",
            "--script", str(self._scratch / "client.lua"), f"http://127.0.0.1:{service.port}",
            "--", str(paths or self._searches), str(self._next()),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("{"))
        return Load(**json.loads(line))

    def _health(self, service: Service, connections: int, seconds: int) -> list[float]:
        """Milliseconds that /health takes beside so many connections that search."""
        with probing(service, "/health") as waits:
            if connections:
                self._load(service, connections, seconds)
            else:
                time.sleep(seconds)
        return waits

    # Too much.

    def overload(self, seconds: int) -> None:
        """Print what becomes of ten times as many connections as saturate the service."""
        with self._serving("under-16") as service:
            before = statistics.median(timed(service, self._path(n))[1] for n in range(20))
            start = service.log.stat().st_size
            waits: list[float] = []

            def run() -> Load:
                with probing(service, "/health") as found:
                    load = self._load(service, OVERLOAD, seconds)
                waits[:] = found
                return load

            load = undisturbed(run, service)
            first, again = recovery(service, 2 * before, self._path)
            answered = logged(service.log, start)
        rows = {
            "searches/s": f"{load.rate:.1f}",
            "503/s": f"{load.busy / load.seconds:.0f}",
            "503 without Retry-After": load.mute,
            "other answers": load.errors,
            "not answered": load.lost,
            "answered searches, p50 / p95 / p99 ms": spread(answered),
            "all answers, p50 / p95 / p99 ms": f"{load.p50:.0f} / {load.p95:.0f} / {load.p99:.0f}",
            "/health, p50 / p95 / p99 ms": spread(waits),
            "first search answered after it, s": f"{first:.2f}",
            "as fast as before (twice its median at most), s": f"{again:.2f}",
            "share of the machine that other processes took": f"{max(load.others, 0):.0%}",
        }
        print(f"\n| {OVERLOAD} connections, {load.seconds:.0f} s | |\n|---|---|")
        for name, value in rows.items():
            print(f"| {name} | {value} |", flush=True)

    def _path(self, number: int) -> str:
        return f"/api/v1/search?q={quote(self._texts[number % len(self._texts)])}"

    # Memory.

    def memory(self, minutes: float) -> None:
        """Print how the memory of the service and its workers grows."""
        with self._serving("under-16") as service:
            mixed = self._paths("mixed", self._mixture(service))
            self._load(service, 8, WARM, mixed)
            samples: list[tuple[float, float]] = []
            with repeatedly(1, lambda: samples.append((time.monotonic(), held(service)))):
                load = self._load(service, 8, minutes * 60, mixed)
        times, sizes = np.array(samples).T
        times = (times - times[0]) / 60
        late = times >= min(1, minutes / 2)
        slope = float(np.polyfit(times[late], sizes[late], 1)[0])
        print(
            "\n| minutes | requests | 503 | errors | MB at the start | after 1 min | at the end | "
            "most | MB a minute after the first |\n|---|---|---|---|---|---|---|---|---|"
        )
        sized = " | ".join(
            f"{size:.0f}" for size in (sizes[0], sizes[late][0], sizes[-1], sizes.max())
        )
        print(
            f"| {minutes:g} | {load.ok + load.busy:,} | {load.busy} | {load.errors + load.lost} | "
            f"{sized} | {slope:+.2f} |",
            flush=True,
        )

    def _mixture(self, service: Service) -> list[str]:
        """Of 20 requests 14 are searches, 5 thumbnails and 1 an explanation."""
        status, body = service.get("/api/v1/photos?n=500&folder=drawn&lang=en")
        assert status == 200, body
        photos = [photo["id"] for photo in json.loads(body)["photos"]]
        assert photos
        dice = random.Random(0)
        paths = []
        for number, text in enumerate(self._texts):
            photo = f"/api/v1/photos/{dice.choice(photos)}"
            if number % 20 == 0:
                paths.append(f"{photo}/explain?q={quote(text)}")
            elif number % 20 < 6:
                paths.append(f"{photo}?size={dice.choice((320, 640, 1600))}")
            else:
                paths.append(self._path(number))
        return dice.sample(paths, len(paths))

    @contextmanager
    def _serving(self, policy: str, *, one_by_one: bool = False) -> Iterator[Service]:
        """A service that has been asked for some seconds."""
        name = f"{policy}-{one_by_one}"
        log = self._scratch / f"{name}.log"
        command = [
            sys.executable, "-c", (ONE_BY_ONE if one_by_one else "") + COMMAND, "serve",
            "--library", str(self._library), "--port", "0", "--rate", "off", "--policy", policy,
        ]  # fmt: skip
        with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
            try:
                service = Service(name, process, log, address(process, log))
                self._load(service, 8, WARM)
                yield service
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)


def texts() -> list[str]:
    """Some thousand texts, English and Russian by turns."""
    dice = random.Random(1)
    sides = []
    for language in ("en", "ru"):
        parts = itertools.product(WHO[language], DOES[language], WHERE[language])
        made = [" ".join(part) for part in parts]
        sides.append(dice.sample(made, len(made)))
    return [text for pair in zip(*sides, strict=True) for text in pair]


def inside(library: Path, policy: str, seconds: float) -> None:
    """Search in this process, one after the other, and print what a Load takes as JSON."""
    asked = itertools.cycle(json.load(sys.stdin))
    times: list[float] = []
    with Library.open(library, policy=policy, create=False) as opened:
        begun = time.perf_counter()
        while time.perf_counter() - begun < WARM:
            opened.search(next(asked))
        begun = time.perf_counter()
        while (started := time.perf_counter()) - begun < seconds:
            opened.search(next(asked))
            times.append((time.perf_counter() - started) * 1000)
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).tolist()
    told = {"seconds": sum(times) / 1000, "ok": len(times), "p50": p50, "p95": p95, "p99": p99}
    print(json.dumps(told | {"busy": 0, "mute": 0, "errors": 0, "lost": 0}))


def address(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that a starting service says it listens on."""
    while process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"The service didn't start:\n{log.read_text()}")


def timed(service: Service, path: str) -> tuple[int, float]:
    """An answer's status and milliseconds."""
    started = time.perf_counter()
    status, _ = service.get(path)
    return status, (time.perf_counter() - started) * 1000


def recovery(service: Service, enough: float, path: Callable[[int], str]) -> tuple[float, float]:
    """Seconds until a search is answered, and until one is within so many milliseconds."""
    begun, first = time.perf_counter(), None
    for number in itertools.count(100):
        status, wait = timed(service, path(number))
        since = time.perf_counter() - begun
        if status == 200 and first is None:
            first = since
        if status == 200 and wait <= enough:
            break
        assert since < 120, "The service doesn't come back."
    assert first is not None
    return first, since


def logged(log: Path, start: int) -> list[float]:
    """Milliseconds of the searches that were answered, as the log has them from a byte on."""
    with log.open("rb") as file:
        file.seek(start)
        lines = [json.loads(line) for line in file if line.startswith(b"{")]
    return [line["ms"] for line in lines if line.get("status") == 200 and "search" in line["route"]]


@contextmanager
def repeatedly(pause: float, work: Callable[[], object]) -> Iterator[None]:
    """Do something at once and again after each pause, on another thread."""
    over = threading.Event()

    def run() -> None:
        work()
        while not over.wait(pause):
            work()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            over.set()
        running.result()


@contextmanager
def probing(service: Service, path: str) -> Iterator[list[float]]:
    """Gives a list that grows by the milliseconds of one more answer, fifty times a second."""
    waits: list[float] = []

    def ask() -> None:
        status, wait = timed(service, path)
        assert status == 200
        waits.append(wait)

    with repeatedly(0.02, ask):
        yield waits


def undisturbed(run: Callable[[], Load], service: Service | None = None) -> Load:
    """What a run on a machine at rest gives."""
    for _ in range(TRIES):
        for _ in range(120):
            before = Usage.now(service)
            time.sleep(0.5)
            if Usage.now(service).busy_since(before) < REST:
                break
        before = Usage.now(service)
        load = run()
        load = replace(load, others=Usage.now(service).others_since(before))
        if load.others <= DISTURBED:
            break
    return load


@dataclass(frozen=True)
class Usage:
    """Seconds of processors so far: all, those at work, and those at work for the benchmark."""

    all: float
    busy: float
    own: float

    @classmethod
    def now(cls, service: Service | None) -> "Usage":
        """As of now; `service` works for the benchmark, and so does what has ended."""
        with Path("/proc/stat").open() as file:
            times = [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in file.readline().split()[1:]]
        own = sum(os.times()[:4]) + (sum(map(worked, family(service))) if service else 0)
        return cls(sum(times), sum(times) - times[3] - times[4], own)

    def busy_since(self, before: "Usage") -> float:
        """Share of the machine that worked."""
        return (self.busy - before.busy) / (self.all - before.all)

    def others_since(self, before: "Usage") -> float:
        """Share of the machine that worked for others."""
        mine = (self.own - before.own) / (self.all - before.all)
        return max(0.0, self.busy_since(before) - mine)


def worked(process: int) -> float:
    """Seconds that a process has worked; 0 where it has ended."""
    try:
        rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")


def family(service: Service) -> set[int]:
    """The service's process and all below it."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            process, rest = status.read_text().split(" ", 1)
        except OSError:  # it has ended
            continue
        parents[int(process)] = int(rest.rpartition(")")[2].split()[1])
    found = {service.process.pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def held(service: Service) -> float:
    """Megabytes that the service and its workers hold (RSS; what they share counts twice)."""
    return sum(map(resident, family(service)))


def resident(process: int) -> float:
    """Megabytes that a process holds; 0 where it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    line = re.search(r"VmRSS:\s+(\d+)", text)
    return int(line[1]) / 1024 if line else 0.0


def median(loads: Sequence[Load], name: str) -> float:
    """The median of a figure."""
    return float(statistics.median(getattr(load, name) for load in loads))


def print_searches(found: Mapping[tuple[str, int], Sequence[Load]]) -> None:
    """Rates and latencies, beside those in process."""
    print(
        "| | connections | searches/s | of in process | p50 ms | p95 | p99 | errors | 503 |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for (name, connections), loads in sorted(found.items(), key=lambda item: item[0][1]):
        alone = found.get((name, 0), found["policy none", 0])
        share = median(loads, "rate") / median(alone, "rate")
        cells: list[Any] = [name, connections or "in process", f"{median(loads, 'rate'):.1f}"]
        cells += [f"{share:.2f}", *(f"{median(loads, p):.0f}" for p in ("p50", "p95", "p99"))]
        cells += [sum(load.errors + load.lost for load in loads), sum(load.busy for load in loads)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    most = max(load.others for loads in found.values() for load in loads)
    print(f"\nIn no run did other processes take more than {most:.0%} of the machine.", flush=True)


def print_batches(grouped: Mapping[int, Sequence[float]]) -> None:
    """How many searches are answered together."""
    used = [n for n in range(len(BATCHES)) if any(counts[n] for counts in grouped.values())]
    heads = [f"batches of {BATCHES[n]}" for n in used]
    print(f"\n| connections | {' | '.join(heads)} | mean batch |")
    print(f"|---|{'---|' * (len(used) + 1)}")
    for connections, (*counts, searches) in grouped.items():
        batches = max(sum(counts), 1)
        shares = [f"{counts[n] / batches:.0%}" for n in used]
        print(f"| {connections} | {' | '.join(shares)} | {searches / batches:.1f} |", flush=True)


def print_waits(waits: Mapping[str, Sequence[float]]) -> None:
    """How soon /health answers."""
    print("\n| /health beside | answers | p50 ms | p95 | p99 | most |\n|---|---|---|---|---|---|")
    for name, times in waits.items():
        cells = [f"{value:.1f}" for value in (*np.percentile(times, [50, 95, 99]), max(times))]
        print(f"| {name} | {len(times)} | {' | '.join(cells)} |", flush=True)


def spread(times: Sequence[float]) -> str:
    """Median and tail."""
    return " / ".join(f"{value:.0f}" for value in np.percentile(times, [50, 95, 99]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
    else:
        main()
