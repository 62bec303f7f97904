"""Who gets in, what proxies may say, and how many may come: keys, sessions, headers, connections."""

import errno
import json
import os
import shutil
import socket
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from kadr.errors import KadrError
from kadr.service import connections, forwarding, keys
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from kadr.service.connections import Connections
from kadr.service.keys import Keyring
from kadr.service.seals import Seals
from kadr.service.sessions import DAYS, Sessions
from services import API, FAKES, Running, paint_library, serving

pytestmark = pytest.mark.usefixtures("plain_ids")

READ = ("/library", "/photos", "/search?q=dog", "/timeline", "/timeline/photos", "/folders")
CLOSED = (*READ, "/archive?photos=1", "/photos/1", "/photos/1/facts", "/similar/1", "/review", "/review/1/picture", "/review/1")  # fmt: skip
"""Addresses that need a key, of photos that needn't be there."""
PROXY = ("10.1.2.3", 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def made(home: Path) -> tuple[Path, Path]:
    return paint_library(home)


@pytest.fixture
def service(made: tuple[Path, Path], tmp_path: Path) -> Service:
    """Give the settings of `kadr serve` without options; its keys are the test's own."""
    library, model = made
    return Service(library, model=model, anonymous=None, keys=tmp_path / "keys.json", rate=None)


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    """Give a library that a test may break, and its matcher."""
    return paint_library(tmp_path, 4)


def run(made: tuple[Path, Path], *options: str | Path) -> Any:
    library, model = made
    return serving(library, "--model", model, *options, environment=FAKES)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def scopes(client: TestClient, **headers: str) -> list[str]:
    """What a visitor may do, [] where they don't get in."""
    answer = client.get(f"{API}/library", headers=headers)
    if answer.status_code == 401:
        return []
    assert answer.status_code == 200, answer.text
    return list(answer.json()["scopes"])


def shown(client: Any, **headers: str) -> int:
    """A photo that may be seen."""
    answer = client.get(f"{API}/photos", params={"n": 1}, headers=headers)
    return int(answer.json()["photos"][0]["id"])


# Keys that come and go.


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path, target: Path | str) -> None:
    path.unlink()
    path.symlink_to(target)


VANISH: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: keys.remove(path, "family"),
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "no keys": lambda path: path.write_text("[]"),
    "an object": lambda path: path.write_text("{}"),
    "null": lambda path: path.write_text("null"),
    "a number": lambda path: path.write_text("0"),
    "no key's fields": lambda path: path.write_text("[{}]"),
    "unknown scopes": lambda path: path.write_text(path.read_text().replace('"read"', '"all"')),
    "half-written": half,
    "deep": lambda path: path.write_text("[" * 100_000),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "a folder": folder,
    "a link to nothing": lambda path: link(path, "nowhere"),
    "a link to itself": lambda path: link(path, path),
}


@pytest.fixture(scope="module")
def closed(
    made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Path, str]]:
    """Give a service that had a key when it began, its file of keys, and that key."""
    library, model = made
    ring = tmp_path_factory.mktemp("closed") / "keys.json"
    key = keys.add(ring, "family", ["read"])
    service = Service(library, model=model, anonymous=None, keys=ring, rate=None)
    with TestClient(create_app(service)) as client:
        yield client, ring, key


@pytest.mark.parametrize("how", VANISH)
def test_a_service_that_was_closed_stays_closed(
    closed: tuple[TestClient, Path, str], how: str
) -> None:
    client, ring, key = closed
    before = ring.read_bytes()
    VANISH[how](ring)
    for path in CLOSED:
        assert client.get(API + path).status_code in {401, 405, 503}, path
        assert client.get(API + path, headers=bearer(key)).status_code in {401, 405, 503}
    assert client.post(f"{API}/review/1", json={"decision": "hide"}).status_code in {401, 503}
    assert client.get("/metrics").status_code in {401, 503}
    shutil.rmtree(ring) if ring.is_dir() else ring.unlink(missing_ok=True)
    assert scopes(client) == []
    ring.write_bytes(before)  # whoever has a key gets in again
    assert scopes(client, **bearer(key)) == ["read"]
    assert scopes(client) == []


