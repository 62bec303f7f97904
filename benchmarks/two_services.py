"""Prints what two services of one library on PostgreSQL bear, beside what one does.

Usage: python benchmarks/two_services.py postgresql://... PHOTOS [--connections 64] [--seconds 15]
    [--rounds 2] [--decisions 20]

The database, or the schema, is empty before, and holds the library of the folder PHOTOS afterwards.
The same connections search one service and two, in turn, each text another one. Then a person hides
and allows photos through the first service, while the second is asked for them again and again: at
rest, and while all connections search. CPU is that of the services, their decoders too, and of the
server's processes where it runs here.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

import numpy as np
import psutil

API = "/api/v1"
COMMAND = [sys.executable, "-m", "kadr.cli.main"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
POLICY = "under-16"
FIRST_PORT = 8771
WHO = ("a dog", "two men", "a woman in red", "a cyclist", "a black cat", "some people", "a horse")
DOES = ("runs", "sits", "jumps", "waits", "plays with a ball", "crosses the road", "stands still")
WHERE = (
    "on the beach",
    "in the snow",
    "near a lake",
    "in a busy street",
    "on a bridge",
    "at night",
)
WARM = 3
"""Seconds of load before anything is measured."""


@dataclass
class Load:
    """What searches did: seconds each, and what else came back."""

    times: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec")
    parser.add_argument("photos")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--decisions", type=int, default=20)
    options = parser.parse_args()
    index = [*COMMAND, "index", options.photos, "--library", options.spec, "--policy", POLICY]
    subprocess.run(index, env=ENVIRONMENT, check=True)
    ports = [FIRST_PORT, FIRST_PORT + 1]
    with services(options.spec, ports) as running:
        searching(ports[:1], options.connections, WARM)
        searching(ports, options.connections, WARM)
        print(
            "| round | services | searches a second | p50, s | p99, s | errors | CPU a search, ms |"
        )
        print("|---|---|---|---|---|---|---|")
        for number in range(1, options.rounds + 1):
            for count in (1, 2):
                told = measured(running, ports[:count], options)
                print(f"| {number} | {count} | {told} |", flush=True)
        print("\n| a decision through one service | the other's first answer, p50 ms | most |"
              " answers before it that were no longer right |\n|---|---|---|---|")  # fmt: skip
        print(f"| at rest | {decided(ports, options.decisions)} |", flush=True)
        with busy(ports, options.connections):
            print(f"| while {options.connections} search | {decided(ports, options.decisions)} |")


@contextmanager
def services(spec: str, ports: Sequence[int]) -> Iterator[list[psutil.Process]]:
    """A service at each port, ready; the processes that answer, the database's too."""
    serve = [*COMMAND, "serve", "--library", spec, "--policy", POLICY, "--rate", "off", "--port"]
    started = [
        subprocess.Popen([*serve, str(port)], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        for port in ports
    ]
    try:
        for port in ports:
            until_ready(port)
        found = [psutil.Process(one.pid) for one in started]
        database = [one for one in psutil.process_iter() if one.name() == "postgres"]
        children = [child for one in found for child in one.children(recursive=True)]
        yield [*found, *children, *database]
    finally:
        for one in started:
            one.send_signal(signal.SIGINT)
            one.wait()


def until_ready(port: int) -> None:
    """Wait for a service, a minute at most."""
    for _ in range(300):
        try:
            if asked(HTTPConnection("127.0.0.1", port, timeout=5), "/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"The service at {port} doesn't start.")


def asked(
    connection: HTTPConnection, path: str, body: object = None, method: str = "GET"
) -> tuple[int, bytes]:
    """Status and body of one request."""
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
    answer = connection.getresponse()
    return answer.status, answer.read()


def texts(number: int) -> Iterator[str]:
    """Searches of a connection, no two alike."""
    every = itertools.product(WHO, DOES, WHERE)
    for place, words in enumerate(itertools.cycle(every)):
        yield f"{' '.join(words)} {number} {place}".replace(" ", "+")


def searching(ports: Sequence[int], connections: int, seconds: float) -> Load:
    """Search by so many connections, spread over services, for some time."""
    load, ends, turn = Load(), time.monotonic() + seconds, threading.Lock()

    def search(number: int) -> None:
        port = ports[number % len(ports)]
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        for text in texts(number):
            started = time.monotonic()
            if started >= ends:
                return
            try:
                status, _ = asked(connection, f"{API}/search?q={text}")
                failed = None if status == 200 else str(status)
            except (OSError, HTTPException) as error:
                failed = type(error).__name__
                connection.close()
            with turn:
                if failed is None:
                    load.times.append(time.monotonic() - started)
                else:
                    load.errors[failed] += 1

    threads = [threading.Thread(target=search, args=(n,)) for n in range(connections)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return load


def measured(
    running: Sequence[psutil.Process], ports: Sequence[int], options: argparse.Namespace
) -> str:
    """What so many services did, as cells of the table."""
    before, started = cpu(running), time.monotonic()
    load = searching(ports, options.connections, options.seconds)
    seconds, spent = time.monotonic() - started, cpu(running) - before
    p50, p99 = np.percentile(load.times, [50, 99])
    errors = ", ".join(f"{count} {name}" for name, count in load.errors.items()) or "0"
    count = len(load.times)
    return f"{count / seconds:.1f} | {p50:.2f} | {p99:.2f} | {errors} | {1000 * spent / count:.0f}"


def cpu(processes: Sequence[psutil.Process]) -> float:
    """Seconds of CPU that processes have had, those that ended left out."""
    spent = 0.0
    for one in processes:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system
    return spent


def decided(ports: Sequence[int], count: int) -> str:
    """How long the second service takes to follow a decision through the first, as cells."""
    deciding, looking = (HTTPConnection("127.0.0.1", port, timeout=60) for port in ports)
    listed = json.loads(asked(deciding, f"{API}/photos?n={count}")[1])["photos"]
    times, stale = [], 0
    for photo in listed:
        for decision, wanted in (("hide", 451), ("allow", 200)):
            path = f"{API}/review/{photo['id']}"
            status, said = asked(deciding, path, {"decision": decision, "why": "measured"}, "POST")
            if status != 200:
                raise SystemExit(f"No decision: {status} {said!r}")
            started = time.monotonic()
            while asked(looking, f"{API}/photos/{photo['id']}/facts")[0] != wanted:
                stale += 1
            times.append(1000 * (time.monotonic() - started))
    return f"{np.median(times):.0f} | {max(times):.0f} | {stale} of {len(times)} decisions"


@contextmanager
def busy(ports: Sequence[int], connections: int) -> Iterator[None]:
    """All connections search meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-c",
         f"import sys; sys.path[:0] = {sys.path!r}; import two_services\n"
         f"two_services.searching({list(ports)!r}, {connections}, 600)"],
    )  # fmt: skip
    time.sleep(WARM)
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
