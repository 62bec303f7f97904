"""Films in the service: frames as pictures, the film from there on, and nothing that a law hides."""

import io
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import expect

from kadr.law import review
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.photos import films, kinds
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from kadr.types import Ruling
from libraries import colour_matcher, paint
from pages import Visitor, launched, until
from services import FAKES, serving
from tiny_films import SIDES, fields, make_film

pytestmark = pytest.mark.skipif(not kinds.reads_films(), reason="needs the extra video")
API = "/api/v1"
AT = (0.0, 3.0, 6.0, 9.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a library of two films under a law: of the second one frame is hidden."""
    home = tmp_path_factory.mktemp("films")
    model = matcher.save(colour_matcher(), home / "model")
    make_film(home / "Photos" / "open.webm", [fields(n) for n in range(4)])
    make_film(home / "Photos" / "partly.mp4", [fields(n) for n in range(10, 14)])
    paint(home / "Photos" / "photo.png", 40)
    with Library.open(home / "library.kadr", model=model, policy="under-16") as opened:
        opened.index(home / "Photos")
        rule(opened, [opened.store.stored({n: ()})[n].digest
                      for n in opened.store.hashes()[0].tolist()], "allow")  # fmt: skip
        rule(opened, [digest(opened, home, "partly.mp4", 6.0)], "hide")
    return home


def rule(library: Library, digests: Sequence[str], verdict: str) -> None:
    ruling = Ruling(verdict, "test", "2026-01-01T00:00:00+00:00", "")  # type: ignore[arg-type]
    for one in digests:
        review.decide(library.store, one, ruling)


def digest(library: Library, home: Path, name: str, at: float) -> str:
    found = library.store.digest_at(films.named(home / "Photos" / name, at))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[TestClient]:
    service = Service(home / "library.kadr", model=home / "model", anonymous=frozenset(SCOPES),
                      rate=None)  # fmt: skip
    with TestClient(create_app(service)) as opened:
        yield opened


def photos(client: TestClient, name: str) -> list[dict[str, Any]]:
    """The frames of a film that are shown, in its order."""
    listed = client.get(f"{API}/photos", params={"n": 100}).json()["photos"]
    return sorted((one for one in listed if one["name"] == name), key=lambda one: one["at"])


def test_a_frame_says_which_moment_it_is(client: TestClient) -> None:
    shown = photos(client, "open.webm")
    assert [one["at"] for one in shown] == list(AT)
    assert {(one["kind"], one["uploaded"]) for one in shown} == {("film", False)}
    facts = client.get(f"{API}/photos/{shown[1]['id']}/facts").json()
    assert facts["at"] == 3.0
    (photo,) = client.get(f"{API}/photos", params={"kind": "png"}).json()["photos"]
    assert photo["at"] is None


def test_a_small_copy_is_the_frame(client: TestClient) -> None:
    for number, one in enumerate(photos(client, "open.webm")):
        answer = client.get(f"{API}/photos/{one['id']}", params={"size": 320})
        assert answer.headers["content-type"] == "image/jpeg"
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.size == SIDES
        corner = picture.getpixel((4, 4))
        assert isinstance(corner, tuple)
        assert max(abs(a - int(b)) for a, b in zip(corner, fields(number)[4, 4], strict=True)) < 40


def test_the_file_is_the_film_in_parts(client: TestClient, home: Path) -> None:
    whole = (home / "Photos" / "open.webm").read_bytes()
    address = f"{API}/photos/{photos(client, 'open.webm')[2]['id']}"
    answer = client.get(address)
    assert answer.content == whole
    assert answer.headers["content-type"] == "video/webm"
    assert answer.headers["content-disposition"].endswith("open.webm")
    part = client.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_film_with_a_hidden_frame_is_not_sent_and_its_others_are_shown(
    client: TestClient,
) -> None:
    shown = photos(client, "partly.mp4")
    assert [one["at"] for one in shown] == [0.0, 3.0, 9.0]
    for one in shown:
        address = f"{API}/photos/{one['id']}"
        assert client.get(address, params={"size": 640}).status_code == 200
        for headers in ({}, {"Range": "bytes=0-0"}):
            answer = client.get(address, headers=headers)
            assert answer.status_code == 451
            assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(f"{API}/archive", params={"photos": shown[0]["id"]}).status_code == 451


def test_an_archive_holds_a_film_once(client: TestClient, home: Path) -> None:
    ids = [one["id"] for name in ("open.webm", "partly.mp4") for one in photos(client, name)]
    answer = client.get(f"{API}/archive", params={"photos": ids})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["open.webm", "left out.txt"]
        assert archive.read("open.webm") == (home / "Photos" / "open.webm").read_bytes()


def test_a_search_folds_frames(client: TestClient) -> None:
    asked: dict[str, Any] = {"q": "a red dog kind:film", "at_least": 0.0}
    hits = client.get(f"{API}/search", params=asked).json()["hits"]
    assert sorted(hit["photo"]["name"] for hit in hits) == ["open.webm", "partly.mp4"]
    for hit in hits:
        moments = {hit["photo"]["at"], *hit["moments"]}
        assert moments == set(AT) - ({6.0} if hit["photo"]["name"] == "partly.mp4" else set())
    each = client.get(f"{API}/search", params={**asked, "frames": True}).json()["hits"]
    assert len(each) == 7


def test_a_film_is_not_deleted_and_not_uploaded(client: TestClient, home: Path) -> None:
    one = photos(client, "open.webm")[0]
    assert client.delete(f"{API}/photos/{one['id']}").status_code == 409
    assert (home / "Photos" / "open.webm").exists()


def test_a_film_that_changed_is_not_sent(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "Photos", tmp_path / "Photos")
    with Library.open(tmp_path / "l.kadr", model=home / "model") as opened:
        opened.index(tmp_path / "Photos")
    service = Service(tmp_path / "l.kadr", model=home / "model", policy="none",
                      anonymous=frozenset(SCOPES), rate=None)  # fmt: skip
    with TestClient(create_app(service)) as opened_client:
        address = f"{API}/photos/{photos(opened_client, 'open.webm')[0]['id']}"
        assert opened_client.get(address).status_code == 200
        with (tmp_path / "Photos" / "open.webm").open("ab") as file:
            file.write(b"more")
        for params in ({}, {"size": 320}):
            assert opened_client.get(address, params=params).status_code == 404


def test_the_page_plays_a_film_from_a_frame_on(home: Path) -> None:
    with launched() as browser, serving(
        home / "library.kadr", "--model", home / "model", environment=FAKES
    ) as running:  # fmt: skip
        visitor = Visitor(browser, running.address, tolerated="451|Failed to load resource")
        page = visitor.open("/")
        cell = page.locator("a.photo", has=page.locator(".moment", has_text="0:06")).first
        expect(cell).to_have_attribute("aria-label", re.compile("^film at 0:06"))
        cell.click()
        button = page.get_by_role("button", name="Play from 0:06")
        button.click()
        video = page.locator("#viewer video")
        until(lambda: float(video.evaluate("one => one.currentTime")) >= 6.0)
        page.keyboard.press("Escape")
        partly = page.locator("a.photo", has=page.locator(".moment")).evaluate_all(
            "links => links.filter(one => one.title === 'partly.mp4').map(one => one.href)"
        )
        page.goto(partly[0])
        page.get_by_role("button", name="Play from").click()
        expect(page.locator(".toast")).to_contain_text("hides too")
        expect(page.locator("#viewer .frame img")).to_be_visible()
        assert visitor.problems == []
        visitor.close()