def test_keys_that_come_and_go_only_ever_close(service: Service) -> None:
    assert service.keys is not None
    with TestClient(create_app(service)) as client:
        assert scopes(client) == sorted(SCOPES)
        for name in ("one", "two"):
            key = keys.add(service.keys, name, ["read", "review"])
            assert scopes(client) == []
            assert scopes(client, **bearer(key)) == ["read", "review"]
            keys.remove(service.keys, name)
            assert scopes(client) == []
            assert scopes(client, **bearer(key)) == []


def test_a_file_without_keys_is_closed_from_the_start(service: Service) -> None:
    """The last key was removed: a restart doesn't open what was closed."""
    assert service.keys is not None
    keys.add(service.keys, "family", ["read"])
    keys.remove(service.keys, "family")
    with TestClient(create_app(service)) as client:
        assert scopes(client) == []


def test_what_is_said_to_be_anonymous_stays_so(service: Service) -> None:
    assert service.keys is not None
    keys.add(service.keys, "family", ["write"])
    said = replace(service, anonymous=frozenset({"read"}))
    with TestClient(create_app(said)) as client:
        service.keys.unlink()
        assert scopes(client) == ["read"]


def test_a_proxys_visitors_need_a_key(made: tuple[Path, Path]) -> None:
    with run(made, "--proxy", "127.0.0.1") as service, service.client() as client:
        for headers in (
            {},
            {"X-Forwarded-For": "192.0.2.7"},
            {"Host": f"127.0.0.1:{service.port}", "X-Forwarded-For": "127.0.0.1"},
            {"X-Forwarded-Host": "127.0.0.1"},
            {"X-Forwarded-Host": "photos.example"},
        ):
            for path in CLOSED:
                status = client.get(API + path, headers=headers).status_code
                assert status in {401, 405}, (headers, path)
        assert "kadr keys add" in service.written()
        key = keys.add(keys.of(made[0]), "family", ["read"])
        try:
            assert client.get(f"{API}/library", headers=bearer(key)).status_code == 200
        finally:
            keys.of(made[0]).unlink()


def test_a_proxys_visitors_may_read_by_a_name_that_was_said(made: tuple[Path, Path]) -> None:
    named = ("--proxy", "127.0.0.1", "--name", "photos.example")
    with run(made, *named) as service, service.client() as client:
        ask = {"X-Forwarded-Host": "photos.example"}
        answer = client.get(f"{API}/library", headers=ask)
        assert answer.json()["scopes"] == ["read"]
        assert client.get(f"{API}/review", headers=ask).status_code == 401
        assert client.get(f"{API}/library").status_code == 401  # by 127.0.0.1, as of this machine
        other = {"X-Forwarded-Host": "evil.example"}
        assert client.get(f"{API}/library", headers=other).status_code == 421
        assert "may search and look" in service.written()
        keys.add(keys.of(made[0]), "family", ["read"])
        try:
            assert client.get(f"{API}/library", headers=ask).status_code == 401
        finally:
            keys.of(made[0]).unlink()
        assert client.get(f"{API}/library", headers=ask).status_code == 401


def test_a_public_name_counts_only_by_the_proxy(service: Service) -> None:
    public = replace(service, proxies=("10.1.2.3",), public_names=("photos.example",))
    headers = {"Host": "photos.example", "X-Forwarded-Host": "photos.example"}
    with TestClient(create_app(public), client=("192.0.2.9", 1)) as stranger:
        assert scopes(stranger, **headers) == []
    with TestClient(create_app(public), client=PROXY) as proxy:
        assert scopes(proxy, **headers) == ["read"]


def test_keys_that_cant_be_written_are_told_in_one_line(tmp_path: Path) -> None:
    ring = tmp_path / "keys.json"
    (tmp_path / "keys.json.lock").mkdir()
    with pytest.raises(KadrError, match="can't be changed"):
        keys.add(ring, "family", ["read"])


# Sessions.


@pytest.fixture
def entered(service: Service) -> Iterator[tuple[TestClient, str]]:
    """Give a browser behind the proxy 10.1.2.3 that has entered a key, and the key."""
    assert service.keys is not None
    key = keys.add(service.keys, "family", ["read"])
    behind = replace(service, proxies=("10.0.0.0/8",))
    with TestClient(create_app(behind), client=PROXY) as client:
        assert client.post(f"{API}/session", json={"key": key}).status_code == 204
        yield client, key


