"""The map on the page: clusters, by mouse and keys, in both languages, without another host."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.stores import NewPhoto
from kadr.types import Place
from libraries import FACTS, colour_matcher, digest, fill, vectors_of
from pages import PHONE, Visitor, launched, query, until, violations
from services import FAKES, Running, serving

BERLIN = Place(("Berlin", "Germany"), ("Берлин", "Германия"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def travels(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve six photos of Berlin and Potsdam, one of Fiji, and one of nowhere; their files are empty."""
    home = tmp_path_factory.mktemp("travels")
    model = matcher.save(colour_matcher(), home / "model")
    with Library.open(home / "library.kadr", model=model) as opened:
        paths = fill(opened.store, vectors_of(1, 8)[1], colour_matcher(), home / "photos")
        spots = [(52.52 - 0.004 * n, 13.4 - 0.01 * n) for n in range(6)] + [(-17.0, 179.9)]
        facts = [
            replace(FACTS, latitude=latitude, longitude=longitude, place=BERLIN if n < 6 else None)
            for n, (latitude, longitude) in enumerate(spots)
        ]
        opened.store.update_facts(
            [NewPhoto(digest(p), None, one, 0) for p, one in zip(paths, facts, strict=False)]
        )
    options = ("--model", model, "--policy", "none")
    with serving(home / "library.kadr", *options, environment=FAKES) as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, travels: Running) -> Iterator[Visitor]:
    made = Visitor(browser, travels.address, tolerated="Failed to load resource")
    yield made
    made.close()
    assert made.problems == []


def opened(visitor: Visitor, **options: Any) -> Page:
    page = visitor.page(**options)
    page.goto(f"{visitor.address}/?view=map")
    return page


def test_a_cluster_shows_its_photos(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("link", name="Map", exact=True).click()
    expect(page.locator("#map .count")).to_have_text("7 photos tell where they were taken")
    page.get_by_role("link", name="6 photos, Berlin, Germany").click()
    expect(page.locator("#summary")).to_contain_text("6")
    assert set(query(page.url)) == {"box"}
    page.go_back()
    expect(page.get_by_role("link", name="6 photos, Berlin, Germany")).to_be_visible()


def test_keys_and_buttons_move_it(visitor: Visitor) -> None:
    page = opened(visitor)
    expect(page.locator(".spot")).to_have_count(2)
    page.locator(".map").focus()

    def asked() -> list[dict[str, str]]:
        page.wait_for_timeout(20)  # what is asked comes to be known while the browser is spoken to
        return [query(one.url) for one in visitor.asked("/map?")]

    def latest() -> dict[str, str]:
        return asked()[-1]

    until(lambda: len(asked()) > 1)  # the world, then what is seen of it
    before = latest()
    page.keyboard.press("ArrowDown")
    until(lambda: latest()["south"] != before["south"] or latest()["west"] != before["west"])
    zoom = int(latest()["zoom"])
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    until(lambda: int(latest()["zoom"]) == zoom + 2)
    page.locator(".map").focus()
    page.keyboard.press("-")
    until(lambda: int(latest()["zoom"]) == zoom + 1)


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_it_is_for_everybody(visitor: Visitor, options: dict[str, Any]) -> None:
    page = opened(visitor, locale="ru-RU", **options)
    expect(page.locator("#map .count")).to_have_text("7 фотографий с местом съёмки")
    expect(page.get_by_role("link", name="6 фотографий, Берлин, Германия")).to_be_attached()
    assert violations(page) == []
    wide: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wide
