"""The page as a place to live in: photos by time, one of them closer, many at once, albums."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.service import pages
from kadr.stores import NewPhoto
from libraries import FACTS, colour_matcher, digest, fill, paint
from pages import PHONE, Visitor, launched, query, shown, until, violations
from services import FAKES, Running, paint_library, serving

MANY = 1500
PAGE = Path(pages.__file__).with_name("page")
YEARS = (2024, 2019, 2012)
TABLET: dict[str, Any] = PHONE | {"viewport": {"width": 820, "height": 1180}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def years(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve photos of three years, 1,500 of them; every tenth has no date. Their files are empty."""
    home = tmp_path_factory.mktemp("years")
    model = matcher.save(colour_matcher(), home / "model")
    vectors = np.random.default_rng(3).random((MANY, 48), dtype=np.float32)
    with Library.open(home / "library.kadr", model=model) as opened:
        paths = fill(opened.store, vectors, colour_matcher(), home / "photos")
        opened.store.update_facts(
            [NewPhoto(digest(path), None, dated(n), 0) for n, path in enumerate(paths)]
        )
    options = ("--model", model, "--policy", "none", "--uploads", home / "uploads")
    with serving(home / "library.kadr", *options, environment=FAKES) as running:
        yield running


def dated(number: int) -> Any:
    moment = f"{YEARS[number % 3]}-{number // 3 % 12 + 1:02}-15T12:00:00"
    return replace(FACTS, taken=moment if number % 10 else None)


