"""The page of `kadr serve` in a real browser: what a person sees, types, presses and hears."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from kadr.law import review, sampling
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.photos.kinds import FILM_SUFFIXES, RAW_SUFFIXES, reads_raw
from kadr.service import keys, pages
from kadr.stores import open_store
from kadr.types import Assessment, PictureText, TextLine
from libraries import colour_matcher, fill
from pages import (
    PHONE,
    Visitor,
    launched,
    note_parts,
    parts,
    query,
    shown,
    transfer,
    until,
    violations,
)
from services import (
    FAKES,
    HIDDEN_BY_PERSON,
    SECRET,
    Running,
    draw_library,
    draw_photo,
    number_of,
    serving,
)
from shell import DISCLAIMER

MATCHING = "a boat on the sea"
"""Of the drawn library some photos match it, some don't, and some are hidden."""
UNMATCHED = "a dog on grass"
REFUSED = "a little girl"
MANY = 10_000
PAGE = Path(pages.__file__).with_name("page")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


@pytest.fixture(scope="module")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve drawn scenes: 22 shown, two in doubt, two hidden."""
    home = tmp_path_factory.mktemp("drawn")
    with serving(draw_library(home), "--uploads", home / "uploads") as running:
        yield running


@pytest.fixture(scope="module")
def ask(service: Running) -> Iterator[Callable[..., Any]]:
    """Ask the service itself: what the page should show."""
    with service.client() as client:

        def get(path: str, **parameters: Any) -> Any:
            answer = client.get(f"/api/v1{path}", params=parameters)
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield get


@pytest.fixture
def visitor(browser: Browser, service: Running) -> Iterator[Visitor]:
    """Give somebody who opens pages, and none of whose pages did what no page may do."""
    made = Visitor(browser, service.address)
    yield made
    made.close()
    assert made.problems == []


def photos_of(answer: Any) -> list[int]:
    return [hit["photo"]["id"] for hit in answer["hits"] if hit["kind"] == "photo"]


def first_photos(page: Page, expected: list[int]) -> None:
    """Wait until the grid begins with these photos; whatever else is drawn follows their order."""
    assert len(expected) > 0
    first = expected[:4]
    until(lambda: shown(page)[: len(first)] == first)


def focused(page: Page) -> int | None:
    """The photo that the keyboard is at."""
    link = page.evaluate("document.activeElement.matches('a.photo') && document.activeElement.href")
    return int(query(link)["photo"]) if link else None


# Browsing and searching.


def test_without_a_query_photos_are_browsed_newest_first(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    page = visitor.open()
    newest = [photo["id"] for photo in ask("/photos")["photos"]]
    first_photos(page, newest)
    drawn = shown(page)
    assert len(drawn) > 12
    assert drawn == newest[: len(drawn)]
    expect(page.locator("#summary")).to_have_text("22 photos, newest first")
    assert page.locator("#grid .bar").count() == 0


def test_thumbnails_are_loaded_and_small(visitor: Visitor) -> None:
    page = visitor.open()
    page.wait_for_selector("#grid img.loaded")
    sizes = {query(one.url)["size"] for one in visitor.asked("/photos/") if "size" in one.url}
    assert sizes == {"320"}
    visitor.requests.clear()
    visitor.open(device_scale_factor=2).wait_for_selector("#grid img.loaded")
    sizes = {query(one.url)["size"] for one in visitor.asked("/photos/") if "size" in one.url}
    assert sizes == {"640"}


def test_typing_finds_photos_with_their_probabilities(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    page = visitor.open()
    page.locator("#q").press_sequentially(MATCHING)
    answer = ask("/search", q=MATCHING, n=40)
    first_photos(page, photos_of(answer))
    drawn = shown(page)
    assert drawn == photos_of(answer)[: len(drawn)]
    best = answer["hits"][0]
    cell = page.locator("#grid .cell").first
    expect(cell.locator(".percent")).to_have_text(f"{best['probability']:.0%}")
    width = cell.locator(".bar i").evaluate("one => parseFloat(one.style.width)")
    assert width == pytest.approx(best["probability"] * 100, abs=0.1)
    assert f"{best['probability']:.0%} sure" in str(
        cell.locator("a").first.get_attribute("aria-label")
    )
    assert query(page.url) == {"q": MATCHING}
    assert page.title() == f"{MATCHING} · kadr"


def test_one_asks_when_one_pauses_and_at_once_with_enter(visitor: Visitor) -> None:
    page = visitor.page()
    page.clock.install(time=datetime(2026, 1, 1, tzinfo=UTC))
    page.goto(visitor.address)
    page.wait_for_selector("#grid[aria-busy=false]", state="attached")
    page.clock.pause_at(datetime(2026, 1, 2, tzinfo=UTC))
    page.locator("#q").press_sequentially("a dog")
    page.clock.run_for(150)
    assert visitor.asked("/search?") == []
    with page.expect_request("**/search?**") as asked:
        page.clock.run_for(100)
    assert query(asked.value.url)["q"] == "a dog"
    page.locator("#q").press_sequentially("s")
    with page.expect_request("**/search?**") as asked:
        page.keyboard.press("Enter")  # no clock runs
    assert query(asked.value.url)["q"] == "a dogs"
    page.clock.run_for(1000)
    assert len(visitor.asked("/search?")) == 2


def test_typing_on_cancels_what_was_asked_before(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/search\?.*q=a\+boat&"), hold)
    with page.expect_request("**/search?**"):
        page.locator("#q").press_sequentially("a boat")
    with page.expect_event("requestfailed") as failed:
        page.locator("#q").press_sequentially(" on the sea")
    assert query(failed.value.url)["q"] == "a boat"
    assert "ABORTED" in str(failed.value.failure)
    first_photos(page, photos_of(ask("/search", q=MATCHING)))
    assert len(held) == 1


def test_an_operator_that_nothing_follows_yet_is_no_error(visitor: Visitor) -> None:
    page = visitor.open(f"/?q={MATCHING} - ")
    expect(page.locator("#summary")).to_contain_text("match")
    expect(page.locator("#line")).to_be_empty()
    page.locator("#q").fill('a dog + "red ca')
    page.wait_for_selector("#grid .likeness")
    assert query(visitor.asked("/search?")[-1].url)["q"] == 'a dog + "red ca"'


def test_what_does_not_match_stands_below_a_line(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open(f"/?q={MATCHING}")
    answer = ask("/search", q=MATCHING, n=40)
    order = [hit["kind"] + str(hit.get("matches", "")) for hit in answer["hits"]]
    lines = page.locator("#grid > li").evaluate_all(
        "all => all.map(one => one.className).map(name => name === 'line' ? 'line' : name)"
    )
    where = order.index("photoFalse")
    last = len(lines) - 1 - lines[::-1].index("line")
    assert 0 < where == last - lines[:last].count("line")
    assert "photoTrue" not in order[where:]
    expect(page.locator("#grid .line").last).to_have_text("Less sure, below 2%")


@pytest.mark.parametrize(
    ("sure", "following", "said", "lines"),
    [
        ((0.9, 0.7, 0.4, 0.1), None, "2 photos probably match", ["Maybe"]),
        ((0.9,), None, "1 photo probably matches", []),
        ((0.9, 0.8), "more", "More than 2 photos probably match", []),
        ((0.19, 0.1), None, "No photo is a sure match", ["Maybe"]),
        ((0.9, 0.1, 0.01), None, "1 photo probably matches", ["Maybe", "Less sure, below 2%"]),
    ],
)
def test_what_is_probable_stands_apart_from_what_may_match(
    visitor: Visitor,
    ask: Callable[..., Any],
    sure: tuple[float, ...],
    following: str | None,
    said: str,
    lines: list[str],
) -> None:
    answer = ask("/search", q=MATCHING, n=len(sure))
    for hit, probability in zip(answer["hits"], sure, strict=True):
        hit |= {"probability": probability, "matches": probability >= 0.02}
        hit["probable"] = probability >= 0.65
    page = visitor.page()
    page.route(
        "**/search?**",
        lambda route: route.fulfill(json=answer | {"at_least": 0.02, "next": following}),
        times=1,
    )
    page.route("**/search?**cursor=**", lambda route: route.abort())
    visitor.tolerated = "ERR_FAILED"
    page.goto(f"{visitor.address}/?q={MATCHING}")
    expect(page.locator("#summary")).to_have_text(said)
    assert page.locator("#grid .line").all_text_contents() == lines
    if following is None:  # else a row that isn't full waits for more
        assert len(shown(page)) == len(sure)


def test_that_nothing_matches_is_said_and_the_nearest_are_below(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    page = visitor.open(f"/?q={UNMATCHED}")
    first = page.locator("#grid > li").first
    expect(first).to_have_text("Nothing that may be shown matches well. The nearest photos:")
    first_photos(page, photos_of(ask("/search", q=UNMATCHED)))
    assert page.locator("#grid .line").count() == 1


def test_below_the_line_more_comes_only_when_asked_for(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    page = visitor.page()
    page.route(
        "**/search?**", lambda route: route.continue_(url=route.request.url.replace("n=40", "n=8"))
    )
    page.goto(f"{visitor.address}/?q={UNMATCHED}")
    more = page.get_by_role("button", name="Show more")
    expect(more).to_be_visible()
    page.wait_for_timeout(300)  # time enough to ask by itself
    assert len(visitor.asked("/search?")) == 1
    more.click()
    until(lambda: page.locator("#grid .cell").count() > 8)
    assert len(visitor.asked("/search?")) == 2
    assert shown(page)[:8] == photos_of(ask("/search", q=UNMATCHED, n=40))[: len(shown(page))][:8]
    expect(page.get_by_role("button", name="Show more")).to_be_visible()


def test_an_unknown_photo_is_told(visitor: Visitor) -> None:
    visitor.tolerated = "404"
    page = visitor.open("/?photo=987654")
    expect(page.locator("#viewer .notice")).to_have_text(
        "There is no such photo. It may have been removed."
    )
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    assert query(page.url) == {}


# Pictures.


@pytest.fixture
def picture(service: Running) -> Path:
    """Give a photo of the library, as a file."""
    return service.library.parent / "Photos" / "Trips/2024" / "03.jpg"


def number_by_name(ask: Callable[..., Any], name: str) -> int:
    (found,) = [photo["id"] for photo in ask("/photos")["photos"] if photo["name"] == name]
    return int(found)


def test_a_dropped_picture_is_searched_by(
    visitor: Visitor, ask: Callable[..., Any], picture: Path
) -> None:
    page = visitor.open(f"/?q={UNMATCHED}")
    page.locator("#clear").click()
    data = transfer(page, picture)
    page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(page.locator("#curtain")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.locator("#curtain")).to_be_hidden()
    first_photos(page, [number_by_name(ask, picture.name)])  # nothing is more like it than itself
    chip = page.get_by_role("button", name="Remove “Your picture”")
    assert chip.locator("img").evaluate("async one => (await one.decode(), one.naturalWidth)") > 0
    expect(page.locator("#grid .caption").first).to_have_text("likeness 1.00")
    chip.click()
    first_photos(page, [photo["id"] for photo in ask("/photos")["photos"]])
    assert page.locator("#q").evaluate("one => one === document.activeElement")


def test_a_pasted_picture_and_words_are_added_up(
    visitor: Visitor, ask: Callable[..., Any], picture: Path
) -> None:
    page = visitor.open()
    page.evaluate(
        "data => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))",
        transfer(page, picture),
    )
    first_photos(page, [number_by_name(ask, picture.name)])
    note_parts(page)
    page.locator("#q").fill("snow - 0.5:tree")
    until(lambda: len(parts(page)) == 3)
    assert parts(page) == [
        {"picture": 0, "weight": 1},
        {"text": "snow", "weight": 1},
        {"text": "tree", "weight": -0.5},
    ]
    page.go_back()
    first_photos(page, [number_by_name(ask, picture.name)])
    expect(page.locator("#q")).to_have_value("")


def test_a_chosen_picture_is_searched_by_and_no_picture_is_told(
    visitor: Visitor, ask: Callable[..., Any], picture: Path, tmp_path: Path
) -> None:
    visitor.tolerated = "422"
    page = visitor.open()
    page.locator("#chooser").set_input_files(picture)
    first_photos(page, [number_by_name(ask, picture.name)])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    page.locator("#chooser").set_input_files(broken)
    expect(page.locator("#line")).to_contain_text("Send another one")


def test_choosers_offer_raws_where_they_are_read_and_no_films(
    visitor: Visitor, ask: Callable[..., Any], picture: Path
) -> None:
    page = visitor.open()
    for chooser in ("#chooser", "#uploads"):
        expect(page.locator(chooser)).to_have_attribute("accept", re.compile(r"\.heic"))
        offered = set(str(page.locator(chooser).get_attribute("accept")).split(","))
        assert {"image/*", ".heic", ".avif"} <= offered
        assert (RAW_SUFFIXES[0] in offered) == (set(RAW_SUFFIXES) <= offered) == reads_raw()
        assert offered.isdisjoint(FILM_SUFFIXES)  # neither searched by nor added here
    name = "SHOT.CR2" if reads_raw() else "SHOT.HEIC"
    file = {
        "name": name,
        "mimeType": "",
        "buffer": picture.read_bytes(),
    }  # its bytes say what it is
    page.locator("#chooser").set_input_files(file)  # type: ignore[arg-type]
    first_photos(page, [number_by_name(ask, picture.name)])


# The law.


def test_hidden_photos_leave_one_line_with_the_disclaimer_and_nothing_else(
    visitor: Visitor, ask: Callable[..., Any], service: Running
) -> None:
    page = visitor.open(f"/?q={MATCHING}")
    line = page.locator("#withheld")
    assert ask("/search", q=MATCHING, n=40)["withheld"] == DISCLAIMER
    page.wait_for_selector("#grid a.photo")
    expect(line).to_have_text(f"4 photos of the library are hidden. {DISCLAIMER} Review them")
    assert page.get_by_text(DISCLAIMER).count() == 1
    # It is said of the library: another answer says it in the same words.
    page.locator("#q").fill(UNMATCHED)
    expect(page.locator("#grid .line").first).to_contain_text("Nothing that may be shown")
    expect(line).to_have_text(f"4 photos of the library are hidden. {DISCLAIMER} Review them")
    line.hover()
    hidden = hidden_numbers(service)
    for request in visitor.requests:
        assert not any(
            re.search(rf"/(photos|similar)/{number}\b", request.url) for number in hidden
        )
    for response in visitor.responses:
        if "/api/" in response.url and "json" in response.headers.get("content-type", ""):
            assert SECRET not in response.text()
            assert HIDDEN_BY_PERSON not in response.text()
    assert SECRET not in page.content()


def hidden_numbers(service: Running) -> list[int]:
    store = open_store(service.library)
    try:
        numbers = [number for number, path in store.paths() if SECRET.encode() in path]
        photos = [store.public_id(number) for number in numbers if number is not None]
    finally:
        store.close()
    assert len(photos) == 2
    return photos


def test_a_query_for_children_gets_the_disclaimer_alone(visitor: Visitor) -> None:
    page = visitor.open(f"/?q={REFUSED}")
    expect(page.locator("#note")).to_contain_text(DISCLAIMER)
    assert page.locator("#grid > li").count() == 0
    page.locator("#q").fill(MATCHING)
    page.wait_for_selector("#grid a.photo")
    expect(page.locator("#note")).to_be_hidden()


def test_a_link_to_a_hidden_photo_shows_the_disclaimer_alone(
    visitor: Visitor, service: Running
) -> None:
    visitor.tolerated = "451"
    page = visitor.open(f"/?photo={hidden_numbers(service)[0]}")
    expect(page.locator("#viewer .notice")).to_have_text(DISCLAIMER)
    assert page.locator("#viewer img").count() == 0
    expect(page.locator("#viewer .panel")).to_be_hidden()


def in_doubt(ask: Callable[..., Any]) -> list[str]:
    return [one["photo"]["name"] for one in ask("/review")["photos"]]


@pytest.mark.parametrize("letters", ["ahsu", "фрыг"])
def test_photos_are_reviewed_by_keys(
    visitor: Visitor, ask: Callable[..., Any], letters: str
) -> None:
    allow, hide, skip, undo = list(letters)
    first, second = in_doubt(ask)
    page = visitor.open()
    page.get_by_role("link", name="Review").click()
    name, count = page.locator("#review .photo-name"), page.locator("#review .count")
    expect(name).to_have_text(first)
    expect(count).to_have_text("2 photos wait for a decision")
    expect(page.locator("#review .reasons")).to_contain_text("50%")
    page.keyboard.press("Enter")
    large = page.locator("#review .doubtful")
    assert large.evaluate("async one => (await one.decode(), one.naturalWidth)") == 400
    press(page, hide)
    expect(name).to_have_text(second)
    expect(page.locator("#line")).to_have_text(f"{first}: hidden")
    expect(count).to_have_text("1 photo waits for a decision")
    assert in_doubt(ask) == [second]
    press(page, allow)
    expect(page.locator("#review .done")).to_contain_text("No photo waits for a decision")
    assert in_doubt(ask) == []
    assert second in [photo["name"] for photo in ask("/photos")["photos"]]
    assert first not in [photo["name"] for photo in ask("/photos")["photos"]]
    press(page, undo)
    expect(page.locator("#line")).to_have_text(f"{second}: decision undone")
    expect(name).to_have_text(second)
    press(page, undo)
    expect(name).to_have_text(first)
    assert in_doubt(ask) == [first, second]
    press(page, undo)
    expect(page.locator("#line")).to_have_text("Nothing to undo")
    press(page, skip)
    expect(name).to_have_text(second)
    press(page, skip)
    expect(page.locator("#review .done")).to_contain_text("2 photos were skipped")
    page.get_by_role("button", name="Look at them again").click()
    expect(name).to_have_text(first)
    assert in_doubt(ask) == [first, second]
    page.keyboard.press("Escape")
    expect(page.locator("#review .tile")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("#results")).to_be_visible()


def test_many_are_decided_together_and_undone_together(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    waiting = in_doubt(ask)
    page = visitor.open("/?view=review")
    tiles = page.locator("#review .tile")
    expect(tiles).to_have_count(2)
    assert all(".jpg" not in str(one.get_attribute("aria-label")) for one in tiles.all())
    press(page, "x")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#review .photo-name")).to_have_text(waiting[1])
    press(page, "ч")
    expect(page.locator("#review .for-many")).to_have_text("The decision is about 2 chosen photos")
    assert violations(page) == []
    colours = page.locator("#review .decisions button").evaluate_all(
        "all => all.slice(1, 3).map(one => getComputedStyle(one).backgroundColor)"
    )
    assert colours[0] == colours[1]  # neither decision is the loud one
    press(page, "h")
    expect(page.locator("#line")).to_have_text("2 photos hidden")
    expect(page.locator("#review .done")).to_be_visible()
    assert in_doubt(ask) == []
    press(page, "u")
    expect(page.locator("#line")).to_have_text("2 decisions undone")
    expect(tiles).to_have_count(2)
    assert sorted(in_doubt(ask)) == sorted(waiting)
    tiles.first.click()
    expect(page.locator("#review .doubtful")).to_be_visible()
    page.keyboard.press("Escape")
    expect(tiles.first).to_be_focused()


def press(page: Page, letter: str) -> None:
    """A letter's key; playwright knows no Russian keyboard."""
    if letter.isascii():
        page.keyboard.press(letter)
    else:
        page.evaluate(
            "key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))",
            letter,
        )


