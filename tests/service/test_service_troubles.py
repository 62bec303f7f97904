"""What happens to a service that runs: many at once, processes killed, files gone, its end."""

import io
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock
from PIL import Image

from forks import run_kadr
from kadr.service import keys
from services import (
    API,
    FAKES,
    HIDDEN_BY_PERSON,
    SECRET,
    Running,
    clean_environment,
    draw_library,
    draw_photo,
    number_of,
    serving,
)
from shell import RUN


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("troubles")


@pytest.fixture(scope="module")
def library(home: Path) -> Path:
    return draw_library(home)


@pytest.fixture(scope="module")
def service(home: Path, library: Path) -> Iterator[Running]:
    # Everybody sees all, so that what is uploaded can be looked at.
    with serving(library, "--uploads", home / "up", "--policy", "none") as running:
        yield running
    assert "Traceback" not in running.written()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Give a library that a test may break."""
    return draw_library(tmp_path, 4)


def get(service: Running, path: str, **parameters: Any) -> httpx.Response:
    with service.client() as client:
        return client.get(API + path, params=parameters or None)


def add(service: Running, *contents: bytes) -> httpx.Response:
    with service.client() as client:
        return client.post(f"{API}/photos", files=[("photos", one) for one in contents])


def at_once(count: int, ask: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


# Many at once.


def test_the_same_photo_uploaded_by_many_is_one(
    service: Running, home: Path, tmp_path: Path
) -> None:
    photo = draw_photo(tmp_path / "one.jpg", 3001).read_bytes()
    answers = at_once(20, lambda _: add(service, photo))
    assert {one.status_code for one in answers} == {201}
    assert len({one["id"] for answer in answers for one in answer.json()["added"]}) == 1
    assert [path.read_bytes() for path in (home / "up").iterdir()].count(photo) == 1
    assert not list((home / "up").glob(".*"))


def test_photos_deleted_while_they_are_looked_at(service: Running, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "two.jpg", 3002).read_bytes()
    for _ in range(4):
        (added,) = add(service, photo).json()["added"]
        path = f"{API}/photos/{added['id']}"

        def ask(number: int, path: str = path) -> int:
            with service.client() as client:
                if number == 5:
                    return client.delete(path).status_code
                statuses = set[int]()
                for size in ("", "?size=320", "/facts", "/explain?q=dog"):
                    answer = client.get(path + size)
                    statuses.add(answer.status_code)
                    if answer.status_code == 200 and not size:
                        assert answer.content == photo
                assert statuses <= {200, 404}
                return 0

        assert sorted(at_once(12, ask))[-1] == 204
        assert get(service, f"/photos/{added['id']}").status_code == 404


def test_decisions_while_others_search(own: Path) -> None:
    shown = number_of(own, own.parent / "Photos" / "Walks" / "01.jpg")
    with serving(own) as service:

        def ask(number: int) -> set[int]:
            with service.client() as client:
                if number:
                    return {
                        client.get(f"{API}/search", params={"q": f"dog {n}"}).status_code
                        for n in range(15)
                    }
                said = ("hide", "allow") * 5 + ("hide",)
                return {
                    client.post(f"{API}/review/{shown}", json={"decision": one}).status_code
                    for one in said
                }

        assert set.union(*at_once(6, ask)) == {200}
        # The library's own decision stands; this user's differs, so it is a dispute.
        assert get(service, "/review").json()["waiting"] >= 1


def test_more_than_can_wait_is_turned_away(own: Path) -> None:
    with serving(own, "--waiting", "1") as service:
        answers = at_once(32, lambda n: get(service, "/search", q=f"a dog on a beach {n}"))
        assert {one.status_code for one in answers} == {200, 503}
        for one in answers:
            if one.status_code == 503:
                assert int(one.headers["retry-after"]) >= 1
                assert one.headers["content-type"] == "application/problem+json"
        assert get(service, "/search", q="dog").status_code == 200


def test_whoever_asks_too_much_is_told_to_wait(own: Path) -> None:
    with serving(own, "--rate", "20/day") as service:
        answers = at_once(4, lambda _: [get(service, "/photos", n=1) for _ in range(10)])
        statuses = [one.status_code for some in answers for one in some]
        assert statuses.count(200) <= 20
        assert set(statuses) == {200, 429}
        refused = get(service, "/photos")
        assert int(refused.headers["retry-after"]) >= 1
        with service.client() as client:  # by no name or key does one get a new count
            for number in range(5):
                headers = {
                    "X-Forwarded-For": f"10.0.0.{number}",
                    "Authorization": f"Bearer kadr_{number:08}_{'a' * 43}",
                    "Forwarded": f"for=10.0.0.{number}",
                }
                assert client.get(f"{API}/photos", headers=headers).status_code == 429
            assert client.get("/health").status_code == 200


# Processes and files.


@pytest.fixture(scope="module")
def torso() -> bytes:
    """Give a large picture without its end: it is read for long, then refused."""
    file = io.BytesIO()
    noise = Image.effect_noise((4000, 4000), 50).convert("RGB")
    noise.save(file, "PNG", compress_level=1)
    return file.getvalue()[:-100_000]


@pytest.fixture(scope="module")
def hasty(library: Path) -> Iterator[Running]:
    """Serve with little time for a picture; whoever kills its decoder waits until one runs again."""
    with serving(library, "--policy", "none", "--seconds", "5") as running:
        yield running


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("killed", [1, 2])
def test_a_killed_decoder_fails_what_it_does_alone(
    hasty: Running, torso: bytes, tmp_path: Path, seconds: float, killed: int
) -> None:
    """At whatever moment it dies: while it waits, while a picture comes to it, while it decodes."""
    photo = draw_photo(tmp_path / "quick.jpg", 3).read_bytes()

    def score(picture: bytes) -> int:
        with hasty.client() as client:
            sent = {"picture": picture}
            return client.post(f"{API}/score", files=sent, data={"texts": "dog"}).status_code

    assert score(photo) == 200  # the decoder runs
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(score, torso) for _ in range(2 if seconds else 0)]
        time.sleep(seconds)
        workers = [one for one in hasty.processes() if "spawn_main" in " ".join(one.cmdline())]
        for one in workers[:killed]:
            one.kill()
        assert {one.result() for one in waiting} <= {422, 503}
    end = time.monotonic() + 15
    while score(photo) != 200:
        assert time.monotonic() < end, "It never decodes again"
    assert get(hasty, "/search", q="dog").status_code == 200
    assert "Traceback" not in hasty.written()


def test_broken_uploads_tell_no_path(own: Path, tmp_path: Path) -> None:
    uploads = tmp_path / "up"
    photo = draw_photo(tmp_path / "new.jpg", 12).read_bytes()
    with serving(own, "--uploads", uploads) as service:
        uploads.rmdir()
        uploads.write_bytes(b"")  # as bad as a full disk, and can be had without one
        answer = add(service, photo)
        assert answer.status_code in {503, 507}, answer.text
        assert str(tmp_path) not in answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert get(service, "/search", q="dog").status_code == 200
        uploads.unlink()
        assert add(service, photo).status_code == 201


def break_it(library: Path) -> None:
    with library.open("r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * (library.stat().st_size - 100))


@pytest.mark.parametrize("how", ["broken", "cut", "gone"])
def test_a_library_that_breaks_is_said_to_be_unavailable(own: Path, how: str) -> None:
    asked = ("/photos", "/photos/1/facts", "/library", "/review", "/search?q=dog")
    with serving(own) as service:
        if how == "broken":
            break_it(own)
        elif how == "cut":
            os.truncate(own, 5000)
        else:
            for file in own.parent.glob("library.kadr*"):
                if file.suffix != ".log":
                    file.unlink()
        with service.client() as client:
            for path in asked:
                answer = client.get(API + path)
                # What is in memory may be answered; nothing else is, and it is no failure.
                assert answer.status_code in {200, 404, 451, 503}, (path, answer.text)
                assert str(own.parent) not in answer.text
            assert client.get("/health").status_code == 200
        assert not own.exists() or how != "gone"  # no new one is made in its place
        assert "Traceback" not in service.written()
        assert service.stop() == 0


def test_a_library_in_use_delays_nobody_who_reads(own: Path) -> None:
    with serving(own) as service:
        other = sqlite3.connect(own, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:  # nothing ends the other's transaction before all are answered
            for path in ("/search?q=dog", "/photos", "/library", "/photos/1/facts", "/similar/3"):
                assert get(service, path).status_code in {200, 451, 404}
        finally:
            other.close()


def test_a_replaced_library_is_opened_anew(own: Path, tmp_path: Path) -> None:
    other = draw_library(tmp_path / "other", 7)
    with serving(own) as service:
        assert get(service, "/search", q="dog", n=200).json()["hits"]
        before = get(service, "/library").json()["photos"]
        for file in own.parent.glob("library.kadr-*"):
            file.unlink()
        shutil.copy(other, own.with_name("copy"))
        own.with_name("copy").replace(own)
        assert get(service, "/library").json()["photos"] != before
        hits = get(service, "/search", q="dog", n=200).json()["hits"]
        assert len(hits) == 5  # of 9, two are hidden and two in doubt
        assert "Traceback" not in service.written()


def test_what_another_process_indexes_is_found_without_restart(own: Path) -> None:
    with serving(own, "--policy", "none") as service:
        before = {one["id"] for one in get(service, "/photos").json()["photos"]}
        new = draw_photo(own.parent / "Photos" / "Walks" / "new.jpg", 5555)
        run = subprocess.Popen(
            [*RUN, "index", str(own.parent / "Photos"), "--library", str(own)],
            env=clean_environment(own.parent), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        while run.poll() is None:
            assert get(service, "/search", q="dog").status_code == 200
        assert run.returncode == 0, run.communicate()[1]
        run.communicate()
        after = {one["id"] for one in get(service, "/photos").json()["photos"]}
        (added,) = after - before
        found = get(service, "/search", q="dog", n=200).json()["hits"]
        assert added in {hit["photo"]["id"] for hit in found}
        assert get(service, f"/photos/{added}").content == new.read_bytes()
        new.unlink()
        assert get(service, f"/photos/{added}").status_code == 404


def test_two_services_of_one_library_agree(own: Path) -> None:
    shown = number_of(own, own.parent / "Photos" / "Walks" / "02.jpg")
    with serving(own) as one, serving(own) as other:
        assert get(other, f"/photos/{shown}").status_code == 200
        with one.client() as client:
            said = {"decision": "withdraw", "why": "a second look"}
            assert client.post(f"{API}/review/{shown}", json=said).status_code == 200
            said = {"decision": "hide"}
            assert client.post(f"{API}/review/{shown}", json=said).json() == {"outcome": "ruled"}
        for service in (one, other):
            assert get(service, f"/photos/{shown}").status_code == 451
        hidden = number_of(own, own.parent / "Photos" / SECRET / HIDDEN_BY_PERSON)
        assert get(other, f"/photos/{hidden}").status_code == 451


# The end, and the beginning.


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_what_has_begun_is_ended(own: Path, how: signal.Signals, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "new.jpg", 5).read_bytes()
    with serving(own) as service:
        with service.client() as idle:
            assert idle.get("/health").status_code == 200
            begun = [begin_to_score(service, photo, f"dog {number}") for number in range(8)]
            for connection, body in begun:
                connection.sendall(body)
            code = service.stop(how, seconds=60)
            assert {status_on(connection) for connection, _ in begun} <= {200, 503}
        assert code == 0
        written = service.written()
        assert "Traceback" not in written
        assert service.processes_left() == []


def begin_to_score(service: Running, photo: bytes, text: str) -> tuple[socket.socket, bytes]:
    """A connection on which the service has begun to read a request, and the body that it awaits."""
    request = httpx.Request(
        "POST",
        f"{service.address}{API}/score",
        files={"picture": photo},
        data={"texts": text},
        headers={"Expect": "100-continue", "Connection": "close"},
    )
    body = request.read()
    head = [f"POST {API}/score HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
    connection = socket.create_connection(("127.0.0.1", service.port), 60)
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    return connection, body


def status_on(connection: socket.socket) -> int:
    """The status of the answer that comes."""
    with connection, connection.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def test_a_connection_that_stays_does_not_keep_it_from_ending(own: Path) -> None:
    with (
        serving(own, "--seconds", "3600") as service,
        socket.create_connection(("127.0.0.1", service.port)) as connection,
    ):
        connection.sendall(
            b"POST /api/v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        assert service.stop(seconds=60) == 0


def test_uploads_wait_for_nobody_for_long(own: Path, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "new.jpg", 12).read_bytes()
    with serving(own, "--uploads", tmp_path / "up") as service:
        with FileLock(str(own) + ".lock"):  # as `kadr index` holds it, for hours perhaps
            answer = add(service, photo)
            assert (answer.status_code, answer.headers["retry-after"] != "") == (503, True)
            assert get(service, "/library").status_code == 200
        assert add(service, photo).status_code == 201


WRONG = {
    "--port 99999": "--port", "--port x": "--port", "--host 256.1.1.1": "256.1.1.1", "--rate fast": "rate",
    "--rate 0/minute": "rate", "--proxy nowhere": "nowhere", "--policy nothing": "nothing",
    "--waiting 0": "waiting", "--seconds 0": "seconds",
    "--max-bytes 1": "max-bytes", "--max-pixels 1": "max-pixels", "--anonymous all": "all",
    "--model nowhere": "nowhere", "--library nowhere.kadr": "nowhere", "--library secret.txt": "secret.txt",
    "--host 0.0.0.0": "keys add", "--uploads library.kadr/up": "up",
}  # fmt: skip


@pytest.mark.parametrize("options", WRONG)
def test_wrong_options_are_told_in_one_line(library: Path, options: str) -> None:
    (library.parent / "secret.txt").write_text("x")
    given = options.split()
    named = [] if "--library" in given else ["--library", str(library)]
    environment = clean_environment(library.parent) | FAKES
    run = run_kadr(["serve", "--port", "0", *named, *given], environment, library.parent)
    assert run.returncode == 2, run.stderr
    said = [
        line
        for line in run.stderr.splitlines()
        if not line.startswith(("Policy ", "Usage", "Try "))
    ]
    text = " ".join(said)
    assert WRONG[options] in text
    assert "Traceback" not in text
    assert len(run.stderr) < 1500


def test_a_port_in_use_is_told_in_one_line(library: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = subprocess.run(
            [*RUN, "serve", "--library", str(library), "--port", str(port)],
            env=clean_environment(library.parent), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode == 2
    (line,) = [one for one in run.stderr.splitlines() if one.startswith("kadr: ")]
    assert str(port) in line


def test_a_key_that_is_made_meanwhile_counts(own: Path) -> None:
    with serving(own) as service:
        assert get(service, "/library").json()["keys"] is False
        key = keys.add(keys.of(own), "late", ("read",))
        assert get(service, "/library").status_code == 401
        with service.client(key) as client:
            assert client.get(f"{API}/library").json()["scopes"] == ["read"]