def test_a_cookie_is_not_the_key(entered: tuple[TestClient, str]) -> None:
    client, key = entered
    (cookie,) = client.cookies.jar
    assert cookie.value is not None
    assert key[5:13] not in cookie.value
    assert key[-43:] not in cookie.value
    assert scopes(client) == ["read"]
    client.post(f"{API}/session", json={"key": key})
    assert [one.value for one in client.cookies.jar] != [cookie.value]
    client.cookies.clear()
    client.cookies.set(cookie.name, key)
    assert scopes(client) == []


def test_a_session_ends_with_its_key(entered: tuple[TestClient, str], service: Service) -> None:
    client, _ = entered
    assert service.keys is not None
    keys.remove(service.keys, "family")
    assert scopes(client) == []
    keys.add(service.keys, "family", ["read"])  # another key of the same name
    assert scopes(client) == []


def test_a_session_that_was_left_is_over(entered: tuple[TestClient, str]) -> None:
    client, _ = entered
    (cookie,) = client.cookies.jar
    assert client.delete(f"{API}/session").status_code == 204
    assert not list(client.cookies.jar)
    client.cookies.set(cookie.name, str(cookie.value))
    assert scopes(client) == []


def test_another_service_of_the_library_knows_the_session(
    entered: tuple[TestClient, str], service: Service, made: tuple[Path, Path], home: Path
) -> None:
    client, _ = entered
    assert service.keys is not None
    (cookie,) = client.cookies.jar
    (home / "other").mkdir(exist_ok=True)
    elsewhere, model = paint_library(home / "other", 4)
    closed = replace(service, proxies=("10.0.0.0/8",))
    for library, allowed in ((made[0], ["read"]), (elsewhere, [])):
        app = create_app(replace(closed, library=library, model=model))
        with TestClient(app, client=PROXY) as other:
            other.cookies.set(cookie.name, str(cookie.value))
            assert scopes(other) == allowed
            keys.add(service.keys, f"{library}", ["read"])  # the file changed: still the same key
            assert scopes(other) == allowed
    keys.remove(service.keys, "family")
    with TestClient(create_app(closed), client=PROXY) as other:
        other.cookies.set(cookie.name, str(cookie.value))
        assert scopes(other) == []