def test_letters_of_the_reason_decide_nothing(visitor: Visitor, ask: Callable[..., Any]) -> None:
    waiting = in_doubt(ask)
    page = visitor.open("/?view=review")
    page.get_by_label("Reason").press_sequentially("ahsu")
    assert in_doubt(ask) == waiting
    expect(page.locator("#review .photo-name")).to_have_text(waiting[0])


def test_a_reason_is_kept_with_the_decision(visitor: Visitor, ask: Callable[..., Any]) -> None:
    first, second = in_doubt(ask)
    page = visitor.open("/?view=review")
    page.get_by_label("Reason").fill("a grown man")
    with page.expect_request(lambda one: one.method == "POST") as sent:
        page.get_by_role("button", name="Allow", exact=True).click()
    assert sent.value.post_data_json == {"decision": "allow", "why": "a grown man"}
    expect(page.locator("#review .photo-name")).to_have_text(second)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#review .photo-name")).to_have_text(first)


def test_the_decision_about_a_near_duplicate_is_proposed(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    (first, _), queue = in_doubt(ask), ask("/review")["photos"]
    proposal = queue[0]["proposal"]
    page = visitor.open("/?view=review")
    expect(page.locator("#review .reasons")).to_contain_text("A near duplicate was allowed by test")
    expect(page.locator("#review .reasons")).to_contain_text(proposal["name"])
    with page.expect_request(lambda one: one.method == "POST") as sent:
        press(page, "н")
    assert sent.value.post_data_json == {
        "decision": "allow", "why": "", "alike": proposal["photo"]
    }  # fmt: skip
    expect(page.locator("#line")).to_have_text(f"{first}: allowed")
    press(page, "u")
    expect(page.locator("#review .photo-name")).to_have_text(first)


@pytest.fixture
def sampled(service: Running) -> Iterator[str]:
    """Draw a sample of the one photo that is shown without a decision; its name."""
    with Library.open(service.library, policy="under-16") as library:
        store = library.store
        held = {copy for copy, _, _ in store.copies()}
        allowed = [d for d, said in store.all_rulings().items() if said.verdict == "allow"]
        photo = next(digest for digest in allowed if digest not in held)
        number = store.number(photo)
        assert number is not None
        store.keep_assessments({number: Assessment((), 0.05, None, (), 0.05, "test")})
        review.withdraw(store, photo, "test")
        assert len(sampling.draw(store, library.policy, 5, "test", seed=1).photos) == 1
        yield store.present([number])[number][0].name
        if store.ruling(photo) is None:
            review.decide(store, photo, review.ruling("allow", "test"))


def test_a_sample_of_what_is_shown_is_looked_at(
    visitor: Visitor, ask: Callable[..., Any], sampled: str
) -> None:
    page = visitor.open("/?view=review")
    switch, name = page.locator("#review .switch"), page.locator("#review .photo-name")
    expect(name).to_have_text(in_doubt(ask)[0])
    expect(switch).to_have_text("Sample of what is shown: 1")
    switch.click()
    expect(name).to_have_text(sampled)
    expect(page.locator("#review .count")).to_have_text("1 photo of the sample is left")
    press(page, "a")
    expect(page.locator("#review .done")).to_contain_text("No photo waits for a decision")
    assert ask("/review", sample=True)["photos"] == []
    assert ask("/review")["sampled"] == 0
    switch.click()
    expect(name).to_have_text(in_doubt(ask)[0])
    expect(switch).to_be_hidden()


# Language and colours.


def test_the_browser_chooses_the_language_and_a_switch_the_other(visitor: Visitor) -> None:
    page = visitor.open(f"/?q={UNMATCHED}", locale="ru-RU")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.get_by_role("searchbox")).to_have_attribute("placeholder", "Опишите фотографию")
    line = page.locator("#grid .line")
    expect(line).to_contain_text("ничего подходящего нет")
    assert query(visitor.asked("/search?")[0].url)["lang"] == "ru"
    page.get_by_role("button", name="In English").click()
    expect(line).to_contain_text("matches well")
    expect(page.get_by_role("button", name="Filters")).to_be_visible()
    page.reload()
    expect(line).to_contain_text("matches well")  # it is remembered
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_no_text_is_missing_in_either_language(visitor: Visitor) -> None:
    page = visitor.open()
    missing = page.evaluate(
        """async () => {
            const texts = await import("/web/texts.js");
            const files = FILES;
            const sources = await Promise.all(files.map(name => fetch(`/web/${name}.js`).then(a => a.text())));
            const used = sources.flatMap(text => [...text.matchAll(/say\\("(\\w+)"/g)].map(found => found[1]));
            const named = [...document.querySelectorAll("[data-text], [data-label], [data-hint]")]
                .flatMap(one => [one.dataset.text, one.dataset.label, one.dataset.hint]).filter(Boolean);
            const bad = [];
            for (const language of ["en", "ru"]) {
                texts.setLanguage(language);
                for (const key of new Set([...used, ...named])) {
                    for (const n of [1, 2, 5, 21]) {
                        try { if (!texts.say(key, { n })) bad.push(key); } catch { bad.push(key); }
                    }
                }
            }
            return [bad, used.length, named.length];
        }""".replace("FILES", json.dumps([path.stem for path in PAGE.glob("*.js")]))
    )
    assert missing[0] == []
    assert min(missing[1:]) > 30


