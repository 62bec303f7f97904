"""Services on one PostgreSQL: what one decides holds for all, and its server may come and go."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from kadr.law import review
from kadr.library.library import Library
from kadr.types import Ruling
from postgres_servers import server
from services import API, FAKES, Running, paint_library, serving


@pytest.fixture(scope="module")
def spec() -> str:
    return server().empty().replace("postgres@", "postgres:s3cret@")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, spec: str) -> Iterator[list[Running]]:
    folder = tmp_path_factory.mktemp("on_postgres")
    library, _ = paint_library(folder, spec=spec)
    environment = {**FAKES, "KADR_SECRETS": os.environ["KADR_SECRETS"]}
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                serving(library, "--policy", "under-16", environment=environment, spec=spec)
            )
            for _ in range(2)
        ]
        yield running
    for one in running:
        assert "Traceback" not in one.written()
        assert "s3cret" not in one.written()


def found(service: Running) -> list[str]:
    with service.client() as client:
        answer = client.get(f"{API}/search?q=a red dog&n=50")
    assert answer.status_code == 200, answer.text
    return [hit["photo"]["digest"] for hit in answer.json()["hits"]]


def test_both_answer_the_same_and_hide_at_once(services: list[Running], spec: str) -> None:
    first, second = (found(service) for service in services)
    assert first == second
    assert len(first) > 5
    ruling = Ruling("hide", "Анна", "2026-01-02T00:00:00+00:00", "I know them")
    with Library.open(spec) as library:
        review.decide(library.store, first[0], ruling)
        for service in services:
            assert found(service) == first[1:], "by the next answer"
        assert library.store.log_problems() == []


def test_a_page_of_one_is_followed_by_the_other_s(services: list[Running]) -> None:
    """As a load balancer sends a visitor to whichever is free."""
    with services[0].client() as first, services[1].client() as second:
        whole = first.get(f"{API}/photos?n=50").json()["photos"]
        page, pages = first.get(f"{API}/photos?n=4").json(), []
        for client in (second, first, second):
            pages += page["photos"]
            if page["next"] is None:
                break
            page = client.get(f"{API}/photos", params={"n": 4, "cursor": page["next"]}).json()
        assert len(pages) > 4
        assert pages == whole[: len(pages)]


def test_without_the_audit_key_only_what_must_be_on_record_fails(
    services: list[Running], spec: str, tmp_path: Path
) -> None:
    environment = {**FAKES, "KADR_SECRETS": str(tmp_path / "none")}
    options = ("--policy", "under-16")
    with (
        serving(tmp_path / "keyless", *options, environment=environment, spec=spec) as keyless,
        keyless.client() as client,
    ):
        assert "Until then searches that the law refuses and decisions fail" in keyless.written()
        assert found(keyless) == found(services[0])
        refused = client.get(f"{API}/search?q=a little girl")
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:kadr:problem:no-record"
        assert "gone" not in refused.json()["detail"]
        assert "none" not in refused.text, "no path"
    assert "Until then" not in services[0].written()


def test_a_server_that_is_gone_is_503_until_it_is_back(services: list[Running]) -> None:
    before = found(services[0])
    server().stop()
    try:
        for service in services:
            with service.client() as client:
                for path in ("/search?q=a blue car", "/photos", "/library"):
                    answer = client.get(API + path)
                    if answer.status_code != 503:  # what is in memory may be answered
                        assert path == "/library"
                        continue
                    assert answer.headers["retry-after"] == "3"
                    told = answer.json()["detail"]
                    assert told.startswith("The library's server can't be reached at the moment")
                assert client.get("/health").status_code == 200
    finally:
        server().start()
    for service in services:
        assert found(service) == before


def test_a_server_that_hangs_holds_nobody_else(services: list[Running]) -> None:
    with services[0].client() as client, server().frozen():
        started = time.monotonic()
        with pytest.raises(httpx.TimeoutException):
            client.get(f"{API}/search?q=a white car", timeout=0.5)
        assert client.get("/health").status_code == 200
        assert time.monotonic() - started < 30, "the event loop isn't held"
    assert found(services[0])