def test_a_session_lasts_thirty_days(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    ring = tmp_path / "keys.json"
    keys.add(ring, "family", ["read"])
    (key,) = keys.read(ring)
    sessions = Sessions(Keyring(ring), b"sixteen bytes or more", lambda: now[0])
    token = sessions.begin(key)
    now[0] += DAYS * 86400 - 1
    assert sessions.key(token) == key
    now[0] += 1
    assert sessions.key(token) is None


@given(st.integers(0), st.integers(0, 7))
def test_a_changed_cookie_opens_nothing(place: int, bit: int) -> None:
    seals = Seals(b"sixteen bytes or more", "sessions")
    sealed = bytearray(urlsafe_b64decode(seals.seal(bytes(28))))
    sealed[place % len(sealed)] ^= 1 << bit
    assert seals.open(urlsafe_b64encode(sealed).decode()) is None


@pytest.mark.parametrize(
    ("proto", "is_secure"),
    [
        (["https"], True), (["HTTPS"], True), (["http, https"], True), (["http", "https"], True),
        (["http"], False), (["https, http"], False), (["javascript"], False), ([], False),
    ],
)  # fmt: skip
def test_the_cookie_is_secure_behind_https(
    entered: tuple[TestClient, str], proto: list[str], is_secure: bool
) -> None:
    client, key = entered
    headers = [("X-Forwarded-Proto", one) for one in proto]
    answer = client.post(f"{API}/session", json={"key": key}, headers=headers)
    assert ("secure" in answer.headers["set-cookie"].lower()) == is_secure


def test_a_strangers_word_makes_no_cookie_secure(service: Service) -> None:
    assert service.keys is not None
    key = keys.add(service.keys, "family", ["read"])
    headers = {
        "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/photos",
        "X-Forwarded-Host": "evil.example",
    }  # fmt: skip
    with TestClient(create_app(replace(service, proxies=("10.9.9.9",))), client=PROXY) as client:
        answer = client.post(f"{API}/session", json={"key": key}, headers=headers)
        cookie = answer.headers["set-cookie"].lower()
        assert "secure" not in cookie
        assert "path=/;" in cookie


# What proxies say.

ADDRESSES = {
    "192.0.2.7": "192.0.2.7", "192.0.2.7:8080": "192.0.2.7", '"192.0.2.7"': "192.0.2.7",
    '"192.0.2.7:1"': "192.0.2.7", "2001:db8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1",
    "[2001:DB8::1]:8080": "2001:db8::1", '"[2001:db8::1]:8080"': "2001:db8::1",
    "::ffff:192.0.2.7": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7",
    "": None, "unknown": None, "_hidden": None, "192.0.2": None, "192.0.2.256": None,
    "192.0.2.07": None, "[192.0.2.7]": None, "2001:db8::1]:1": None, "[2001:db8::1": None,
    "192.0.2.7:": None, "192.0.2.7:port": None, "192.0.2.7:123456": None, "fe80::1%eth0": None,
    '"': None, '""': None, '"192.0.2.7': None, "192.0.2.7 8": None, "localhost": None,
    "3221225991": None, "0xc0.0.2.7": None, "١٩٢.0.2.7": None, "for=192.0.2.7": None,
}  # fmt: skip


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_parsed_strictly(text: str) -> None:
    found = forwarding.address(text)
    assert (None if found is None else str(found)) == ADDRESSES[text]


@given(st.text(max_size=60), st.ip_addresses(), st.integers(0, 65535))
def test_any_text_is_an_address_or_not(text: str, address: Any, port: int) -> None:
    forwarding.address(text)
    forwarding.prefix(text)
    shown = f"[{address}]" if address.version == 6 else str(address)
    assert forwarding.address(f"{shown}:{port}") == forwarding.address(str(address))


def origin(peer: str, *headers: tuple[str, str], proxies: tuple[str, ...] = ()) -> Any:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    service = Service(Path("x"), proxies=proxies)
    return forwarding.origin(peer, "http", Headers(raw=raw), service)


FORWARDED = {
    "192.0.2.7": "192.0.2.7", "192.0.2.7:1": "192.0.2.7", "192.0.2.7:2": "192.0.2.7",
    "6.6.6.6, 192.0.2.7": "192.0.2.7", "rubbish, 192.0.2.7": "192.0.2.7",
    "192.0.2.7, 10.1.1.1": "192.0.2.7", "6.6.6.6,192.0.2.7,10.1.1.1 , 10.2.2.2": "192.0.2.7",
    "192.0.2.7, rubbish": "10.1.2.3", "192.0.2.7,": "10.1.2.3", "": "10.1.2.3",
    "rubbish, 10.1.1.1": "10.1.1.1", "2001:db8::1": "2001:db8::/64",
    '"[2001:db8::2]:7"': "2001:db8::/64", "x" * 9000: "10.1.2.3",
    "6.6.6.6, " * 5000 + "192.0.2.7": "192.0.2.7",
}  # fmt: skip


@pytest.mark.parametrize("value", FORWARDED)
def test_the_visitor_is_the_last_that_is_no_proxy(value: str) -> None:
    found = origin("10.1.2.3", ("X-Forwarded-For", value), proxies=("10.0.0.0/8",))
    assert found.visitor == FORWARDED[value]


def test_a_links_name_is_no_part_of_an_address() -> None:
    assert origin("fe80::1%eth0").visitor == origin("fe80::2%eth0").visitor


def test_lines_of_a_header_are_one_list() -> None:
    lines = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.7")]
    assert origin("10.1.2.3", *lines, proxies=("10.1.2.3",)).visitor == "192.0.2.7"


LIES = [
    ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/x"),
    ("X-Forwarded-Host", "evil.example"), ("Forwarded", "for=6.6.6.6;host=evil.example"),
]  # fmt: skip


@given(st.ip_addresses(), st.lists(st.sampled_from(LIES)))
def test_who_is_no_proxy_says_nothing(peer: Any, lies: list[tuple[str, str]]) -> None:
    honest, proxies = ("Host", "photos.example"), ("10.1.2.3", "2001:db8::1")
    if str(peer) not in proxies:
        told = origin(str(peer), honest, *lies, proxies=proxies)
        assert told == origin(str(peer), honest, proxies=proxies)


PREFIXES = {
    "/photos": "/photos", "/photos/": "/photos", "/a/b-c_d.e~1": "/a/b-c_d.e~1", "/": "", "": "",
    "photos": "", "//evil.example": "", "/a//b": "", "/../x": "", "/a/..": "", "/.": "",
    "/a?b": "", "/a#b": "", '/"onload=x': "", "/a b": "", "/%2e%2e": "", "/" + "a" * 300: "",
    "https://evil.example/": "", "/a\\b": "", "/...": "/...",
}  # fmt: skip


@pytest.mark.parametrize("text", PREFIXES)
def test_a_prefix_is_a_plain_path(text: str) -> None:
    assert forwarding.prefix(text) == PREFIXES[text]


def statuses(client: TestClient, *headers: dict[str, str]) -> list[int]:
    return [client.get(f"{API}/photos", headers=one).status_code for one in headers]


def test_the_rate_counts_visitors_not_their_ports_or_addresses(service: Service) -> None:
    limited = replace(service, rate="3/day", anonymous=frozenset(SCOPES), proxies=("10.0.0.0/8",))
    with TestClient(create_app(limited), client=PROXY) as client:
        for said in (
            ["192.0.2.7", "192.0.2.7:1", '"192.0.2.7:2"', "6.6.6.6, 192.0.2.7"],
            ["2001:db8::1", "[2001:db8::2]", "[2001:db8:0:0:ffff::1]:9", '"[2001:db8::3]:1"'],
            ["rubbish", "192.0.2.300", "unknown:1", ""],
        ):
            headers = [{"X-Forwarded-For": one} for one in said]
            assert statuses(client, *headers) == [200, 200, 200, 429], said
        assert statuses(client, {"X-Forwarded-For": "2001:db8:0:1::1"}) == [200]
    with TestClient(create_app(limited), client=("192.0.2.1", 1)) as liar:
        headers = [{"X-Forwarded-For": f"198.51.100.{one}"} for one in range(4)]
        assert statuses(liar, *headers) == [200, 200, 200, 429]
    app = create_app(limited)
    answers = list[int]()
    for number in range(4):
        with TestClient(app, client=(f"2001:db8::{number}", 1)) as client:
            answers += statuses(client, {})
    assert answers == [200, 200, 200, 429]


# Names, paths, methods.


def test_two_hosts_are_refused(service: Service) -> None:
    for hosts in (None, ("testserver", "photos.example")):
        with TestClient(create_app(replace(service, hosts=hosts))) as client:
            for both in (("testserver", "evil.example"), ("evil.example", "testserver"), ("testserver",) * 2):  # fmt: skip
                answer = client.get("/health", headers=[("Host", one) for one in both])
                assert answer.status_code == 400, both
                assert answer.headers["content-type"] == "application/problem+json"


@pytest.fixture
def behind(service: Service) -> Iterator[TestClient]:
    """Give a proxy that asks the service by the service's own address."""
    settings = replace(
        service,
        anonymous=frozenset(SCOPES),
        proxies=("10.0.0.0/8",),
        hosts=("photos.example", "127.0.0.1"),
    )
    with TestClient(create_app(settings), "http://127.0.0.1:8427", client=PROXY) as client:
        client.headers["X-Forwarded-Host"] = "photos.example"
        yield client


@pytest.mark.parametrize(
    ("host", "page", "status"),
    [
        ("photos.example", "https://photos.example", 200),
        ("photos.example:443", "https://photos.example", 200),
        ("photos.example", "https://photos.example:443", 200),
        ("photos.example:8443", "https://photos.example:8443", 200),
        ("evil.example, photos.example", "https://photos.example", 200),
        ("photos.example", "https://photos.example:8443", 403),
        ("photos.example", "https://evil.example", 403),
        ("photos.example", "http://127.0.0.1:8427", 403),
        ("photos.example", "null", 403),
        ("photos.example", "https://photos.example@evil.example", 403),
        ("photos.example", "https://photos.example.evil.example", 403),
        ("evil.example", "https://evil.example", 421),
        ("photos.example, evil.example", "https://evil.example", 421),
        ("photos.example@evil.example", "https://evil.example", 421),
    ],
)
def test_the_page_is_known_by_the_host_that_the_proxy_was_asked_for(
    behind: TestClient, host: str, page: str, status: int
) -> None:
    headers = {"X-Forwarded-Host": host, "X-Forwarded-Proto": "https", "Origin": page}
    body = {"query": json.dumps({"parts": [{"text": "a dog"}]})}
    assert behind.post(f"{API}/search", data=body, headers=headers).status_code == status


def test_without_the_proxys_word_its_own_host_counts(behind: TestClient) -> None:
    del behind.headers["X-Forwarded-Host"]
    own = {"Origin": "http://127.0.0.1:8427"}
    assert behind.delete(f"{API}/session", headers=own).status_code == 204
    other = {"Origin": "https://photos.example"}
    assert behind.delete(f"{API}/session", headers=other).status_code == 403


def test_a_silent_proxy_brings_pages_of_the_names_that_were_said(service: Service) -> None:
    named = replace(service, proxies=("10.1.2.3",), public_names=("photos.example",))
    with TestClient(create_app(named), "http://127.0.0.1:8427", client=PROXY) as client:
        for page, status in (
            ("https://photos.example", 204), ("https://photos.example.evil.example", 403),
            ("https://photos.example:8443", 403), ("https://evil.example", 403),
        ):  # fmt: skip
            answer = client.delete(f"{API}/session", headers={"Origin": page})
            assert answer.status_code == status, page
    with TestClient(create_app(named), client=("192.0.2.9", 1)) as stranger:
        answer = stranger.delete(f"{API}/session", headers={"Origin": "https://photos.example"})
        assert answer.status_code == 403


def page_of(client: TestClient, path: str, **headers: str) -> Any:
    return client.get(path, headers=headers, follow_redirects=False)


@pytest.mark.parametrize("cut", [True, False])
def test_below_a_path_all_is_found(service: Service, cut: bool) -> None:
    """Whether the proxy cuts the path off or not."""
    below = "" if cut else "/photos"
    settings = replace(service, root_path="/photos", anonymous=frozenset(SCOPES))
    with TestClient(create_app(settings)) as client:
        page = page_of(client, f"{below}/")
        assert page.status_code == 200
        assert 'src="/' not in page.text
        assert 'href="/' not in page.text
        for path in ("/web/app.js", "/web/style.css", "/health", f"{API}/photos"):
            assert client.get(below + path).status_code == 200, path
    with TestClient(create_app(settings)) as client:
        moved = page_of(client, "/photos?q=dog")
        assert (moved.status_code, moved.headers["location"]) == (308, "/photos/?q=dog")
        assert page_of(client, "/photosphere").status_code == 404


def test_the_proxys_prefix_is_that_of_cookie_and_link(entered: tuple[TestClient, str]) -> None:
    client, key = entered
    headers = {
        "X-Forwarded-Prefix": "/photos", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "photos.example",
    }  # fmt: skip
    cookie = client.post(f"{API}/session", json={"key": key}, headers=headers)
    assert "path=/photos;" in cookie.headers["set-cookie"].lower()
    asked = f"{API}/photos/{shown(client, **bearer(key))}/explain?q=a+little+girl"
    refused = client.get(asked, headers=headers | bearer(key))
    assert refused.status_code == 451
    assert refused.headers["link"].startswith("<https://photos.example/photos/>")
    assert page_of(client, "/photos", **headers).headers["location"] == "/photos/"


def test_a_wrong_root_path_is_told(made: tuple[Path, Path]) -> None:
    from typer.testing import CliRunner

    from kadr.cli.main import app

    result = CliRunner().invoke(app, ["serve", "--library", str(made[0]), "--root-path", "//evil"])
    assert result.exit_code != 0


def test_head_is_get_without_the_body(service: Service) -> None:
    with TestClient(create_app(service)) as client:
        paths = client.get(f"{API}/openapi.json").json()["paths"]
        photo = str(shown(client))
        asked = [path.replace("{photo}", photo) for path, item in paths.items() if "get" in item]
        for path in [*asked, "/", "/web/app.js", "/web/none.js", f"{API}/photos/987", "/nothing"]:
            more = {"q": "dog"} if path.endswith(("/search", "/explain")) else {}
            whole, head = client.get(path, params=more), client.head(path, params=more)
            assert head.status_code == whole.status_code, path
            assert head.content == b""
            for name in ("content-type", "etag", "accept-ranges"):
                assert head.headers.get(name) == whole.headers.get(name), (path, name)
        part = client.head(f"{API}/photos/{photo}", headers={"Range": "bytes=0-9"})
        assert (part.status_code, part.headers["content-length"]) == (206, "10")
        assert "HEAD" in client.put(f"{API}/search").headers["allow"]
        assert client.head(f"{API}/session").status_code == 405


# Other sites.


def test_other_sites_write_no_line_into_the_log(service: Service) -> None:
    log = Path(f"{service.library}.audit.jsonl")

    def lines() -> bytes:
        return log.read_bytes() if log.exists() else b""

    refused = f"{API}/search?q=a+little+girl"
    with TestClient(create_app(service)) as client:
        before = lines()
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        ):
            for method in ("GET", "HEAD"):
                assert client.request(method, refused, headers=headers).status_code == 403
        assert lines() == before
        own = {"Sec-Fetch-Site": "same-origin"}
        assert client.get(refused, headers=own).json()["refused"] is True