def test_numbers_and_plurals_are_russian(visitor: Visitor) -> None:
    page = visitor.open(locale="ru-RU")
    said = page.evaluate(
        """async () => {
            const { say, percent, number, signed } = await import("/web/texts.js");
            return [1, 2, 5, 21, 1234].map(n => say("waiting", { n }))
                .concat([percent(0.834), percent(0.001), number(0.5, 2), signed(-1.26), signed(0.01)]);
        }"""
    )
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in said] == [
        "Решения ждёт 1 фотография", "Решения ждут 2 фотографии", "Решения ждут 5 фотографий",
        "Решения ждёт 21 фотография", "Решения ждут 1 234 фотографии",
        "83 %", "<1 %", "0,50", "−1,3", "0,0",
    ]  # fmt: skip


def paper(page: Page) -> int:
    """How light the page is, 0 to 255."""
    colour = page.evaluate(
        """() => {
            const pen = document.createElement("canvas").getContext("2d");
            pen.fillStyle = getComputedStyle(document.body).backgroundColor;
            pen.fillRect(0, 0, 1, 1);
            return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
        }"""
    )
    return int(np.mean(colour))


def test_light_and_dark_by_the_browser_and_by_a_switch(visitor: Visitor) -> None:
    page = visitor.open(color_scheme="light")
    assert paper(page) > 200
    page.emulate_media(color_scheme="dark")
    assert paper(page) < 60
    page.get_by_role("button", name="Light colours").click()
    assert paper(page) > 200
    page.reload()
    assert paper(page) > 200  # it is remembered
    page.get_by_role("button", name="Dark colours").click()
    assert paper(page) < 60