@pytest.fixture(scope="module")
def painted(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve ten painted photos in two folders; one more is hidden, and one is in doubt."""
    home = tmp_path_factory.mktemp("painted")
    library, model = paint_library(home)
    with serving(library, "--model", model, environment=FAKES) as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, painted: Running) -> Iterator[Visitor]:
    made = Visitor(browser, painted.address)
    yield made
    made.close()
    assert made.problems == []


@pytest.fixture
def traveller(browser: Browser, years: Running) -> Iterator[Visitor]:
    """Give somebody who goes through the years; no photo of theirs can be shown."""
    made = Visitor(browser, years.address, tolerated="Failed to load resource")
    yield made
    made.close()
    assert made.problems == []


def stretches(visitor: Visitor) -> list[int]:
    """Where the stretches of photos begin that were fetched."""
    return [int(query(one.url)["start"]) for one in visitor.asked("/timeline/photos")]


def in_view(page: Page) -> list[str]:
    """Headings and numbers of what is on the screen."""
    found: list[str] = page.evaluate(
        """() => {
            const header = document.querySelector("header").getBoundingClientRect().bottom;
            return [...document.querySelectorAll("#grid > li")]
                .filter(one => one.getBoundingClientRect().bottom > header + 1 && one.getBoundingClientRect().top < innerHeight)
                .map(one => one.getAttribute("aria-posinset") ?? one.textContent);
        }"""
    )
    return found


# Photos by time.


def test_months_have_headings_and_the_undated_come_last(traveller: Visitor) -> None:
    page = traveller.open()
    expect(page.locator("#grid .line").first).to_have_text("December 2024")
    expect(page.locator("#summary")).to_have_text("1,500 photos, newest first")
    page.keyboard.press("End")
    until(lambda: str(MANY) in in_view(page))
    assert len(stretches(traveller)) <= 4  # and not all that lies between
    label = page.locator(f"#grid [aria-posinset='{MANY}'] a.photo").get_attribute("aria-label")
    assert label == "Photo without a date, folder photos"
    page.keyboard.press("Home")
    until(lambda: in_view(page)[:2] == ["December 2024", "1"])


def test_end_and_home_lead_the_keyboard_among_the_photos(traveller: Visitor) -> None:
    page = traveller.open()
    page.locator("#grid a.photo").first.focus()
    at = "document.activeElement.parentElement.getAttribute('aria-posinset')"
    page.keyboard.press("End")
    until(lambda: bool(page.evaluate(at) == str(MANY)))
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(at) == str(MANY - 1)
    page.keyboard.press("Home")
    assert page.evaluate(at) == "1"
    assert len(stretches(traveller)) <= 4


def test_the_rail_leads_to_any_year_by_key_and_by_pointer(traveller: Visitor) -> None:
    page = traveller.open()
    rail = page.get_by_role("slider", name="Photos by year")
    assert rail.locator(".years span").all_text_contents() == ["2024", "2019", "2012"]
    rail.focus()
    expect(rail).to_have_attribute("aria-valuetext", "December 2024")
    page.keyboard.press("ArrowDown")
    expect(rail).to_have_attribute("aria-valuetext", "November 2024")
    page.keyboard.press("PageDown")
    expect(rail).to_have_attribute("aria-valuetext", "December 2019")
    until(lambda: in_view(page)[0] == "December 2019")
    page.keyboard.press("PageUp")
    expect(rail).to_have_attribute("aria-valuetext", "December 2024")
    page.keyboard.press("End")
    expect(rail).to_have_attribute("aria-valuetext", "Without a date")
    box = rail.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] * 0.5)
    until(lambda: "2019" in str(rail.get_attribute("aria-valuetext")))
    until(lambda: any(one.isdigit() for one in in_view(page)))
    assert violations(page) == []
    page.locator("#to-folders").evaluate("one => one.click()")  # one folder alone offers no link
    expect(page.locator("#folders .album")).to_have_count(1)
    expect(rail).to_be_hidden()


def test_what_comes_between_moves_nothing_on_the_screen(traveller: Visitor) -> None:
    page = traveller.open()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight * 0.6)")
    until(lambda: sum(one.isdigit() for one in in_view(page)) > 5)
    page.wait_for_timeout(300)
    before = in_view(page)
    middle = next(one for one in before if one.isdigit())
    top = (
        f"document.querySelector('#grid [aria-posinset=\"{middle}\"]').getBoundingClientRect().top"
    )
    was = page.evaluate(top)
    asked = len(stretches(traveller))
    page.mouse.move(400, 400)
    for _ in range(6):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(120)
    page.wait_for_timeout(300)
    assert len(stretches(traveller)) >= asked
    page.mouse.wheel(0, 1800)
    page.wait_for_timeout(300)
    assert abs(page.evaluate(top) - was) < 260  # a row at most: what was guessed was near


def test_filters_count_exactly(traveller: Visitor) -> None:
    page = traveller.open("/?after=2019&before=2020")
    expect(page.locator("#summary")).to_have_text("450 photos pass these filters")
    expect(page.locator("#grid .line").first).to_have_text("December 2019")


def test_the_viewer_goes_on_where_photos_were_not_fetched(traveller: Visitor) -> None:
    page = traveller.open()
    last = page.locator("#grid [aria-posinset]").last
    photo = query(str(last.locator("a.photo").get_attribute("href")))["photo"]
    assert photo
    page.goto(f"{traveller.address}/?photo={photo}")
    seen = {query(page.url)["photo"]}
    for _ in range(150):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(15)
        seen.add(query(page.url)["photo"])
    assert len(seen) > 100


# One photo.


def scale(page: Page) -> float:
    found = re.search(
        r"scale\(([\d.]+)\)", str(page.locator("#viewer .frame").get_attribute("style"))
    )
    return float(found[1]) if found else 1.0


def test_wheel_keys_and_double_click_look_closer(visitor: Visitor) -> None:
    page = visitor.open()
    page.locator("#grid a.photo").first.click()
    stage = page.locator("#viewer .stage")
    page.keyboard.press("+")
    assert scale(page) == 1.5
    page.keyboard.press("-")
    assert scale(page) == 1
    # The painted photos are too small to be moved.
    stage.locator(".frame").evaluate("one => one.style.setProperty('--natural', '2000px')")
    stage.locator(".frame").dblclick()
    assert scale(page) == 2.5
    before = stage.locator(".frame").bounding_box()
    page.mouse.move(500, 400)
    page.mouse.down()
    page.mouse.move(540, 420)
    page.mouse.up()
    after = stage.locator(".frame").bounding_box()
    assert before
    assert after
    assert after["x"] > before["x"]
    page.keyboard.press("0")
    assert scale(page) == 1
    page.mouse.wheel(0, -400)
    until(lambda: scale(page) > 2)
    page.keyboard.press("ArrowRight")
    until(lambda: scale(page) == 1)


def test_two_fingers_look_closer_and_turn_no_page(visitor: Visitor) -> None:
    page = visitor.open(**PHONE)
    page.locator("#grid a.photo").first.tap()
    address = page.url
    page.evaluate(
        """() => {
            const target = document.querySelector("#viewer .stage");
            const touch = (identifier, clientX) => new Touch({ identifier, target, clientX, clientY: 370 });
            const send = (kind, touches, changedTouches = touches) =>
                target.dispatchEvent(new TouchEvent(kind, { touches, changedTouches }));
            send("touchstart", [touch(1, 150), touch(2, 200)]);
            send("touchmove", [touch(1, 100), touch(2, 250)]);
            send("touchend", [], [touch(1, 100)]);
        }"""
    )
    assert scale(page) == 3
    assert page.url == address


def test_on_a_tablet_the_photo_is_the_page(visitor: Visitor) -> None:
    page = visitor.open(**TABLET)
    page.locator("#grid a.photo").first.tap()
    stage, panel = page.locator("#viewer .stage"), page.locator("#viewer .panel")
    box = stage.bounding_box()
    assert box == {"x": 0, "y": 0, "width": 820, "height": 1180}
    expect(panel).to_be_hidden()
    page.get_by_role("button", name="About the photo").tap()
    expect(panel).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("i")
    expect(panel).to_be_hidden()


def test_a_photo_is_downloaded_and_its_link_copied(visitor: Visitor, painted: Running) -> None:
    page = visitor.open()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#grid a.photo").first.click()
    name = page.locator("#viewer .name").text_content()
    expect(page.locator("#viewer .facts")).to_contain_text(str(painted.library.parent / "Photos"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == name
    page.get_by_role("button", name="Share a link").click()
    expect(page.locator("#viewer .toast")).to_have_text("The link is copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert query(link) == {"photo": query(page.url)["photo"]}
    page.goto(link)
    expect(page.locator("#viewer .name")).to_have_text(str(name))


def test_names_for_the_ear_are_words(visitor: Visitor) -> None:
    page = visitor.open()
    labels = page.locator("#grid a.photo").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    assert labels
    assert all(
        re.fullmatch(r"Photo (of .+|without a date), folder Photos/.+", one) for one in labels
    )
    page.locator("#grid a.photo").first.click()
    assert ".png" not in str(page.locator("#viewer .frame img").get_attribute("alt"))
    assert shown(page)


# Many at once.


def names(ids: list[int], service: Running) -> dict[int, str]:
    with service.client() as client:
        photos = client.get("/api/v1/photos").json()["photos"]
    return {one["id"]: one["name"] for one in photos if one["id"] in ids}


def test_a_range_is_chosen_and_its_names_are_copied(visitor: Visitor, painted: Running) -> None:
    page = visitor.open()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    order = shown(page)
    bar = page.get_by_role("toolbar", name="Chosen photos")
    expect(bar).to_be_hidden()
    page.locator("#grid .cell").first.hover()
    page.locator("#grid .check").first.click()
    expect(bar).to_contain_text("1 chosen")
    page.locator("#grid a.photo").nth(3).click(modifiers=["Shift"])
    expect(bar).to_contain_text("4 chosen")
    page.locator("#grid a.photo").nth(1).click()  # a click takes it out again
    expect(bar).to_contain_text("3 chosen")
    assert page.locator("#grid .check[aria-pressed=true]").count() == 3
    bar.get_by_role("button", name="Copy names").click()
    expect(page.locator("#line")).to_have_text("3 names copied")
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    known = names(order, painted)
    assert copied == [known[order[place]] for place in (0, 2, 3)]
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    assert page.locator("#grid .chosen").count() == 0


def test_keys_choose_and_the_archive_holds_what_was_chosen(visitor: Visitor) -> None:
    page = visitor.open()
    order = shown(page)
    page.locator("#grid a.photo").first.focus()
    for key in ("x", "ArrowRight", "ч"):
        page.evaluate(
            "key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))",
            key,
        )
    expect(page.locator("#selection")).to_contain_text("2 chosen")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "photos.zip"
    assert len(zipfile.ZipFile(download.value.path()).namelist()) == 2
    asked = parse_qsl(urlsplit(visitor.asked("/archive")[-1].url).query)
    assert [int(value) for name, value in asked if name == "photos"] == order[:2]


def test_an_archive_that_would_be_too_large_says_so(visitor: Visitor) -> None:
    visitor.tolerated = "413"
    page = visitor.open()
    page.route(
        "**/archive?**",
        lambda route: route.fulfill(status=413, json={"detail": "More than 2 GB. Choose fewer."}),
    )
    page.locator("#grid .cell").first.hover()
    page.locator("#grid .check").first.click()
    page.get_by_role("button", name="Download").click()
    expect(page.locator("#line")).to_have_text("More than 2 GB. Choose fewer.")


def test_a_long_press_chooses_and_opens_nothing(visitor: Visitor) -> None:
    page = visitor.open(**PHONE)
    session = page.context.new_cdp_session(page)
    box = page.locator("#grid a.photo").nth(1).bounding_box()
    assert box
    point = {"x": box["x"] + 20, "y": box["y"] + 20}
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    expect(page.locator("#selection")).to_contain_text("1 chosen")
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(200)
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#selection")).to_contain_text("1 chosen")
    page.locator("#grid a.photo").nth(2).tap()
    expect(page.locator("#selection")).to_contain_text("2 chosen")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_chosen_photos_are_handed_to_review_with_a_reason(
    visitor: Visitor, painted: Running
) -> None:
    page = visitor.open()
    photo = shown(page)[0]
    page.locator("#grid .cell").first.hover()
    page.locator("#grid .check").first.click()
    page.locator("#selection").get_by_role("button", name="Hand to review").click()
    assert violations(page) == []
    page.get_by_role("dialog").get_by_label("Why should somebody look?").fill(
        "may be under sixteen"
    )
    page.get_by_role("dialog").get_by_role("button", name="Hand to review").click()
    expect(page.locator("#line")).to_have_text("1 photo waits for review")
    expect(page.locator("#selection")).to_be_hidden()
    with painted.client() as client:
        queue = client.get("/api/v1/review").json()["photos"]
        (found,) = [one for one in queue if one["photo"]["id"] == photo]
        assert found["request"]["why"] == "may be under sixteen"
        for decision in ("allow", "withdraw"):
            client.post(f"/api/v1/review/{photo}", json={"decision": decision, "why": "test"})
        client.post(f"/api/v1/review/{photo}", json={"decision": "allow", "why": "test"})


# Folders.


def test_folders_are_albums_with_covers_that_open(visitor: Visitor, painted: Running) -> None:
    page = visitor.open()
    page.get_by_role("link", name="Folders").click()
    albums = page.locator("#folders .album")
    expect(albums).to_have_count(2)
    with painted.client() as client:
        found = client.get("/api/v1/folders").json()["folders"]
        visible = {one["id"] for one in client.get("/api/v1/photos").json()["photos"]}
    assert [one["name"] for one in found] == ["Photos/Trips/2024", "Photos/Walks"]
    assert {one["cover"] for one in found} <= visible
    expect(albums.first).to_contain_text(f"{found[0]['photos']} photos")
    expect(page.locator("#folders img.loaded")).to_have_count(2)
    assert violations(page) == []
    albums.last.click()
    assert query(page.url) == {"folder": "Photos/Walks"}
    expect(page.locator("#summary")).to_have_text(f"{found[1]['photos']} photos pass these filters")
    page.go_back()
    expect(albums).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("#results")).to_be_visible()


# Collections.


@pytest.fixture
def kept(painted: Running) -> Iterator[httpx.Client]:
    """Give a client of a library without collections, and leave none there."""
    with painted.client() as client:
        yield client
        for one in collections(client):
            client.delete(f"/api/v1/collections/{quote(one)}")


def collections(client: httpx.Client, photo: int | None = None) -> dict[str, int]:
    found = client.get("/api/v1/collections", params={"photo": photo} if photo else None).json()
    return {one["name"]: one["photos"] for one in found["collections"]}


def gathered(client: httpx.Client, name: str, photos: list[int]) -> None:
    client.put(f"/api/v1/collections/{quote(name)}")
    client.post(f"/api/v1/collections/{quote(name)}/photos", json={"add": photos})


def test_a_star_and_a_key_make_favourites(visitor: Visitor, kept: httpx.Client) -> None:
    page = visitor.open()
    first, second = shown(page)[:2]
    page.locator("#grid a.photo").first.click()
    star = page.locator("#viewer").get_by_role("button", name="Favourite")
    expect(star).to_have_attribute("aria-pressed", "false")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#viewer .toast").last).to_have_text("Added to favourites")
    assert collections(kept, first) == {"favourites": 1}
    page.keyboard.press("ArrowRight")
    expect(star).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("f")
    expect(star).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowLeft")
    expect(star).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("f")
    expect(star).to_have_attribute("aria-pressed", "false")
    assert collections(kept, first) == {}
    assert collections(kept, second) == {"favourites": 1}
    page.keyboard.press("Escape")
    page.locator("#grid a.photo").nth(1).focus()
    page.evaluate(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'а', bubbles: true }))"
    )
    expect(page.locator("#line")).to_have_text("No longer a favourite")
    assert collections(kept) == {"favourites": 0}


def test_chosen_photos_go_into_a_new_collection_and_out_of_it(
    visitor: Visitor, kept: httpx.Client
) -> None:
    page = visitor.open()
    order = shown(page)
    page.locator("#grid .cell").first.hover()
    page.locator("#grid .check").first.click()
    page.locator("#grid a.photo").nth(2).click(modifiers=["Shift"])
    bar = page.get_by_role("toolbar", name="Chosen photos")
    expect(bar.get_by_role("button", name="Take out")).to_be_hidden()
    bar.get_by_role("button", name="Add to collection").click()
    dialog = page.get_by_role("dialog", name="Add to collection")
    assert violations(page) == []
    dialog.get_by_label("New collection").fill("Sea & sand?")
    dialog.get_by_role("button", name="Make and add").click()
    expect(page.locator("#line")).to_have_text("3 photos added to “Sea & sand?”")
    expect(bar).to_be_hidden()
    assert collections(kept) == {"Sea & sand?": 3}
    page.goto(f"{visitor.address}/?{urlencode({'collection': 'Sea & sand?'})}")
    expect(page.locator("#summary")).to_have_text("3 photos pass these filters")
    expect(page.locator("#chips .chip")).to_have_text("in “Sea & sand?”")
    page.locator("#grid a.photo").first.focus()
    page.keyboard.press("x")
    bar.get_by_role("button", name="Take out").click()
    expect(page.locator("#line")).to_have_text("1 photo removed from “Sea & sand?”")
    expect(page.locator("#summary")).to_have_text("2 photos pass these filters")
    assert shown(page) == order[1:3]
    page.locator("#chips .chip").click()
    expect(page.locator("#summary")).to_contain_text("newest first")


def test_the_dialog_tells_where_the_opened_photo_is_and_takes_it_out(
    visitor: Visitor, kept: httpx.Client
) -> None:
    page = visitor.open()
    photo = shown(page)[0]
    gathered(kept, "Lake", [photo])
    gathered(kept, "Town", [])
    page.locator("#grid a.photo").first.click()
    page.keyboard.press("c")
    lake = page.get_by_role("button", name="Lake 1 photo")
    town = page.get_by_role("button", name="Town 0 photos")
    expect(lake).to_have_attribute("aria-pressed", "true")
    expect(town).to_have_attribute("aria-pressed", "false")
    assert violations(page) == []
    lake.click()
    expect(page.locator("#viewer .toast").last).to_have_text("1 photo removed from “Lake”")
    page.locator("#viewer .collect").click()
    town.click()
    expect(page.locator("#viewer .toast").last).to_have_text("1 photo added to “Town”")
    assert collections(kept, photo) == {"Town": 1}
    expect(page.locator("#viewer")).to_be_visible()


def test_collections_are_albums_that_open_are_renamed_and_deleted(
    visitor: Visitor, kept: httpx.Client
) -> None:
    visitor.tolerated = "409"
    page = visitor.open()
    for name, some in {"Lake": shown(page)[:2], "favourites": shown(page)[:3], "Town": []}.items():
        gathered(kept, name, some)
    page.get_by_role("link", name="Folders").click()
    page.locator("#folders").get_by_role("link", name="Collections").click()
    albums = page.locator("#collections .album")
    expect(albums).to_contain_text(["Favourites", "Lake", "Town"])
    expect(page.locator("#collections img.loaded")).to_have_count(2)
    expect(page.get_by_role("button", name="Rename “Favourites”")).to_have_count(0)
    assert violations(page) == []
    page.locator("#collections li").nth(1).hover()
    page.get_by_role("button", name="Rename “Lake”").click()
    dialog = page.get_by_role("dialog", name="Rename “Lake”")
    dialog.get_by_label("Name").fill("Town")
    dialog.get_by_role("button", name="Rename").click()
    expect(page.locator("#line")).to_contain_text("There is a collection of that name")
    page.locator("#collections li").nth(1).hover()
    page.get_by_role("button", name="Rename “Lake”").click()
    dialog.get_by_label("Name").fill("Sea")
    page.keyboard.press("Enter")
    expect(albums).to_contain_text(["Favourites", "Sea", "Town"])
    page.locator("#collections li").nth(2).hover()
    page.get_by_role("button", name="Delete “Town”").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert collections(kept) == {"Sea": 2, "Town": 0, "favourites": 3}
    page.get_by_role("button", name="Delete “Town”").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(albums).to_have_count(2)
    assert collections(kept) == {"Sea": 2, "favourites": 3}
    albums.first.click()
    assert query(page.url) == {"collection": "favourites"}
    expect(page.locator("#chips .chip")).to_have_text("in “Favourites”")


def test_what_the_law_hides_is_in_no_collection_of_the_page(
    visitor: Visitor, kept: httpx.Client, painted: Running
) -> None:
    page = visitor.open()
    photo = shown(page)[0]
    gathered(kept, "Lake", [photo])
    kept.post(f"/api/v1/review/{photo}", json={"decision": "hide", "why": "test"})
    try:
        page.goto(f"{visitor.address}/?view=collections")
        expect(page.locator("#collections .album")).to_contain_text("0 photos")
        page.locator("#collections .album").click()
        expect(page.locator("#note h2")).to_have_text("No photo passes these filters")
        assert not visitor.asked(f"/photos/{photo}?size=320&")
    finally:
        kept.post(f"/api/v1/review/{photo}", json={"decision": "allow", "why": "test"})


def test_who_may_only_read_is_offered_no_change(visitor: Visitor, kept: httpx.Client) -> None:
    page = visitor.page()
    page.route(
        "**/api/v1/library?**",
        lambda route: route.fulfill(json=route.fetch().json() | {"scopes": ["read"]}),
    )
    page.goto(f"{visitor.address}/?view=collections")
    gathered(kept, "Lake", [])
    page.reload()
    expect(page.locator("#collections .album")).to_have_count(1)
    assert page.locator("#collections button").count() == 0
    page.goto(visitor.address)
    page.locator("#grid a.photo").first.click()
    expect(page.locator("#viewer .name")).not_to_be_empty()
    for part in ("star", "collect"):
        expect(page.locator(f"#viewer .{part}")).to_be_hidden()
    page.keyboard.press("f")
    page.keyboard.press("c")
    page.keyboard.press("Escape")
    page.locator("#grid a.photo").first.focus()
    page.keyboard.press("x")
    for part in ("collect", "take-out"):
        expect(page.locator(f"#selection .{part}")).to_be_hidden()
    assert all(one.method == "GET" for one in visitor.requests)


@pytest.mark.parametrize("locale", ["en-US", "ru-RU"])
def test_collections_fit_a_phone(visitor: Visitor, kept: httpx.Client, locale: str) -> None:
    page = visitor.open(**PHONE, locale=locale)
    gathered(kept, "A rather long name of a collection " * 2, shown(page)[:2])
    page.goto(f"{visitor.address}/?collection={quote(next(iter(collections(kept))))}")
    page.wait_for_selector("#grid a.photo")
    page.locator("#grid a.photo").first.focus()
    page.keyboard.press("x")
    inside(page)
    page.locator("#selection .collect").click()
    expect(page.locator("#collect")).to_be_visible()
    inside(page)
    page.keyboard.press("Escape")
    page.goto(f"{visitor.address}/?view=collections")
    page.wait_for_selector("#collections img.loaded")
    inside(page)
    assert violations(page) == []


# The bin.


@pytest.fixture
def binned(years: Running, tmp_path: Path) -> Iterator[httpx.Client]:
    """Put two photos into the bin: `a.png`, then `b.png`; leave nothing there."""
    with years.client() as client:
        for number, name in enumerate(("a.png", "b.png")):
            content = paint(tmp_path / name, 40 + number).read_bytes()
            added = client.post("/api/v1/photos", files=[("photos", (name, content))]).json()
            client.delete(f"/api/v1/photos/{added['added'][0]['id']}")
        yield client
        for photo in client.get("/api/v1/photos", params={"folder": "uploads"}).json()["photos"]:
            client.delete(f"/api/v1/photos/{photo['id']}")
        client.delete("/api/v1/bin")


def test_the_bin_shows_its_photos_and_gives_them_back(
    traveller: Visitor, binned: httpx.Client
) -> None:
    page = traveller.page()
    page.goto(f"{traveller.address}/?view=bin")
    expect(page.locator("#bin .count")).to_have_text("2 deleted photos")
    pictures = page.locator("#bin img.binned-picture")
    expect(pictures).to_have_count(2)
    until(lambda: bool(pictures.evaluate_all("all => all.every(one => one.naturalWidth > 0)")))
    assert violations(page) == []
    page.get_by_role("button", name="Restore a.png").click()
    expect(page.locator("#line")).to_have_text("a.png is back")
    expect(page.get_by_role("button", name="Restore b.png")).to_be_focused()
    assert [one["name"] for one in binned.get("/api/v1/bin").json()["photos"]] == ["b.png"]
    page.get_by_role("button", name="Empty the bin").click()
    dialog = page.get_by_role("dialog", name="Empty the bin?")
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert binned.get("/api/v1/bin").json()["photos"]
    page.get_by_role("button", name="Empty the bin").click()
    dialog.get_by_role("button", name="Empty the bin").click()
    expect(page.locator("#bin .count")).to_have_text("The bin is empty")
    expect(page.get_by_role("button", name="Empty the bin")).to_be_hidden()
    expect(page.get_by_role("heading", name="Bin")).to_be_focused()
    assert binned.get("/api/v1/bin").json()["photos"] == []


def test_the_bin_fits_a_phone_and_a_lost_picture_leaves_a_sign(
    traveller: Visitor, binned: httpx.Client
) -> None:
    assert len(binned.get("/api/v1/bin").json()["photos"]) == 2
    page = traveller.page(**PHONE, locale="ru-RU")
    page.route("**/picture", lambda route: route.fulfill(status=404, json={}))
    page.goto(f"{traveller.address}/?view=bin")
    expect(page.locator("#bin .count")).to_have_text("2 удалённые фотографии")
    expect(page.locator("#bin .binned-picture svg")).to_have_count(2)
    inside(page)
    assert violations(page) == []


def inside(page: Page) -> None:
    """Nothing that can be pressed lies beyond the screen's edge."""
    cut = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input")]
            .filter(one => one.checkVisibility() && !one.matches(".skip") && !one.closest("#chips, .unseen"))
            .filter(one => one.getBoundingClientRect().right > innerWidth + 1 || one.getBoundingClientRect().left < 0)
            .map(one => one.outerHTML)"""
    )
    assert cut == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# On one's own machine, and without the service.


def test_the_policy_in_force_is_told_with_what_it_hides(
    visitor: Visitor, traveller: Visitor
) -> None:
    page = visitor.open()
    expect(page.locator("#law")).to_have_text(
        "Policy in force: under-16. 2 photos of the library are hidden."
    )
    expect(traveller.open().locator("#law")).to_have_text(
        "Policy in force: none. Nothing is hidden."
    )


def test_the_page_opens_without_its_service_and_says_so(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library, model = paint_library(tmp_path_factory.mktemp("offline"))
    with serving(library, "--model", model, environment=FAKES) as running:
        one = Visitor(
            browser, running.address, tolerated="ERR_|Failed to load resource|Failed to fetch"
        )
        page = one.open()
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        until(lambda: bool(page.evaluate("caches.keys().then(keys => keys.length)")))
        page.wait_for_function("navigator.serviceWorker.controller !== null")
        page.reload()
        page.wait_for_selector("#grid img.loaded")
        kept = page.evaluate(
            "caches.open('kadr-page').then(cache => cache.keys()).then(all => all.map(one => one.url))"
        )
        assert not [url for url in kept if "/api/" in url]
        files = {path.name for path in PAGE.iterdir()} - {
            "index.html",
            "sw.js",
            "manifest.webmanifest",
        }
        scripts = {name for name in files if name.endswith((".js", ".css", ".svg"))}
        assert {url.rsplit("/", 1)[1] for url in kept} - {""} >= scripts
        running.stop()
        page.reload()
        expect(page.locator("#line")).to_contain_text("The service can't be reached")
        assert page.locator("#grid img").count() == 0
        one.close()


def test_the_page_can_be_installed(visitor: Visitor) -> None:
    page = visitor.open()
    address = str(page.locator("link[rel=manifest]").get_attribute("href"))
    answer = page.request.get(f"{visitor.address}/{address}")
    assert answer.headers["content-type"] == "application/manifest+json"
    for icon in answer.json()["icons"]:
        found = page.request.get(f"{visitor.address}/{icon['src']}")
        assert (found.status, found.headers["content-type"]) == (200, icon["type"])
    session = page.context.new_cdp_session(page)
    session.send("Page.enable")
    assert session.send("Page.getAppManifest")["errors"] == []