# Connections.


@dataclass(eq=False)
class Fake:
    """A connection that is idle or not."""

    is_idle: bool = True
    is_closed: bool = field(default=False)

    def close(self) -> None:
        self.is_closed = True


def test_who_holds_connections_keeps_nobody_out() -> None:
    counted = Connections(10)
    silent = [Fake() for _ in range(40)]
    assert all(counted.add(one, "a") for one in silent)
    assert [one.is_closed for one in silent] == [True] * 35 + [False] * 5
    others = [Fake() for _ in range(8)]
    assert all(counted.add(one, f"b{number}") for number, one in enumerate(others))
    assert not any(one.is_closed for one in others)
    assert sum(not one.is_closed for one in silent + others) == 10


def test_what_is_being_answered_is_never_closed() -> None:
    counted = Connections(4)
    busy = [Fake(is_idle=False) for _ in range(2)]
    assert all(counted.add(one, "a") for one in busy)
    assert not counted.add(Fake(), "a")  # half is enough for one
    assert all(counted.add(Fake(is_idle=False), address) for address in "bc")
    assert not counted.add(Fake(), "d")
    assert not any(one.is_closed for one in busy)
    counted.remove(busy[0], "a")
    assert counted.add(Fake(), "d")


def test_a_proxy_may_hold_all() -> None:
    counted = Connections(10)
    assert all(counted.add(Fake(is_idle=False), "p", is_proxy=True) for _ in range(10))
    assert not counted.add(Fake(), "p", is_proxy=True)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60))