# The address is the state.


def test_a_link_restores_everything(visitor: Visitor, ask: Callable[..., Any]) -> None:
    wanted = {
        "after": "2024-05-02",
        "before": "2024-05-21",
        "folder": "Photos/Walks",
        "kind": "jpeg",
    }
    answer = ask("/search", q=MATCHING, **wanted)
    number = photos_of(answer)[1]
    address = "&".join(f"{name}={value}" for name, value in wanted.items())
    page = visitor.open(f"/?q={MATCHING}&{address}&photo={number}")
    expect(page.locator("#viewer .name")).to_have_text(answer["hits"][1]["photo"]["name"])
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    assert query(page.url) == {"q": MATCHING} | wanted
    expect(page.locator("#q")).to_have_value(MATCHING)
    assert shown(page) == photos_of(ask("/search", q=MATCHING, n=40, **wanted))
    chips = page.locator("#chips .chip")
    assert chips.all_text_contents() == [
        "from May 2, 2024",
        "to May 20, 2024",
        "Photos/Walks",
        "JPEG",
    ]
    page.reload()
    first_photos(page, photos_of(answer))
    assert chips.count() == 4


def test_back_and_forward(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open()
    newest = [photo["id"] for photo in ask("/photos")["photos"]]
    page.locator("#q").fill(MATCHING)
    found = photos_of(ask("/search", q=MATCHING))
    first_photos(page, found)
    page.locator("#grid a.photo").nth(1).click()
    expect(page.locator("#viewer")).to_be_visible()
    page.go_back()
    expect(page.locator("#viewer")).to_be_hidden()
    assert focused(page) == found[1]
    page.go_back()
    first_photos(page, newest)
    expect(page.locator("#q")).to_have_value("")
    asked = len(visitor.asked("/search?"))
    page.go_forward()
    first_photos(page, found)
    expect(page.locator("#q")).to_have_value(MATCHING)
    assert len(visitor.asked("/search?")) == asked  # it was known
    page.go_forward()
    expect(page.locator("#viewer")).to_be_visible()


def test_typing_on_leaves_one_step(visitor: Visitor) -> None:
    page = visitor.open()
    for text in ("a boat", "a boat on", MATCHING):
        with page.expect_response("**/search?**"):
            page.locator("#q").fill(text)
    page.go_back()
    expect(page.locator("#q")).to_have_value("")


def test_an_answer_that_never_came_is_not_taken_for_another(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    page = visitor.open(f"/?q={MATCHING}")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/similar/**", hold)
    first_photos(page, photos_of(ask("/search", q=MATCHING)))  # none is drawn anew any more
    page.locator("#grid .photo").first.press("m")
    until(lambda: len(held) == 1)
    page.go_back()
    first_photos(page, photos_of(ask("/search", q=MATCHING)))
    page.unroute("**/similar/**")
    page.go_forward()
    number = query(page.url)["like"]
    first_photos(page, photos_of(ask(f"/similar/{number}")))


def test_the_keyboard_stays_among_the_photos_when_they_change(visitor: Visitor) -> None:
    page = visitor.open()
    page.locator("#grid .photo").nth(2).focus()
    page.keyboard.press("m")
    page.wait_for_selector("#grid .likeness")
    assert focused(page) == shown(page)[0]


# Filters, likeness, weights.


def test_filters_choose_and_chips_remove(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open()
    page.get_by_role("button", name="Filters").click()
    page.locator("#filters [name=folder]").select_option("Photos/Trips/2024")
    first_photos(page, [one["id"] for one in ask("/photos", folder="Photos/Trips/2024")["photos"]])
    expect(page.locator("#summary")).to_have_text("6 photos pass these filters")
    page.get_by_label("To", exact=True).fill("2024-05-10")
    page.wait_for_url("**before=2024-05-11**")  # the last day counts
    expect(page.locator("#summary")).to_have_text("4 photos pass these filters")
    page.get_by_label("From").fill("2024-05-10")
    expect(page.locator("#summary")).to_have_text("1 photo passes these filters")
    page.get_by_label("Camera").select_option("Canon EOS 5D")
    page.get_by_label("Kind").select_option("jpeg")
    page.wait_for_url("**kind=jpeg**")
    for _ in range(2):
        page.locator("#chips .chip").first.click()
    assert set(query(page.url)) == {"folder", "camera", "kind"}
    expect(page.get_by_label("From")).to_have_value("")
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#summary")).to_have_text("22 photos, newest first")
    assert page.locator("#filter-toggle").evaluate("one => one === document.activeElement")


def test_filters_that_nothing_passes_say_so(visitor: Visitor) -> None:
    page = visitor.open("/?before=1990")
    expect(page.locator("#note")).to_contain_text("No photo passes these filters")
    expect(page.locator("#chips")).to_contain_text("to December 31, 1989")


def test_more_like_this_by_key_and_by_mouse(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open()
    first, second = [photo["id"] for photo in ask("/photos")["photos"]][:2]
    page.locator("#q").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("m")
    alike = ask(f"/similar/{first}", n=40)
    first_photos(page, photos_of(alike))
    assert query(page.url) == {"like": str(first)}
    expect(page.locator("#grid .caption").first).to_have_text(
        f"likeness {alike['hits'][0]['similarity']:.2f}"
    )
    assert page.locator("#grid .bar").count() == 0
    page.go_back()
    first_photos(page, [first, second])
    page.locator("#grid .cell").nth(1).hover()
    page.locator("#grid .cell").nth(1).locator(".like").click()
    first_photos(page, photos_of(ask(f"/similar/{second}")))
    note_parts(page)
    page.locator("#q").fill("snow")
    until(lambda: len(parts(page)) == 2)
    assert {"photo": second, "weight": 1} in parts(page)
    page.get_by_role("button", name="Remove “Like this photo”").click()
    page.wait_for_url("**/?q=snow")


def test_words_are_added_and_subtracted(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open("/?q=boat on the sea")
    minus, plus = (page.get_by_role("button", name=f"{what} “sea”") for what in ("Without", "More"))
    assert page.locator("#words .word").all_text_contents() == ["boat", "sea"]
    expect(minus).to_have_attribute("aria-pressed", "false")
    minus.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#q")).to_have_value("boat on the - sea")
    first_photos(page, photos_of(ask("/search", q="boat on the - sea")))
    expect(minus).to_have_attribute("aria-pressed", "true")
    assert minus.evaluate("one => one === document.activeElement")  # though it is another button
    expect(page.get_by_role("button", name="Without “boat”")).to_be_disabled()
    plus.click()
    expect(page.locator("#q")).to_have_value("boat on the sea + sea")
    first_photos(page, photos_of(ask("/search", q="boat on the sea + sea")))
    plus.click()
    expect(page.locator("#q")).to_have_value("boat on the sea")
    page.go_back()
    expect(page.locator("#q")).to_have_value("boat on the sea + sea")


def cases(name: str) -> list[dict[str, Any]]:
    """What the parsers in Python are tried with too."""
    path = Path(__file__).parents[1] / "library" / f"{name}.json"
    loaded: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return loaded


def test_the_notation_is_that_of_the_service(visitor: Visitor) -> None:
    lines = cases("queries")
    read = visitor.open().evaluate(
        """async lines => {
            const { weighted } = await import("/web/query.js");
            return lines.map(line => weighted(line).map(({ text, weight }) => [text, weight]));
        }""",
        [case["line"] for case in lines],
    )
    assert read == [case["parts"] for case in lines]


def test_filters_stay_in_the_query_when_its_words_are_weighed(visitor: Visitor) -> None:
    read = visitor.open().evaluate(
        """async () => {
            const { toggleLess, toggleMore, filtersOf } = await import("/web/query.js");
            const q = 'dog grass after:2021 camera:"canon eos"';
            return [toggleLess(q, "grass"), toggleMore(q, "dog"), filtersOf(q), filtersOf('"kind:png"')];
        }"""
    )
    assert read == [
        'dog - grass after:2021 camera:"canon eos"',
        'dog grass + dog after:2021 camera:"canon eos"',
        {"after": "2021", "camera": "canon eos"},
        {},
    ]


def test_what_is_left_out_is_no_part_of_the_text(visitor: Visitor) -> None:
    read = visitor.open().evaluate(
        """async () => {
            const { leftOut, onlyText, toggleLess, finished } = await import("/web/query.js");
            const q = 'dog on grass -leash -"red ball" in:summer';
            return [leftOut(q), onlyText(q), toggleLess(q, "grass"), leftOut("a t-shirt C++ -5° - x"),
                finished('dog -"red b')];
        }"""
    )
    assert read == [
        ["leash", "red ball"],
        "dog on grass",
        'dog on - grass -leash -"red ball" in:summer',
        [],
        'dog -"red b"',
    ]


def test_a_year_in_the_query_is_a_chip_that_filters(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    taken = [one["taken"] for one in ask("/photos", n=200)["photos"] if one["taken"]]
    year = int(taken[0][:4])
    page = visitor.open(f"/?q=red+in+{year}")
    chip = page.locator("#suggestion")
    expect(chip).to_have_text(f"Only {year}?")
    assert "after" not in page.url
    chip.click()
    page.wait_for_url(f"**q=red&after={year}&before={year + 1}")
    expect(chip).to_be_hidden()


def test_filters_of_the_query_alone_list_photos(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open()
    page.locator("#q").fill("kind:jpeg")
    page.wait_for_url("**q=kind*")
    first_photos(page, [photo["id"] for photo in ask("/photos", kind="jpeg", n=200)["photos"]])


@pytest.mark.parametrize(("locale", "told"), [("en-GB", "in the name: "), ("ru-RU", "в имени: ")])
def test_words_on_record_are_told(
    visitor: Visitor, ask: Callable[..., Any], locale: str, told: str
) -> None:
    name = ask("/photos", n=1)["photos"][0]["name"].rpartition(".")[0]
    page = visitor.open(f"/?q={name}", locale=locale)
    said = page.locator("#grid .cell .on-record").first
    expect(said).to_contain_text(told)
    page.locator("#grid a.photo").first.click()
    expect(page.locator(".caption-place .on-record")).to_contain_text(told)


@pytest.mark.parametrize(
    ("locale", "lines", "told", "summary"),
    [
        (
            "en-GB",
            ["Most of the words are on record", "Probable matches", "Most of the words are on record", "Maybe"],
            "in the name: cake birthday",
            "2 photos probably match",
        ),
        (
            "ru-RU",
            ["Большая часть слов есть в данных фотографии", "Вероятно, подходят"] * 2,
            "в имени: cake birthday",
            "4 фотографии, вероятно, подходят",
        ),
    ],
)  # fmt: skip
def test_most_words_on_record_stand_apart_and_say_where(
    visitor: Visitor, locale: str, lines: list[str], told: str, summary: str
) -> None:
    part = {"in_part": True, "matches": False, "probable": False,
            "on_record": [{"word": word, "source": "name"} for word in ("cake", "birthday")]}  # fmt: skip
    seen = {"in_part": False, "matches": True, "probable": True, "on_record": []}
    maybe = seen | {"probable": "ru" in locale}

    def answered(route: Route) -> None:
        content = route.fetch().json()
        kinds = [part, part, seen, seen, part, maybe, maybe]
        hits = [hit | kind for hit, kind in zip(content["hits"], kinds, strict=False)]
        route.fulfill(json=content | {"matches": True, "notice": None, "next": None, "hits": hits})

    page = visitor.page(locale=locale)
    page.route("**/api/v1/search?*", answered)
    page.goto(f"{visitor.address}/?q=cake birthday red")
    expect(page.locator("#grid .line")).to_have_text(lines)
    expect(page.locator("#summary")).to_have_text(summary)
    assert page.locator("#grid .cell .on-record").all_text_contents() == [told] * 3
    expect(page.locator("#grid > li").nth(1)).to_have_class("cell weak")
    link = page.locator("#grid > li").nth(1).locator("a.photo")
    expect(link).to_have_attribute("aria-label", re.compile(told))


def test_dates_are_those_of_the_service(visitor: Visitor) -> None:
    dates = [case for case in cases("filters") if case["filter"] in {"after", "before"}]
    days = visitor.open().evaluate(
        """async dates => {
            const { shownDay } = await import("/web/dates.js");
            return dates.map(({ filter, text }) => shownDay(filter, text));
        }""",
        dates,
    )
    assert days == [case["day"] for case in dates]


def test_an_address_holds_a_filter_as_it_was_written(visitor: Visitor) -> None:
    written = [[case["filter"], case["text"]] for case in cases("filters")]
    addresses = visitor.open().evaluate(
        """async filters => {
            const { address } = await import("/web/state.js");
            const state = { q: "", like: null, photo: null, review: false };
            return filters.map(([name, text]) => address({ ...state, filters: { [name]: text } }));
        }""",
        written,
    )
    assert [query(one) for one in addresses] == [{name: text} for name, text in written]


# Why.


def is_warm_somewhere(page: Page, canvas: str) -> bool:
    """Whether the layer tells places apart: some veiled, some lit."""
    spread = page.locator(canvas).evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const red = [...data].filter((_, at) => at % 4 === 0);
            return Math.max(...red) - Math.min(...red);
        }"""
    )
    return bool(spread > 100)


def test_hovering_shows_why(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open(f"/?q={MATCHING}")
    number = shown(page)[0]
    cell = page.locator("#grid .cell").first
    cell.locator(".photo").hover()
    why = cell.locator(".why-words")
    expect(why).to_be_visible()
    words = ask(f"/photos/{number}/explain", q=MATCHING)["words"]
    assert why.locator("span").evaluate_all(
        "all => all.map(one => one.firstChild.textContent)"
    ) == [word["word"] for word in words]
    boat = next(word["effect"] for word in words if word["word"] == "boat")
    expect(why).to_contain_text(f"boat {boat:+.1f}".replace("-", "−"))
    assert is_warm_somewhere(page, "#grid canvas.heat")
    page.locator("#summary").hover()
    expect(page.locator("#grid .heat")).to_have_count(0)
    expect(why).to_have_count(0)


def test_words_in_the_picture_are_framed(visitor: Visitor, service: Running) -> None:
    number = shown(visitor.open())[0]
    text = PictureText("engine-1", (TextLine("ZIRKUS", 0.9, (0.25, 0.5, 0.75, 0.6)),))
    with closing(open_store(service.library)) as store:
        store.keep_picture_texts({store.by_public_id(number): text})
    page = visitor.open("/?q=zirkus")
    expect(page.locator("#grid .on-record").first).to_have_text("in the picture: zirkus")
    cell = page.locator("#grid .cell").first
    cell.locator(".photo").hover()
    expect(cell.locator(".regions rect")).to_have_count(1)
    page.locator("#summary").hover()
    expect(page.locator("#grid .regions")).to_have_count(0)
    cell.locator(".photo").click()
    page.keyboard.press("e")
    box = page.locator("#viewer .regions rect")
    expect(box).to_have_count(1)
    framed, picture = box.bounding_box(), page.locator("#viewer .frame").bounding_box()
    assert framed is not None
    assert picture is not None
    assert (framed["x"] - picture["x"]) / picture["width"] == pytest.approx(0.25, abs=0.02)
    assert (framed["y"] - picture["y"]) / picture["height"] == pytest.approx(0.5, abs=0.02)
    assert framed["width"] / picture["width"] == pytest.approx(0.5, abs=0.03)
    page.keyboard.press("e")
    expect(box).to_have_count(0)


def test_a_key_shows_why_and_says_it(visitor: Visitor) -> None:
    page = visitor.open(f"/?q={MATCHING}")
    page.locator("#q").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("e")
    expect(page.locator("#grid canvas.heat")).to_have_count(1)
    expect(page.locator("#announcer")).to_contain_text("What each word adds: a ")
    press(page, "у")  # the same key on a Russian keyboard
    expect(page.locator("#grid canvas.heat")).to_have_count(0)


def test_a_sum_cannot_be_explained(visitor: Visitor) -> None:
    page = visitor.open("/?q=dog - car")
    page.locator("#grid .photo").first.click()
    expect(page.locator("#viewer .why")).to_be_hidden()
    page.keyboard.press("e")
    expect(page.locator("#viewer")).to_contain_text("Only a search in plain words can be explained")
    assert visitor.asked("/explain") == []


# Full screen and keyboard.


def test_the_keyboard_alone_does_everything(visitor: Visitor, ask: Callable[..., Any]) -> None:
    page = visitor.open()
    page.keyboard.press("/")
    page.keyboard.type(MATCHING)
    found = photos_of(ask("/search", q=MATCHING, n=40))
    first_photos(page, found)
    page.keyboard.press("ArrowDown")
    assert focused(page) == found[0]
    page.keyboard.press("ArrowRight")
    assert focused(page) == found[1]
    page.keyboard.press("ArrowDown")
    below = focused(page)
    assert below not in {None, *found[:2]}
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    assert query(page.url)["photo"] == str(below)
    at = found.index(int(below or 0))
    page.keyboard.press("ArrowRight")
    until(lambda: query(page.url)["photo"] == str(found[at + 1]))
    page.keyboard.press("e")
    expect(viewer.locator("canvas.heat")).to_have_count(1)
    assert is_warm_somewhere(page, "#viewer canvas.heat")
    expect(viewer.locator(".why-words")).to_contain_text("boat")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    expect(viewer).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || document.querySelector('#viewer').contains(document.activeElement)"
        )
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert focused(page) == found[at + 1]
    page.keyboard.press("Home")
    assert focused(page) == found[0]
    page.keyboard.press("ArrowUp")
    assert page.locator("#q").evaluate("one => one === document.activeElement")


def test_full_screen_tells_the_facts(
    visitor: Visitor, ask: Callable[..., Any], service: Running
) -> None:
    photo = ask("/photos")["photos"][0]
    page = visitor.open(f"/?photo={photo['id']}")
    viewer = page.locator("#viewer")
    expect(viewer.locator(".name")).to_have_text(photo["name"])
    facts = viewer.locator(".facts dd").all_text_contents()
    assert [one.replace("\N{NARROW NO-BREAK SPACE}", " ") for one in facts] == [
        "May 24, 2024, 10:00 AM", "Canon EOS 5D", photo["folder"], "400 × 300, JPEG",
        str(service.library.parent / photo["folder"] / photo["name"]),
    ]  # fmt: skip
    assert (
        viewer.locator(".frame img").evaluate("async one => (await one.decode(), one.naturalWidth)")
        == 400
    )
    original = str(viewer.locator(".original").get_attribute("href"))
    assert (
        httpx.get(visitor.address + original, trust_env=False).headers["content-type"]
        == "image/jpeg"
    )
    viewer.get_by_role("link", name="More like this").click()
    page.wait_for_url(f"**/?like={photo['id']}")
    expect(viewer).to_be_hidden()


def test_the_viewer_goes_from_photo_to_photo(visitor: Visitor) -> None:
    page = visitor.open(f"/?q={MATCHING}")
    found = shown(page)
    page.locator("#grid .photo").first.click()
    for number in found[1:4]:
        page.get_by_role("button", name="Next photo").click()
        assert query(page.url)["photo"] == str(number)
    page.get_by_role("button", name="Close").click()
    assert focused(page) == found[3]
    assert "photo" not in query(page.url)


def test_a_finger_turns_the_page(visitor: Visitor) -> None:
    page = visitor.open(f"/?q={MATCHING}", **PHONE)
    found = shown(page)
    page.locator("#grid .photo").first.tap()
    swipe = """([from, to]) => {
        const stage = document.querySelector("#viewer .stage");
        const touch = x => [new Touch({ identifier: 1, target: stage, clientX: x, clientY: 300 })];
        stage.dispatchEvent(new TouchEvent("touchstart", { touches: touch(from), changedTouches: touch(from) }));
        stage.dispatchEvent(new TouchEvent("touchend", { changedTouches: touch(to) }));
    }"""
    page.evaluate(swipe, [300, 100])
    assert query(page.url)["photo"] == str(found[1])
    page.evaluate(swipe, [100, 300])
    page.evaluate(swipe, [100, 120])
    assert query(page.url)["photo"] == str(found[0])


# When the service doesn't answer.


@pytest.mark.parametrize(
    ("status", "said"),
    [(503, "The service is busy"), (429, "Too many requests"), (0, "can't be reached")],
)
def test_what_passes_is_waited_for(visitor: Visitor, status: int, said: str) -> None:
    visitor.tolerated = "503|429|ERR_FAILED"
    page = visitor.open()
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        elif status:
            route.fulfill(status=status, headers={"Retry-After": "1"}, body='{"detail": "later"}')
        else:
            route.abort()
        refused.append(route.request.url)

    page.route("**/search?**", refuse_once)
    page.locator("#q").fill(MATCHING)
    expect(page.locator("#line")).to_contain_text(said)
    expect(page.locator("#summary")).to_contain_text("match")
    expect(page.locator("#line")).to_be_empty()
    assert len(refused) == 2


def test_a_library_that_vanished_is_no_busy_service(visitor: Visitor) -> None:
    visitor.tolerated = "503"
    page = visitor.open()
    gone = '{"type": "urn:kadr:problem:no-library", "detail": "gone"}'
    page.route(
        "**/search?**",
        lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}, body=gone),
    )
    page.locator("#q").fill(MATCHING)
    expect(page.locator("#line")).to_contain_text("The library is gone")
    page.unroute("**/search?**")
    expect(page.locator("#summary")).to_contain_text("match")
    expect(page.locator("#line")).to_be_empty()


def test_what_cant_be_put_on_record_is_told_and_not_asked_again(visitor: Visitor) -> None:
    visitor.tolerated = "503"
    page, asked = visitor.open(), list[str]()

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        body = '{"type": "urn:kadr:problem:no-record", "detail": "the key is missing"}'
        route.fulfill(status=503, headers={"Retry-After": "0.1"}, body=body)

    page.route("**/search?**", refuse)
    page.locator("#q").fill(MATCHING)
    expect(page.locator("#line")).to_contain_text("This must be put on record")
    page.wait_for_timeout(500)
    assert len(asked) == 1


def test_a_text_that_is_too_long_is_told(visitor: Visitor) -> None:
    page = visitor.open()
    page.locator("#q").fill("я" * 301)
    expect(page.locator("#line")).to_have_text(
        "A search has at most 300 characters. Shorten this one."
    )
    assert visitor.asked("/search?") == []
    page.locator("#q").fill("я" * 300)
    expect(page.locator("#line")).to_be_empty()


def test_review_has_an_address_of_its_own(visitor: Visitor) -> None:
    page = visitor.open("/review")
    expect(page.locator("#review .photo-name")).to_be_visible()
    assert query(page.url) == {"view": "review"}


def test_below_a_path_the_page_is_whole(browser: Browser, service: Running) -> None:
    """A proxy may serve it below a path: nothing of it may ask the root of the site."""
    with serving(service.library, "--root-path", "/photos") as below:
        visitor = Visitor(browser, below.address)
        page = visitor.open("/photos")
        page.locator("#q").fill(MATCHING)
        expect(page.locator("#summary")).to_contain_text("match")
        page.locator("#grid a.photo").first.click()
        page.wait_for_selector("#viewer[open]")
        page.keyboard.press("Escape")
        page.locator("a.mark").click()
        expect(page.locator("#summary")).to_contain_text("newest first")
        paths = {urlsplit(one.url).path for one in visitor.requests}
        assert {path for path in paths if not path.startswith("/photos")} == set()
        assert urlsplit(page.url).path == "/photos/"
        visitor.close()
        assert visitor.problems == []


def test_a_query_that_cannot_be_read_is_told(visitor: Visitor) -> None:
    visitor.tolerated = "422"
    page = visitor.open()
    page.locator("#q").fill("- leash")
    expect(page.locator("#line")).to_contain_text("only subtracts")
    page.locator("#q").fill(MATCHING)
    expect(page.locator("#line")).to_be_empty()


def test_what_failed_is_asked_again_with_enter(visitor: Visitor) -> None:
    visitor.tolerated = "500"
    page = visitor.open()
    page.route("**/search?**", lambda route: route.fulfill(status=500, body="oops"))
    page.locator("#q").fill(MATCHING)
    expect(page.locator("#line")).to_contain_text("Something went wrong in the service")
    page.unroute("**/search?**")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("match")
    expect(page.locator("#line")).to_be_empty()


def test_a_service_that_began_anew_is_asked_from_the_start(
    visitor: Visitor, ask: Callable[..., Any]
) -> None:
    visitor.tolerated = "422"
    page = visitor.page(viewport={"width": 1280, "height": 1200})
    refused: list[str] = []

    def serve(route: Route) -> None:
        if "cursor=" in route.request.url and not refused:
            refused.append(route.request.url)
            route.fulfill(status=422, body='{"detail": "This cursor is not known."}')
        else:
            route.continue_(url=route.request.url.replace("n=40", "n=4"))

    page.route("**/search?**", serve)
    page.goto(f"{visitor.address}/?q={MATCHING}")
    found = photos_of(ask("/search", q=MATCHING, n=40))
    until(lambda: len(shown(page)) >= 4 and len(refused) == 1)  # small pages, none needs a scroll
    assert shown(page) == found[: len(shown(page))]
    expect(page.locator("#line")).to_be_empty()


# Uploads.


def test_photos_are_added(
    visitor: Visitor, ask: Callable[..., Any], service: Running, tmp_path: Path
) -> None:
    page = visitor.open()
    new = draw_photo(tmp_path / "new.jpg", 4312, taken="2025:01:01 10:00:00")
    doubtful = draw_photo(tmp_path / "doubtful.jpg", 4321)
    broken = tmp_path / "notes.jpg"
    broken.write_bytes(b"no photo")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add photos").click()
    chooser.value.set_files([new, doubtful, broken])
    expect(page.locator("#line")).to_contain_text(
        "1 photo added; 1 more is hidden by law until somebody allows it; not added: notes.jpg ("
    )
    rows = page.locator("#uploading li")
    expect(rows).to_contain_text(
        ["new.jpgAdded", "doubtful.jpgHidden by law until somebody allows it", "notes.jpg"]
    )
    assert violations(page) == []
    page.locator("#uploading").get_by_role("button", name="Close").click()
    expect(page.locator("#uploading")).to_be_hidden()
    expect(page.locator("#summary")).to_have_text("23 photos, newest first")
    added = ask("/photos")["photos"][0]
    assert added["uploaded"]
    first_photos(page, [added["id"]])
    with service.client() as client:
        withheld = number_of(service.library, service.library.parent / "uploads" / "doubtful.jpg")
        allowed = {"decision": "allow", "why": "so that it can be deleted"}
        assert client.post(f"/api/v1/review/{withheld}", json=allowed).status_code == 200
        for number in (added["id"], withheld):  # the library as it was, for the other tests
            assert client.delete(f"/api/v1/photos/{number}").status_code == 204


def test_each_file_tells_its_bytes_and_another_name_that_it_got(visitor: Visitor) -> None:
    page = visitor.open()
    said = page.evaluate(
        """async () => {
            const { UploadList } = await import("/web/uploadlist.js");
            const section = document.querySelector("#uploading");
            const list = new UploadList(section);
            const files = [1, 3].map(size => new File([new Uint8Array(size * 1e6)], `${size}.jpg`));
            list.start(files);
            const states = () => [...section.querySelectorAll(".upload-state")].map(one => one.textContent);
            const told = [states()];
            for (const bytes of [5e5, 2.5e6, 4e6]) { list.progress(files, bytes); told.push(states()); }
            list.tell(files[0], "Added", true);
            list.finish();
            told.push(section.hidden);
            list.tell(files[1], "Added", true);
            list.finish();
            return [...told, section.hidden];
        }"""
    )
    assert said == [
        ["0.0 of 1.0 MB", "0.0 of 3.0 MB"],
        ["0.5 of 1.0 MB", "0.0 of 3.0 MB"],
        ["Being read", "1.5 of 3.0 MB"],
        ["Being read", "Being read"],
        False,
        True,
    ]
    taken = '{"added": [{"id": 1, "name": "beach (2).jpg"}], "withheld": 0, "skipped": [{"file": 1, "reason": "no photo"}]}'
    page.route("**/api/v1/photos", lambda route: route.fulfill(status=201, body=taken))
    sent = [
        {"name": name, "mimeType": "image/jpeg", "buffer": b"1"}
        for name in ("beach.jpg", "notes.jpg")
    ]
    page.locator("#uploads").set_input_files(sent)  # type: ignore[arg-type]
    expect(page.locator("#uploading li")).to_have_text(
        ["beach.jpgAdded as beach (2).jpg", "notes.jpgno photo"]
    )


def test_an_added_photo_is_deleted_and_brought_back(
    visitor: Visitor, ask: Callable[..., Any], service: Running, tmp_path: Path
) -> None:
    page = visitor.open()
    page.locator("#grid a.photo").first.click()
    expect(page.locator("#viewer .name")).not_to_be_empty()
    expect(page.locator("#viewer .delete")).to_be_hidden()  # it lies in the library's own folder
    page.keyboard.press("Escape")
    new = draw_photo(tmp_path / "brief.jpg", 4312, taken="2025:01:01 10:00:00")
    page.locator("#uploads").set_input_files(new)
    expect(page.locator("#line")).to_have_text("1 photo added")
    expect(page.locator("#uploading")).to_be_hidden()
    added = ask("/photos")["photos"][0]
    first_photos(page, [added["id"]])
    kept = service.library.parent / "uploads" / "brief.jpg"
    page.locator("#grid a.photo").first.click()
    page.locator("#viewer .delete").click()
    dialog = page.get_by_role("dialog", name="Delete “brief.jpg”?")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert kept.exists()
    page.locator("#viewer .delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator("#undo-offer")).to_contain_text("brief.jpg: deleted")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#summary")).to_have_text("22 photos, newest first")
    assert not kept.exists()
    assert violations(page) == []
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#line")).to_have_text("brief.jpg is back")
    expect(page.locator("#summary")).to_have_text("23 photos, newest first")
    expect(page.locator("#undo-offer")).to_be_hidden()
    assert kept.read_bytes() == new.read_bytes()
    with service.client() as client:  # the library as it was, for the other tests
        back = ask("/photos")["photos"][0]
        assert client.delete(f"/api/v1/photos/{back['id']}").status_code == 204


def test_photos_that_are_too_many_at_once_are_sent_in_parts(
    visitor: Visitor, tmp_path: Path
) -> None:
    """A service may take less than the page sends; what it never takes is named."""
    visitor.tolerated = "413|422"
    page = visitor.open()
    sent: list[list[str]] = []

    def answer(route: Route) -> None:
        names = re.findall(rb'filename="([^"]*)"', route.request.post_data_buffer or b"")
        sent.append([name.decode() for name in names])
        if len(names) > 1 or names == [b"huge.jpg"]:
            route.fulfill(status=413, body='{"detail": "too much"}')
        elif names == [b"notes.jpg"]:
            errors = '[{"where": "photos.0", "what": "not a readable photo"}]'
            route.fulfill(status=422, body=f'{{"detail": "none", "errors": {errors}}}')
        else:
            body = '{"added": [{"id": 1}], "withheld": 0, "skipped": []}'
            route.fulfill(status=201, body=body)

    page.route("**/api/v1/photos", answer)
    names = ["a.jpg", "huge.jpg", "notes.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(b"bytes")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add photos").click()
    chooser.value.set_files([tmp_path / name for name in names])
    expect(page.locator("#line")).to_contain_text("1 photo added; not added: huge.jpg (")
    expect(page.locator("#line")).to_contain_text("notes.jpg (not a readable photo)")
    assert sent[0] == names
    assert [one for one in sent if len(one) == 1] == [[name] for name in names]


# Everybody can use it.

SCREENS = {
    "browsing": "/",
    "matches": f"/?q={MATCHING}&kind=jpeg&folder=Photos",
    "cards": f"/?q={MATCHING}",
    "nothing": f"/?q={UNMATCHED} - car",
    "refused": f"/?q={REFUSED}",
    "like": "/?like=PHOTO&q=snow",
    "viewer": f"/?q={MATCHING}&photo=PHOTO",
    "review": "/?view=review",
    "review large": "/?view=review",
    "folders": "/?view=folders",
    "collections": "/?view=collections",
}


def arrive(visitor: Visitor, page: Page, screen: str, photo: int) -> None:
    """Go to a screen, and bring onto it all that can be there."""
    page.mouse.move(0, 0)  # a pointer that rests on a photo makes it say why it is there
    page.goto(visitor.address + SCREENS[screen].replace("PHOTO", str(photo)))
    if screen == "viewer":
        page.locator("#viewer .why").click()  # on a phone it opens the sheet
        expect(page.locator("#viewer .bar")).to_be_visible()
        expect(page.locator("#viewer .why-words")).to_be_visible()
    elif screen == "folders":
        page.wait_for_selector("#folders .album")
    elif screen == "collections":
        expect(page.locator("#collections .count")).not_to_be_empty()
    elif screen.startswith("review"):
        page.wait_for_selector("#review .reasons dd")
        if screen == "review large":
            page.keyboard.press("Enter")
            expect(page.locator("#review .doubtful")).to_be_visible()
    else:
        page.wait_for_selector("#note:not([hidden]), #grid a.photo")
    if screen == "matches":
        page.locator("#filter-toggle").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing(
    visitor: Visitor, ask: Callable[..., Any], screen: str, scheme: str
) -> None:
    photo = photos_of(ask("/search", q=MATCHING))[0]
    page = visitor.page(color_scheme=scheme, reduced_motion="reduce")
    arrive(visitor, page, screen, photo)
    assert violations(page) == []
    if screen == "browsing":
        page.keyboard.press("?")
        assert violations(page) == []


@pytest.mark.parametrize(
    ("locale", "screens"), [("en-US", ("browsing", "review")), ("ru-RU", tuple(SCREENS))]
)
def test_a_phone_needs_no_sideways_scroll(
    visitor: Visitor, ask: Callable[..., Any], locale: str, screens: tuple[str, ...]
) -> None:
    photo = photos_of(ask("/search", q=MATCHING))[0]
    page = visitor.page(**PHONE, locale=locale, reduced_motion="reduce")
    for screen in screens:
        arrive(visitor, page, screen, photo)
        wide = page.evaluate(
            """() => [document.documentElement, ...document.querySelectorAll("dialog[open]")]
                .map(one => [one.scrollWidth - one.clientWidth, innerWidth])"""
        )
        assert all(over <= 0 and width == 360 for over, width in wide), (screen, wide)
        cut = page.evaluate(
            """() => [...document.querySelectorAll("button, a.photo, input, select")]
                .filter(one => one.checkVisibility() && !one.closest("#words, #chips, .unseen"))
                .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
                .map(one => one.outerHTML)"""
        )
        assert cut == [], screen
        if screen in {"browsing", "viewer"}:
            # axe takes what is scrolled out of the viewer's panel for text on the page below.
            page.set_viewport_size({"width": 360, "height": 1600})
            assert violations(page) == []
            page.set_viewport_size({"width": 360, "height": 740})


def test_whoever_wants_no_motion_gets_none(visitor: Visitor) -> None:
    page = visitor.open(f"/?q={MATCHING}", reduced_motion="reduce")
    page.locator("#grid .photo").first.focus()
    longest = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll("*")].map(one => {
            const style = getComputedStyle(one);
            return Math.max(...style.transitionDuration.split(", ").map(parseFloat));
        }))"""
    )
    assert longest == 0


# Ten thousand photos.


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("colours") / "model")


@pytest.fixture(scope="module")
def large(
    browser: Browser, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Serve a library whose files are empty: their thumbnails can't be shown."""
    home = tmp_path_factory.mktemp("large")
    library = home / "library.kadr"
    vectors = np.random.default_rng(3).random((MANY, 48), dtype=np.float32)
    with Library.open(library, model=model) as opened:
        fill(opened.store, vectors, colour_matcher(), home / "photos")
    with serving(library, "--model", model, "--policy", "none", environment=FAKES) as running:
        yield running


SCROLL = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const rows = [];
    const end = performance.now() + 40_000;
    while (performance.now() < end) {
        scrollBy(0, 8 * innerHeight);
        await frame();
        await frame();
        rows.push(document.querySelectorAll("#grid > li").length);
        const last = document.querySelector('#grid > li[aria-setsize]:not([aria-setsize="-1"])');
        const isDown = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
        if (last && isDown) break;
    }
    return [Math.max(...rows), rows.length];
}"""


def test_ten_thousand_photos_scroll_without_jank(browser: Browser, large: Running) -> None:
    visitor = Visitor(browser, large.address, tolerated="Failed to load resource")
    page = visitor.page()
    session = page.context.new_cdp_session(page)
    # Their files are empty: no thumbnail ever comes, and none should cost the service anything here.
    session.send("Network.enable")
    session.send("Network.setBlockedURLs", {"urls": ["*size=*"]})
    page.goto(large.address)
    expect(page.locator("#summary")).to_have_text("10,000 photos, newest first")
    session.send("Performance.enable")
    before = spent(session.send("Performance.getMetrics"))
    most, steps = page.evaluate(SCROLL)
    after = spent(session.send("Performance.getMetrics"))
    assert most < 100
    expect(page.locator("#grid > li").last).to_have_attribute("aria-setsize", str(MANY))
    expect(page.locator("#grid > li").last).to_have_attribute("aria-posinset", str(MANY))
    busy = {name: (after[name] - before[name]) / steps * 1000 for name in after}
    assert busy["LayoutDuration"] < 8, busy  # of the 16 ms that a frame has
    assert busy["ScriptDuration"] < 16, busy
    visitor.close()
    assert visitor.problems == []


def spent(metrics: dict[str, Any]) -> dict[str, float]:
    """Seconds so far, by what they were spent on."""
    found = {one["name"]: float(one["value"]) for one in metrics["metrics"]}
    return {name: found[name] for name in ("LayoutDuration", "ScriptDuration")}


def test_what_is_laid_out_never_moves_when_more_comes(browser: Browser, large: Running) -> None:
    visitor = Visitor(browser, large.address, tolerated="Failed to load resource")
    page = visitor.open()
    places = "Object.fromEntries([...document.querySelectorAll('#grid > li')].map(one => [one.getAttribute('aria-posinset'), one.style.transform]))"
    before = page.evaluate(places)
    with page.expect_response("**/timeline/photos?**start=9900**"):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight - 2 * innerHeight)")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_selector("#grid [aria-posinset='1']")
    after = page.evaluate(places)
    assert {index: after[index] for index in before} == before
    page.evaluate("scrollTo(0, 4600)")
    page.wait_for_selector("#grid [aria-posinset='102']")  # beyond where the first stretch ended
    ends = page.evaluate(
        """() => {
            const rows = new Map();
            for (const one of document.querySelectorAll("#grid > li")) {
                const { top, right } = one.getBoundingClientRect();
                rows.set(top, Math.max(rows.get(top) ?? 0, right));
            }
            return [...rows.values()];
        }"""
    )
    assert len(ends) > 5
    assert max(ends) - min(ends) < 1  # every row is full
    visitor.close()


def test_photos_that_cannot_be_shown_say_so(browser: Browser, large: Running) -> None:
    visitor = Visitor(browser, large.address, tolerated="Failed to load resource")
    page = visitor.open("/?q=a red dog")
    note = page.locator("#grid .unreadable").first
    expect(note).to_be_visible()
    expect(note).to_contain_text("Can't be shown")
    expect(note).to_contain_text(".jpg")
    assert violations(page) == []
    page.locator("#grid a.photo").first.click()
    expect(page.locator("#viewer .notice")).to_have_text("Can't be shown")
    expect(page.locator("#viewer .facts")).to_contain_text("400 × 300")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .name")).to_be_visible()
    assert visitor.problems == []
    visitor.close()


def test_what_is_on_the_screen_stays_there_when_the_width_changes(
    browser: Browser, large: Running
) -> None:
    visitor = Visitor(browser, large.address, tolerated="Failed to load resource")
    page = visitor.open()
    page.evaluate("scrollTo(0, 5000)")
    seen = """() => {
        const header = document.querySelector("header").getBoundingClientRect().bottom;
        const all = [...document.querySelectorAll("#grid > li")].map(one => [one.getBoundingClientRect(), one]);
        return all.filter(([box]) => box.bottom > header && box.top < innerHeight).map(([, one]) => one.dataset.index);
    }"""
    until(lambda: int((page.evaluate(seen) or [0])[0]) > 60)
    before = page.evaluate(seen)
    page.set_viewport_size({"width": 700, "height": 800})
    until(lambda: page.locator("#grid").evaluate("one => one.clientWidth") < 700)
    page.wait_for_timeout(100)
    assert before[0] in page.evaluate(seen)[:4]
    visitor.close()


# Keys.


def test_a_key_is_asked_for_and_kept(browser: Browser, model: Path, tmp_path: Path) -> None:
    library = tmp_path / "locked.kadr"
    with Library.open(library, model=model) as opened:
        fill(opened.store, np.zeros((3, 48), np.float32), colour_matcher(), tmp_path / "photos")
    key = keys.add(keys.of(library), "family", ["read"])
    with serving(library, "--model", model, "--policy", "none", environment=FAKES) as locked:
        visitor = Visitor(
            browser, locked.address, tolerated="401|422|404|415|Failed to load resource"
        )
        page = visitor.page()
        page.goto(locked.address)
        dialog = page.locator("#key")
        expect(dialog).to_be_visible()
        assert violations(page) == []
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("This key isn't known")
        assert page.locator("#grid a.photo").count() == 0
        page.keyboard.type(key)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        page.wait_for_selector("#grid a.photo")
        expect(page.get_by_role("link", name="Review")).to_be_hidden()  # the key doesn't allow it
        expect(page.get_by_role("button", name="Add photos")).to_be_hidden()
        page.reload()
        page.wait_for_selector("#grid a.photo")
        expect(dialog).to_be_hidden()
        assert key not in page.evaluate("document.cookie + JSON.stringify(localStorage)")
        visitor.close()
        assert visitor.problems == []