def test_there_are_never_more_than_allowed(steps: list[tuple[str, bool, bool]]) -> None:
    counted, held = Connections(6), list[tuple[Fake, str]]()
    for address, is_idle, goes in steps:
        one = Fake(is_idle)
        if counted.add(one, address):
            held.append((one, address))
        if goes and held:
            counted.remove(*held.pop(0))
        held = [(one, where) for one, where in held if not one.is_closed]
        assert len(held) <= 6
        assert all(sum(where == letter for _, where in held) <= 3 for letter in "abc")


@pytest.mark.parametrize("files", [64, 300, 1024, 4096, 2**20])
def test_connections_leave_files_for_all_else(files: int) -> None:
    assert connections.room(files) <= max(8, files // 2)
    assert connections.room(files) <= connections.MOST


def test_the_limit_of_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    asked = list[tuple[int, int]]()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert connections.allowed() == connections.room(4096)
    assert asked == [(4096, 4096)]


def open_files(service: Running, most: int) -> None:
    psutil.Process(service.process.pid).rlimit(psutil.RLIMIT_NOFILE, (most, 4096))


def test_without_files_the_log_stays_short(made: tuple[Path, Path]) -> None:
    with run(made) as service:
        open_files(service, psutil.Process(service.process.pid).num_fds() + 5)
        crowd = [socket.create_connection(("127.0.0.1", service.port), 10) for _ in range(60)]
        try:
            until(lambda: "no connection can be accepted" in service.written())
        finally:
            for one in crowd:
                one.close()
        open_files(service, 4096)
        with service.client() as client:
            assert client.get("/health").status_code == 200
        written = service.written()
        assert written.count("no connection can be accepted") == 1
        assert os.strerror(errno.EMFILE) in written
        assert "Traceback" not in written


def until(happened: Callable[[], bool]) -> None:
    """Wait for it, as long as the test may run."""
    import time

    while not happened():
        time.sleep(0.05)


# A library that goes and comes back.


def test_a_library_that_vanished_is_said_to_be_gone(own: tuple[Path, Path]) -> None:
    library, _ = own
    with run(own) as service, service.client() as client:
        assert client.get("/ready").status_code == 200
        photo = shown(client)
        asked = [API + path for path in (*READ, f"/photos/{photo}", f"/similar/{photo}")]
        away = library.parent / "away"
        away.mkdir()
        files = [library.with_name(library.name + end) for end in ("", "-wal", "-shm")]
        for file in files:
            if file.exists():
                file.rename(away / file.name)
        for path in ("/ready", *asked):
            answer = client.get(path)
            assert answer.status_code == 503, path
            told = answer.json()
            assert told["type"] == "urn:kadr:problem:no-library"
            assert "gone" in told["detail"]
            assert str(library.parent) not in answer.text
        assert client.get("/health").status_code == 200
        assert not library.exists()
        for file in files:
            if (away / file.name).exists():
                (away / file.name).rename(file)
        for path in ("/ready", *asked):
            assert client.get(path).status_code == 200, path
        library.unlink()
        library.write_bytes(b"not a library" * 1000)
        assert client.get("/ready").status_code == 503
        assert "Traceback" not in service.written()


# Failures.


def test_deep_bodies_are_told_as_wrong(service: Service) -> None:
    with TestClient(create_app(service)) as client:
        for depth in (100, 500, 990, 5000, 40_000):
            for opened, closed in (("[", "]"), ('{"key":', "}")):
                body = opened * depth + "1" + closed * depth
                for path in ("/session", "/review/1"):
                    answer = client.post(
                        API + path,
                        content=body[:99_000],
                        headers={"Content-Type": "application/json"},
                    )
                    assert answer.status_code in {400, 422}, (path, depth)
                    assert answer.headers["content-type"] == "application/problem+json"
                answer = client.post(f"{API}/search", data={"query": body[:20_000]})
                assert answer.status_code == 422


def test_a_model_that_fails_is_told_without_a_traceback(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    def fail(*_: object) -> None:
        raise Fail("[ONNXRuntimeError] : 1 : FAIL : /secret/path")

    with TestClient(create_app(service)) as client:
        matcher = client.app.state.resources._matchers._matcher  # type: ignore[attr-defined]
        monkeypatch.setattr(type(matcher.text_encoder), "encode", fail)
        answer = client.get(f"{API}/search", params={"q": "a green boat"})
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text
    assert "FAIL" in caplog.text or any("FAIL" in str(one.__dict__) for one in caplog.records)
    assert not any(one.exc_info for one in caplog.records)


def test_a_start_that_fails_is_told_in_one_line(own: tuple[Path, Path]) -> None:
    manifest = own[1] / "manifest.json"
    told = json.loads(manifest.read_text())
    told["image_encoder"]["name"] = "another"
    manifest.write_text(json.dumps(told))
    with pytest.raises(AssertionError, match="couldn't start: ") as failed, run(own):
        pass
    assert "Traceback" not in str(failed.value)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_the_service_writes_is_its_users_alone(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    library, photo = tmp_path / "new.kadr", next(made[0].parent.rglob("*.png"))
    with (
        serving(
            library, "--model", made[1], "--uploads", tmp_path / "up", environment=FAKES
        ) as run,
        run.client() as client,
    ):
        sent = {"photos": photo.read_bytes()}
        assert client.post(f"{API}/photos", files=sent).status_code == 201
        client.get(f"{API}/search", params={"q": "a little girl"})
        keys.add(keys.of(library), "family", ["read"])
        written = [one for one in tmp_path.rglob("*") if one.is_file() and one != run.log]
        assert {library.name, f"{library.name}.keys.json"} <= {one.name for one in written}
        assert {one.name: oct(mode(one)) for one in written if mode(one) & 0o077} == {}
