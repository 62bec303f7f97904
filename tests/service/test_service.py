"""The service in this process: what its routes answer, who may enter, what the law hides."""

import io
import json
import shutil
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kadr.law import review, sampling
from kadr.law.assessor import Assessor
from kadr.library.library import Library
from kadr.matcher import bundle as matcher
from kadr.service import keys, server
from kadr.service.app import create_app
from kadr.service.config import SCOPES, Service
from kadr.service.cursors import Cursors
from kadr.service.problems import ProblemError
from kadr.stores import open_store
from kadr.stores.sqlite import SqliteStore
from kadr.types import Assessment, PictureText, TextLine
from libraries import assess, colour_matcher, corner_matcher, paint

pytestmark = pytest.mark.usefixtures("plain_ids")

DISCLAIMER = "This image is unavailable in your country in compliance with local laws"
COUNT = 12
LIBRARY_SECRET = b"sixteen bytes or more"
QUERY = "a red dog and a blue car"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return matcher.save(colour_matcher(), tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Give a library of painted photos, whose third and fourth are of children."""
    home = tmp_path_factory.mktemp("library")
    for seed in range(COUNT):
        paint(home / "photos" / ("old" if seed % 2 else "new") / f"{seed:02}.png", seed)
    dated = Image.Exif()
    dated[0x8769] = {0x9003: "2021:06:01 10:00:00"}
    with Image.open(home / "photos" / "new" / "00.png") as first:
        first.save(first.filename, exif=dated)
    with Library.open(home / "library.kadr", model=model) as library:
        library.index([home / "photos"])
    store = open_store(home / "library.kadr")
    assess(store, dict.fromkeys(range(1, COUNT + 1), 0.0) | {3: 0.9, 4: 0.5})
    store.close()
    return home / "library.kadr"


@pytest.fixture(scope="module")
def service(made: Path, model: Path) -> Service:
    return Service(made, model=model, anonymous=frozenset(SCOPES), rate=None)


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service)) as opened:
        yield opened


def get(client: TestClient, path: str, status: int = 200, **parameters: Any) -> Any:
    answer = client.get(f"/api/v1{path}", params=parameters)
    assert answer.status_code == status, answer.text
    return answer.json()


def problem(answer: Any, status: int) -> str:
    """Check the shape of a problem; what it says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["request_id"] == answer.headers["x-request-id"]
    return str(told["detail"])


class TestSearching:
    def test_the_answer_is_that_of_the_library(
        self, client: TestClient, made: Path, model: Path
    ) -> None:
        found = get(client, "/search", q=QUERY, n=5)
        with Library.open(made, model=model, policy="under-16") as library:
            expected = library.search(QUERY, 5)
        photos = [hit for hit in found["hits"] if hit["kind"] == "photo"]
        assert [hit["photo"]["id"] for hit in photos] == [
            int(hit.image.id) for hit in expected.hits
        ]
        assert [hit["probability"] for hit in photos] == [
            pytest.approx(hit.probability) for hit in expected.hits
        ]
        assert found["matches"] == expected.matches
        assert found["at_least"] == expected.at_least
        assert (found["next"] is None) == (expected.next is None)
        assert found["policy"] == "under-16"

    def test_words_on_record_are_told(self, client: TestClient) -> None:
        name = get(client, "/photos", n=1)["photos"][0]["name"]
        (first, *_) = get(client, "/search", q=name.rpartition(".")[0], n=5)["hits"]
        assert first["photo"]["name"] == name
        assert {one["source"] for one in first["on_record"]} == {"name"}
        assert all(hit["on_record"] == [] for hit in get(client, "/search", q=QUERY)["hits"])

    def test_words_in_pictures_are_told_with_their_places(
        self, made: Path, model: Path, tmp_path: Path
    ) -> None:
        library, region = tmp_path / "library.kadr", (0.1, 0.2, 0.5, 0.4)
        shutil.copy(made, library)
        text = PictureText("engine-1", (TextLine("Grand Zirkus", 0.9, region),))
        with closing(open_store(library)) as store:
            store.keep_picture_texts(dict.fromkeys((2, 3, 4), text))  # 3 and 4 are hidden
        served = Service(library, model=model, anonymous=frozenset(SCOPES), rate=None)
        with TestClient(create_app(served)) as client:
            hits = get(client, "/search", q="zirkus", n=50)["hits"]
        told = {hit["photo"]["id"]: hit["on_record"] for hit in hits if hit["on_record"]}
        assert told == {2: [{"word": "zirkus", "source": "picture", "regions": [list(region)]}]}

    def test_filters_may_stand_in_the_query(self, client: TestClient) -> None:
        for kind in ("png", "jpeg"):
            typed = get(client, "/search", q=f"{QUERY} kind:{kind}", n=50)
            assert typed == get(client, "/search", q=QUERY, kind=kind, n=50)
        assert "is no kind" in get(client, "/search", 422, q="dog kind:nice")["detail"]

    def test_pages_join(self, client: TestClient) -> None:
        whole = get(client, "/search", q=QUERY, n=50)["hits"]
        page = get(client, "/search", q=QUERY, n=5)
        seen = page["hits"]
        while page["next"] is not None:
            page = get(client, "/search", q=QUERY, n=5, cursor=page["next"])
            seen += page["hits"]
        assert [hit.get("photo") for hit in seen] == [hit.get("photo") for hit in whole]
        assert len(whole) == COUNT - 2

    def test_hidden_photos_are_left_out_and_the_answer_says_that_there_are_some(
        self, client: TestClient
    ) -> None:
        found = get(client, "/search", q=QUERY, n=50)
        assert found["withheld"] == DISCLAIMER
        assert not {3, 4} & {hit["photo"]["id"] for hit in found["hits"]}

    def test_with_filters_hidden_photos_are_left_out(self, client: TestClient) -> None:
        hits = get(client, "/search", q=QUERY, n=50, kind="png")["hits"]
        assert len(hits) == COUNT - 2
        assert {hit["kind"] for hit in hits} == {"photo"}

    def test_folders_are_named_from_the_indexed_one(self, client: TestClient) -> None:
        hits = get(client, "/search", q=QUERY, n=50, folder="photos/old")["hits"]
        assert {hit["photo"]["folder"] for hit in hits} == {"photos/old"}
        assert get(client, "/search", q=QUERY, folder="photos/none")["hits"] == []

    def test_a_query_names_a_folder_by_its_last_names(self, client: TestClient) -> None:
        wanted = get(client, "/search", q=QUERY, n=50, folder="photos/old")["hits"]
        assert wanted
        for name in ("old", "OLD", "photos/old", "old/"):
            assert get(client, "/search", q=f"{QUERY} in:{name}", n=50)["hits"] == wanted
        listed = client.get("/api/v1/photos?in=old&n=50").json()["photos"]
        assert {one["folder"] for one in listed} == {"photos/old"}
        parts = json.dumps({"parts": [{"text": QUERY}], "n": 50, "filters": {"in": "old"}})
        summed = client.post("/api/v1/search", data={"query": parts}).json()["hits"]
        assert [hit["photo"]["id"] for hit in summed] == [hit["photo"]["id"] for hit in wanted]

    def test_a_folder_outside_the_library_is_as_unknown_as_none(
        self, client: TestClient, made: Path
    ) -> None:
        none = get(client, "/search", q=f"{QUERY} in:nothing")
        assert none["hits"] == []
        home = made.parent
        for name in (home.name, f"{home.name}/photos", str(home / "photos"), "/", "..", "tmp"):
            found = get(client, "/search", q=f"{QUERY} in:{name}")
            assert found | {"next": None} == none, name

    def test_a_year_is_offered_where_photos_of_it_are_shown(self, client: TestClient) -> None:
        offered = get(client, "/search", q=f"{QUERY} in 2021")["suggestion"]
        assert offered == {"query": QUERY, "after": "2021", "before": "2022"}
        assert get(client, "/search", q=f"{QUERY} in 1999")["suggestion"] is None
        assert get(client, "/search", q=QUERY)["suggestion"] is None

    def test_a_query_names_a_collection(self, client: TestClient) -> None:
        answer = client.get("/api/v1/search", params={"q": f"{QUERY} collection:none"})
        assert answer.status_code == 422
        assert "There is no collection of that name" in answer.json()["detail"]

    @pytest.mark.parametrize(
        "folder", ["..", "photos/..", "/", "/etc", "photos//", "elsewhere", "photos/\0"]
    )
    def test_folders_that_are_none_of_the_library_are_as_empty_as_one_of_hidden_photos(
        self, client: TestClient, folder: str
    ) -> None:
        unknown = get(client, "/search", q=QUERY, folder="photos/none")
        assert get(client, "/search", q=QUERY, folder=folder) == unknown
        assert unknown["hits"] == []

    def test_a_query_that_the_law_refuses(self, client: TestClient) -> None:
        found = get(client, "/search", q="a little girl")
        assert (found["refused"], found["notice"], found["hits"]) == (True, DISCLAIMER, [])
        told = get(client, "/search", q="маленькая девочка", lang="ru")
        assert told["notice"].startswith("Это изображение недоступно")

    def test_a_path_is_only_text(self, client: TestClient, made: Path) -> None:
        there = str(made.parent / "photos" / "new" / "00.png")
        found = [get(client, "/search", q=path) for path in (there, "./nothing.png", "~/x.jpg")]
        for answer in found:
            assert answer["at_least"] is not None or answer["notice"]  # as texts are answered

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"q": ""}, "query.q"),
            ({"q": "- leash"}, "only subtracts"),
            ({"q": "x" * 301}, "query.q"),
            ({"q": "x", "n": 0}, "query.n"),
            ({"q": "x", "n": 201}, "query.n"),
            ({"q": "x", "cursor": "0"}, "cursor isn't known"),
            ({"q": "x", "cursor": "AAAAAAAAAAAAAAAAAAAA"}, "cursor isn't known"),
            ({"q": "x", "cursor": "é" * 20}, "cursor isn't known"),
            ({"q": "x", "cursor": "x" * 41}, "query.cursor"),
            ({"q": "x", "at_least": "nan"}, "query.at_least"),
            ({"q": "x", "after": "yesterday"}, "is no date"),
            ({"q": "x", "near": "1,2"}, "is no place"),
            ({"q": "x", "kind": "exe"}, "is no kind"),
            ({"q": "x", "min_size": "0"}, "is no size"),
            ({"q": "x", "lang": "xx"}, "query.lang"),
            ({}, "query.q"),
        ],
    )
    def test_wrong_requests_are_told(
        self, client: TestClient, given: dict[str, Any], said: str
    ) -> None:
        assert said in problem(client.get("/api/v1/search", params=given), 422)

    def test_a_sum_of_texts_photos_and_pictures(self, client: TestClient, made: Path) -> None:
        file = made.parent / "photos" / "new" / "00.png"
        number = next(p["id"] for p in get(client, "/photos")["photos"] if p["name"] == "00.png")
        by_photo = ask(client, {"parts": [{"photo": number}]})
        by_picture = ask(client, {"parts": [{"picture": 0}]}, file.read_bytes())
        assert by_photo["hits"] == by_picture["hits"]
        assert by_photo["hits"][0]["photo"]["id"] == number
        assert by_photo["hits"][0]["probability"] is None
        away = ask(client, {"parts": [{"text": "red"}, {"photo": number, "weight": -1}], "n": 50})
        assert away["hits"][-1]["photo"]["id"] == number
        assert away["withheld"] == DISCLAIMER

    def test_one_text_is_answered_as_a_text(self, client: TestClient) -> None:
        posted = ask(client, {"parts": [{"text": QUERY}]})
        got = get(client, "/search", q=QUERY)
        assert posted | {"next": None} == got | {"next": None}

    @pytest.mark.parametrize(
        "query",
        [
            "{",
            "[]",
            "{}",
            '{"parts": []}',
            '{"parts": [{}]}',
            '{"parts": [{"text": "a", "photo": 1}]}',
            '{"parts": [{"text": "a", "weight": 0}]}',
            '{"parts": [{"text": "a", "weight": -1}]}',
            '{"parts": [{"text": "a", "weight": NaN}]}',
            '{"parts": [{"picture": 0}]}',
            '{"parts": [{"text": "a"}], "more": 1}',
            '{"parts": [' + ", ".join(['{"text": "' + "a" * 300 + '"}'] * 4) + "]}",
        ],
    )
    def test_wrong_sums_are_told(self, client: TestClient, query: str) -> None:
        problem(client.post("/api/v1/search", data={"query": query}), 422)

    def test_a_hidden_photo_is_no_query(self, client: TestClient) -> None:
        assert ask(client, {"parts": [{"photo": 3}]})["refused"]

    def test_of_a_picture_that_is_sent_nothing_tells_whether_the_library_hides_it(
        self, client: TestClient, made: Path
    ) -> None:
        with Library.open(made) as library:
            paths = {number: library.store.present([number])[number][0] for number in (1, 3)}
        hidden, shown = paths[3].read_bytes(), paths[1].read_bytes()
        for content in (hidden, shown, hidden + b"\0"):
            assert not ask(client, {"parts": [{"picture": 0}]}, content)["refused"]
            answer = client.post(
                "/api/v1/score", files={"picture": content}, data={"texts": [QUERY]}
            )
            assert answer.status_code == 200

    def test_a_picture_in_which_the_machine_sees_a_child_is_refused(
        self, client: TestClient, made: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = (made.parent / "photos" / "new" / "00.png").read_bytes()
        seen = [Assessment((), 0.99, None, (), 0.99, "test")]
        monkeypatch.setattr(Assessor, "assess", lambda *_given, **_named: seen)
        assert ask(client, {"parts": [{"picture": 0}]}, content)["refused"]
        files, data = {"picture": content}, {"texts": [QUERY]}
        assert "unavailable" in problem(client.post("/api/v1/score", files=files, data=data), 451)

    @pytest.mark.parametrize("text", ["a child", "a little girl", "маленькая девочка"])
    def test_a_text_that_the_law_refuses_is_refused_wherever_it_is_sent(
        self, client: TestClient, made: Path, text: str
    ) -> None:
        content = (made.parent / "photos" / "new" / "00.png").read_bytes()
        data = {"texts": ["a dog", text]}
        answers = [
            client.post("/api/v1/score", files={"picture": content}, data=data),
            client.get("/api/v1/photos/1/explain", params={"q": text}),
        ]
        for answer in answers:
            assert "unavailable" in problem(answer, 451)
        assert get(client, "/search", q=text)["refused"]
        assert ask(client, {"parts": [{"text": "a dog"}, {"text": text, "weight": -1}]})["refused"]

    def test_an_unknown_photo(self, client: TestClient) -> None:
        problem(client.post("/api/v1/search", data={"query": '{"parts": [{"photo": 99}]}'}), 404)
        problem(client.get("/api/v1/similar/99"), 404)

    def test_similar(self, client: TestClient) -> None:
        found = get(client, "/similar/1", n=50)
        numbers = [hit["photo"]["id"] for hit in found["hits"]]
        assert sorted(numbers) == sorted(set(range(2, COUNT + 1)) - {3, 4})
        assert "unavailable" in problem(client.get("/api/v1/similar/3"), 451)

    def test_scores(self, client: TestClient, made: Path) -> None:
        file = next(made.parent.rglob("00.png"))
        texts = [QUERY, "a green dog"]
        answer = client.post(
            "/api/v1/score", files={"picture": file.read_bytes()}, data={"texts": texts}
        )
        found = answer.json()["scores"]
        with Library.open(made, model=None) as library:
            number = library.store.number(_digest(file))
            assert number is not None
            expected = library.score(number, texts)
        assert [one["text"] for one in found] == texts
        assert [one["probability"] for one in found] == [
            pytest.approx(one.probability, abs=1e-5) for one in expected
        ]

    def test_why(self, client: TestClient) -> None:
        found = get(client, "/photos/1/explain", q=QUERY)
        assert [word["word"] for word in found["words"]] == QUERY.split()
        assert 0 <= found["probability"] <= 1
        problem(client.get("/api/v1/photos/1/explain", params={"q": "red + blue"}), 422)
        problem(client.get("/api/v1/photos/1/explain", params={"q": "red " * 17}), 422)
        problem(client.get("/api/v1/photos/3/explain", params={"q": QUERY}), 451)
        problem(client.get("/api/v1/photos/1/explain", params={"q": "a girl"}), 451)


def test_of_a_library_that_may_only_be_read_only_reading_is_told(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get(client, "/library")["scopes"] == ["read", "review", "write"]
    monkeypatch.setattr(SqliteStore, "readonly", True)
    assert get(client, "/library")["scopes"] == ["read"]


class TestCursors:
    @given(st.integers(0, 2**56 - 1))
    def test_a_cursor_opens_its_own_listing_alone(self, place: int) -> None:
        cursors = Cursors(LIBRARY_SECRET)
        cursor = cursors.of("a").seal(place)
        assert cursor is not None
        assert len(cursor) <= 40
        assert cursors.of("a").open(cursor) == place
        assert Cursors(LIBRARY_SECRET).of("a").open(cursor) == place  # another service's
        assert cursors.of("a").seal(place) != cursor  # not even that two places are one
        with pytest.raises(ProblemError, match="another listing"):
            cursors.of("b").open(cursor)
        with pytest.raises(ProblemError, match="isn't known"):
            Cursors(b"another library's").of("a").open(cursor)

    @given(st.text(max_size=40))
    def test_what_wasnt_made_opens_nothing(self, cursor: str) -> None:
        with pytest.raises(ProblemError, match="isn't known"):
            Cursors(LIBRARY_SECRET).of("a").open(cursor)

    @given(st.integers(0, 2**56 - 1), st.integers(0, 239))
    def test_a_changed_cursor_opens_nothing(self, place: int, bit: int) -> None:
        listing = Cursors(LIBRARY_SECRET).of("a")
        sealed = bytearray(urlsafe_b64decode(str(listing.seal(place))))
        sealed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProblemError, match="isn't known"):
            listing.open(urlsafe_b64encode(sealed).decode())

    def test_another_service_of_the_library_goes_on(self, client: TestClient, made: Path) -> None:
        first = get(client, "/photos", n=4)
        whole = get(client, "/photos")["photos"]
        with TestClient(create_app(client.app.state.service)) as other:  # type: ignore[attr-defined]
            second = get(other, "/photos", n=50, cursor=first["next"])
            assert first["photos"] + second["photos"] == whole
            following = get(client, "/search", q=QUERY, n=3)["next"]
            more = get(other, "/search", q=QUERY, n=3, cursor=following)["hits"]
            hits = get(client, "/search", q=QUERY, n=6)["hits"]
            assert [hit["photo"] for hit in more] == [hit["photo"] for hit in hits[3:]]

    def test_places_dont_show(self, client: TestClient) -> None:
        """Else a gap between two cursors would be a hidden photo that passes the filter."""
        page, cursors = get(client, "/photos", n=1, kind="png"), list[str]()
        while page["next"]:
            cursors.append(page["next"])
            page = get(client, "/photos", n=1, kind="png", cursor=page["next"])
        assert len(set(cursors)) == COUNT - 3
        assert len({len(cursor) for cursor in cursors}) == 1
        cards = get(client, "/photos", n=1)["next"]
        assert cards not in cursors
        other = client.get("/api/v1/photos", params={"cursor": cursors[0]})
        assert "another listing" in problem(other, 422)


class TestPhotos:
    def test_newest_first_and_pages_join(self, client: TestClient) -> None:
        whole = get(client, "/photos")["photos"]
        assert len(whole) == COUNT - 2
        first = get(client, "/photos", n=4)
        second = get(client, "/photos", n=50, cursor=first["next"])
        assert first["photos"] + second["photos"] == whole
        assert second["next"] is None

    def test_the_file_as_it_is(self, client: TestClient, made: Path) -> None:
        told = get(client, "/photos/1/facts")
        file = next(made.parent.rglob(told["name"]))
        answer = client.get("/api/v1/photos/1")
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["etag"] == f'"{told["digest"]}"'
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"

    def test_ranges(self, client: TestClient) -> None:
        whole = client.get("/api/v1/photos/1").content
        part = client.get("/api/v1/photos/1", headers={"Range": "bytes=3-9"})
        assert (part.status_code, part.content) == (206, whole[3:10])
        beyond = client.get("/api/v1/photos/1", headers={"Range": f"bytes={10**9}-"})
        assert "bytes" in problem(beyond, 416)
        assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
        for odd in ("bytes=0-1,3-4", "bytes=5-2", "bytes=" + "9" * 5000 + "-"):
            ignored = client.get("/api/v1/photos/1", headers={"Range": odd})
            assert (ignored.status_code, ignored.content) == (200, whole), odd
        other = client.get("/api/v1/photos/1", headers={"Range": "lines=1-2"})
        assert (other.status_code, other.content) == (200, whole)
        tag = client.get("/api/v1/photos/1").headers["etag"]
        changed = {"Range": "bytes=3-9", "If-Range": '"other"'}
        assert client.get("/api/v1/photos/1", headers=changed).status_code == 200
        same = {"Range": "bytes=3-9", "If-Range": tag}
        assert client.get("/api/v1/photos/1", headers=same).status_code == 206

    def test_what_one_has_isnt_sent_again(self, client: TestClient) -> None:
        for size in ({}, {"size": "320"}):
            tag = client.get("/api/v1/photos/1", params=size).headers["etag"]
            again = client.get("/api/v1/photos/1", params=size, headers={"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
            other = {"If-None-Match": '"other"'}
            assert client.get("/api/v1/photos/1", params=size, headers=other).status_code == 200

    def test_smaller_copies(self, client: TestClient) -> None:
        answer = client.get("/api/v1/photos/1", params={"size": "320"})
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.format, max(picture.size)) == ("JPEG", 16)
        problem(client.get("/api/v1/photos/1", params={"size": "100000"}), 422)

    def test_a_hidden_photo_is_unavailable_for_legal_reasons(self, client: TestClient) -> None:
        hidden = client.get("/api/v1/photos/3")
        assert problem(hidden, 451) == DISCLAIMER
        assert hidden.headers["link"] == '<http://testserver/>; rel="blocked-by"'
        digest = hidden.headers.get("etag")
        assert digest is None
        for path in ("/photos/3?size=320", "/photos/4", "/photos/3/facts", "/similar/4"):
            assert problem(client.get(f"/api/v1{path}"), 451) == DISCLAIMER
        any_tag = {"If-None-Match": "*"}
        problem(client.get("/api/v1/photos/3", headers=any_tag), 451)
        russian = client.get("/api/v1/photos/3", headers={"Accept-Language": "ru-RU,en;q=0.5"})
        assert problem(russian, 451).startswith("Это изображение недоступно")

    def test_a_photo_whose_file_changed_isnt_shown(
        self, made: Path, model: Path, tmp_path: Path
    ) -> None:
        path = paint(tmp_path / "photos" / "a.png", 1)
        with Library.open(tmp_path / "l.kadr", model=model) as library:
            library.index([tmp_path / "photos"])
        service = Service(tmp_path / "l.kadr", policy="none", anonymous=frozenset(SCOPES))
        with TestClient(create_app(service)) as opened:
            assert opened.get("/api/v1/photos/1").status_code == 200
            paint(path, 2)
            for size in ({}, {"size": "320"}):
                answer = opened.get("/api/v1/photos/1", params=size)
                assert "changed or is gone" in problem(answer, 404)
            path.unlink()
            problem(opened.get("/api/v1/photos/1"), 404)
            problem(opened.get("/api/v1/photos/2"), 404)

    def test_a_library_that_is_indexed_meanwhile(self, model: Path, tmp_path: Path) -> None:
        paint(tmp_path / "photos" / "a.png", 1)
        with Library.open(tmp_path / "l.kadr", model=model) as library:
            library.index([tmp_path / "photos"])
            service = Service(tmp_path / "l.kadr", policy="none", anonymous=frozenset(SCOPES))
            with TestClient(create_app(service)) as opened:
                for _ in range(2):
                    assert len(get(opened, "/search", q=QUERY)["hits"]) == 1
                assert get(opened, "/library")["photos"] == 1
                paint(tmp_path / "photos" / "b.png", 2)
                library.index()
                assert len(get(opened, "/search", q=QUERY)["hits"]) == 2
                assert len(get(opened, "/photos")["photos"]) == 2
                assert get(opened, "/library")["photos"] == 2

    def test_a_library_that_is_replaced_or_gone(self, model: Path, tmp_path: Path) -> None:
        paint(tmp_path / "photos" / "a.png", 1)
        with Library.open(tmp_path / "l.kadr", model=model) as library:
            library.index([tmp_path / "photos"])
        paint(tmp_path / "photos" / "b.png", 2)
        with Library.open(tmp_path / "other.kadr", model=model) as library:
            library.index([tmp_path / "photos"])
        service = Service(tmp_path / "l.kadr", policy="none", anonymous=frozenset(SCOPES))
        with TestClient(create_app(service)) as opened:
            assert len(get(opened, "/photos")["photos"]) == 1
            (tmp_path / "other.kadr").replace(tmp_path / "l.kadr")
            assert len(get(opened, "/photos")["photos"]) == 2
            assert len(get(opened, "/search", q=QUERY)["hits"]) == 2
            (tmp_path / "l.kadr").unlink()
            told = opened.get("/api/v1/search", params={"q": QUERY})
            assert str(tmp_path) not in problem(told, 503)

    def test_the_library(self, client: TestClient) -> None:
        found = get(client, "/library")
        assert found["photos"] == COUNT - 2
        assert {one["name"] for one in found["folders"]} == {"photos", "photos/new", "photos/old"}
        assert sum(one["photos"] for one in found["folders"]) == 2 * (COUNT - 2)
        assert (found["policy"], found["hides"]) == ("under-16", True)
        assert found["scopes"] == ["read", "review", "write"]


class TestUploads:
    @pytest.fixture
    def opened(self, model: Path, tmp_path: Path) -> Iterator[TestClient]:
        uploads = tmp_path / "uploads"
        uploads.mkdir()
        service = Service(
            tmp_path / "l.kadr", model=model, policy="none", anonymous=frozenset(SCOPES),
            uploads=uploads, most_pixels=10_000, most_bytes=200_000,
        )  # fmt: skip
        with TestClient(create_app(service)) as client:
            yield client

    def test_added_photos_are_found_and_can_be_deleted(
        self, opened: TestClient, tmp_path: Path
    ) -> None:
        content = paint(tmp_path / "a.png", 1).read_bytes()
        files = [
            ("photos", ("../../evil.png", content, "image/png")),
            ("photos", ("b.png", b"no picture", "image/png")),
        ]
        answer = opened.post("/api/v1/photos", files=files)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        (added,) = told["added"]
        assert [one["file"] for one in told["skipped"]] == [1]
        assert added["uploaded"] is True
        assert added["name"] == "evil.png"
        assert [path.name for path in (tmp_path / "uploads").iterdir()] == [added["name"]]
        assert len(get(opened, "/search", q=QUERY)["hits"]) == 1
        assert opened.delete(f"/api/v1/photos/{added['id']}").status_code == 204
        assert [path.name for path in (tmp_path / "uploads").iterdir()] == [".kadr-bin"]
        assert get(opened, "/search", q=QUERY)["hits"] == []
        problem(opened.get(f"/api/v1/photos/{added['id']}"), 404)

    def test_too_large(self, opened: TestClient, tmp_path: Path) -> None:
        file = io.BytesIO()
        Image.new("RGB", (200, 200)).save(file, "PNG")
        answer = opened.post("/api/v1/photos", files={"photos": ("a.png", file.getvalue())})
        said = problem(answer, 422)
        assert "a.png: 200x200 pixels" in said
        assert "at most 10,000 pixels" in said
        assert "--max-pixels" in said
        assert answer.json()["errors"][0]["where"] == "photos.0"
        big = opened.post("/api/v1/photos", files={"photos": b"\0" * 300_000})
        assert "200,000 bytes" in problem(big, 413)
        assert "--max-bytes" in problem(big, 413)
        assert list((tmp_path / "uploads").iterdir()) == []

    def test_without_a_folder_none_are_taken(self, client: TestClient) -> None:
        answer = client.post("/api/v1/photos", files={"photos": b"x"})
        assert "--uploads" in problem(answer, 409)

    def test_photos_of_folders_are_never_deleted(self, client: TestClient, made: Path) -> None:
        before = sorted(made.parent.rglob("*.png"))
        problem(client.delete("/api/v1/photos/1"), 409)
        problem(client.delete("/api/v1/photos/3"), 451)
        assert sorted(made.parent.rglob("*.png")) == before


class TestReview:
    def test_doubts_and_decisions(self, made: Path, model: Path, tmp_path: Path) -> None:

        home = shutil.copytree(made.parent, tmp_path / "copy")
        ring = keys.of(home / "library.kadr")
        reviewer = keys.add(ring, "Anna", ["read", "review"])
        reader = keys.add(ring, "phone", ["read"])
        service = Service(home / "library.kadr", keys=ring)
        with TestClient(create_app(service)) as opened:
            anna = {"Authorization": f"Bearer {reviewer}"}
            phone = {"Authorization": f"Bearer {reader}"}
            waiting = opened.get("/api/v1/review", headers=anna).json()
            assert [one["photo"]["id"] for one in waiting["photos"]] == [4]
            assert waiting["photos"][0]["assessment"]["probability"] == 0.5
            problem(opened.get("/api/v1/review", headers=phone), 403)
            problem(opened.get("/api/v1/review"), 401)
            picture = opened.get("/api/v1/review/4/picture", headers=anna)
            assert picture.headers["content-type"] == "image/jpeg"
            problem(opened.get("/api/v1/review/4/picture", headers=phone), 403)
            problem(opened.get("/api/v1/photos/4", headers=phone), 451)
            said = {"decision": "allow", "why": "grown-ups"}
            problem(opened.post("/api/v1/review/4", json=said, headers=phone), 403)
            told = opened.post("/api/v1/review/4", json=said, headers=anna)
            assert told.json() == {"outcome": "ruled"}
            assert opened.get("/api/v1/photos/4", headers=phone).status_code == 200
            assert opened.get("/api/v1/review", headers=anna).json()["waiting"] == 0
            undone = opened.post("/api/v1/review/4", json={"decision": "withdraw"}, headers=anna)
            assert undone.json() == {"outcome": "withdrawn"}
            problem(opened.get("/api/v1/photos/4", headers=phone), 451)
            again = opened.post("/api/v1/review/4", json={"decision": "withdraw"}, headers=anna)
            problem(again, 409)
            strange = {"decision": "hide", "alike": 99}
            problem(opened.post("/api/v1/review/4", json=strange, headers=anna), 404)
            problem(opened.post("/api/v1/review/99", json=said, headers=anna), 404)
        with Library.open(home / "library.kadr") as library:
            (ruled,) = library.store.entries("ruled")
        assert (ruled.facts["who"], ruled.facts["why"]) == ("Anna", "grown-ups")

    def test_near_duplicates_and_samples(self, made: Path, model: Path, tmp_path: Path) -> None:

        home = shutil.copytree(made.parent, tmp_path / "copy")
        with Library.open(home / "library.kadr", policy="under-16") as library:
            store = library.store
            photo = store.stored(store.present([3]))[3]
            review.decide(store, photo.digest, review.ruling("hide", "Boris"))
            store.keep_copies([(4, 3)])
            sampling.draw(store, library.policy, 2)
        everything = frozenset(SCOPES)
        service = Service(home / "library.kadr", model=model, anonymous=everything, rate=None)
        with TestClient(create_app(service)) as opened:
            told = opened.get("/api/v1/review").json()
            (doubt,) = told["photos"]
            assert (doubt["alike"], told["waiting"], told["sampled"]) == ([], 1, 2)
            proposal = doubt["proposal"]
            assert (proposal["photo"], proposal["name"]) == (3, photo.paths[0].name)
            assert (proposal["ruling"]["verdict"], proposal["ruling"]["who"]) == ("hide", "Boris")
            said = {"decision": "hide", "alike": 3}
            assert opened.post("/api/v1/review/4", json=said).json() == {"outcome": "ruled"}
            told = opened.get("/api/v1/review", params={"sample": True}).json()
            assert (told["waiting"], len(told["photos"])) == (2, 2)
        with Library.open(home / "library.kadr") as library:
            *_, ruled = library.store.entries("ruled")
        assert ruled.facts["why"] == f"like {photo.digest}"


class TestDoor:
    def test_keys(self, service: Service, tmp_path: Path) -> None:
        ring = tmp_path / "keys.json"
        key = keys.add(ring, "phone", ["read"])
        with TestClient(create_app(replace(service, anonymous=frozenset(), keys=ring))) as opened:
            unknown = opened.get("/api/v1/library")
            problem(unknown, 401)
            assert unknown.headers["www-authenticate"] == "Bearer"
            assert opened.get("/health").status_code == 200
            assert opened.get("/ready").status_code == 200
            problem(opened.get("/metrics"), 401)
            bearer = {"Authorization": f"Bearer {key}"}
            assert opened.get("/api/v1/library", headers=bearer).json()["scopes"] == ["read"]
            for wrong in (key[:-1] + "x", "x", key.upper(), "kadr_00000000_" + key[-43:]):
                problem(
                    opened.get("/api/v1/library", headers={"Authorization": f"Bearer {wrong}"}), 401
                )
            problem(opened.post("/api/v1/session", json={"key": "wrong"}), 401)
            entered = opened.post("/api/v1/session", json={"key": key})
            assert entered.status_code == 204
            cookie = entered.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert opened.get("/api/v1/library").status_code == 200
            assert opened.get("/metrics").status_code == 200
            problem(opened.post("/api/v1/photos", files={"photos": b"x"}), 403)
            assert opened.delete("/api/v1/session").status_code == 204
            problem(opened.get("/api/v1/library"), 401)
            keys.remove(ring, "phone")
            problem(opened.get("/api/v1/library", headers=bearer), 401)

    def test_a_first_key_closes_the_door(self, service: Service, tmp_path: Path) -> None:
        ring = tmp_path / "keys.json"
        with TestClient(create_app(replace(service, anonymous=None, keys=ring))) as opened:
            assert opened.get("/api/v1/library").status_code == 200
            keys.add(ring, "phone", ["read"])
            problem(opened.get("/api/v1/library"), 401)
            ring.write_text("broken")
            told = problem(opened.get("/api/v1/library"), 503)
            assert str(tmp_path) not in told

    def test_secrets_are_kept_as_hashes(self, tmp_path: Path) -> None:
        ring = tmp_path / "keys.json"
        key = keys.add(ring, "телефон", ["review", "read"])
        assert key[-43:] not in ring.read_text(encoding="utf-8")
        assert ring.stat().st_mode & 0o077 == 0
        (kept,) = keys.read(ring)
        assert (kept.name, kept.scopes) == ("телефон", ("read", "review"))

    def test_a_rate(self, service: Service) -> None:
        with TestClient(create_app(replace(service, rate="3/day"))) as opened:
            for _ in range(3):
                get(opened, "/search", q=QUERY)
            over = opened.get("/api/v1/search", params={"q": QUERY})
            problem(over, 429)
            assert 1 <= int(over.headers["retry-after"]) <= 60
            assert opened.get("/api/v1/photos/1?size=320").status_code == 200
            assert opened.get("/health").status_code == 200

    def test_host_names(self, service: Service) -> None:
        names = replace(service, hosts=("127.0.0.1", "photos.example"))
        with TestClient(create_app(names)) as opened:
            for host, status in (
                ("127.0.0.1:8427", 200), ("photos.example", 200), ("PHOTOS.example:80", 200),
                ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421), ("[::", 421),
            ):  # fmt: skip
                answer = opened.get("/health", headers={"Host": host})
                assert answer.status_code == status, host

    def test_other_sites_change_nothing(self, client: TestClient) -> None:
        said = {"decision": "allow"}
        for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                       {"Origin": "null"}):  # fmt: skip
            problem(client.post("/api/v1/review/4", json=said, headers=header), 403)
        own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
        problem(client.post("/api/v1/review/99", json=said, headers=own), 404)

    def test_no_other_origin_may_read(self, client: TestClient) -> None:
        answer = client.get("/api/v1/library", headers={"Origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in answer.headers["content-security-policy"]

    def test_unknown_addresses_and_methods(self, client: TestClient) -> None:
        problem(client.get("/api/v1/nothing"), 404)
        wrong = client.put("/api/v1/search")
        problem(wrong, 405)
        assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}

    def test_too_much_waits(self, service: Service) -> None:
        import threading

        with TestClient(create_app(replace(service, waiting=1))) as opened:
            resources = opened.app.state.resources  # type: ignore[attr-defined]
            go, blocked = threading.Event(), threading.Semaphore(0)

            def block(_library: Library) -> None:
                blocked.release()
                assert go.wait(20)

            from concurrent.futures import ThreadPoolExecutor

            from kadr.law import policy as law
            from kadr.service.resources import SEARCHERS
            from kadr.service.worker_pool import _Job

            for _ in range(SEARCHERS):
                resources.searching._jobs.put(_Job(law.PRESETS["under-16"], block))
                assert blocked.acquire(timeout=20)
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(opened.get, "/api/v1/search", params={"q": QUERY})
                while resources.searching._jobs.qsize() < 1:
                    pass
                refused = opened.get("/api/v1/search", params={"q": QUERY})
                problem(refused, 503)
                assert refused.headers["retry-after"] == "1"
                go.set()
                assert waiting.result().status_code == 200

    def test_answers_on_a_kept_connection_dont_wait(self) -> None:
        """asyncio turns off Nagle's delay for sockets that say that they speak TCP."""
        import socket

        with server.listen("127.0.0.1", 0) as listening:
            assert listening.proto == socket.IPPROTO_TCP

    def test_it_follows_a_library_that_is_switched(self, service: Service, tmp_path: Path) -> None:
        """What is hidden stays hidden, and all its threads share the new matcher."""
        path = Path(shutil.copy(service.library, tmp_path / "library.kadr"))
        corners = matcher.save(corner_matcher(), tmp_path / "corners")

        def photos(opened: TestClient) -> dict[int, float]:
            found = get(opened, "/search", q=QUERY, n=50)["hits"]
            return {
                hit["photo"]["id"]: hit["similarity"] for hit in found if hit["kind"] == "photo"
            }

        with TestClient(create_app(replace(service, library=path, model=None))) as opened:
            before = photos(opened)
            with Library.open(path, model=corners) as other:
                assert other.index(reencode=True).reencoded == COUNT
            after = photos(opened)
            assert after.keys() == before.keys()
            assert after != before
            assert get(opened, "/library")["encoder"] == "fake-corners"
            assert get(opened, f"/similar/{next(iter(after))}")["hits"]
            resources = opened.app.state.resources  # type: ignore[attr-defined]
            assert resources._matchers._matcher.image_encoder.name == "fake-corners"

    def test_what_waits_together_is_encoded_together(self, service: Service) -> None:
        import threading
        from concurrent.futures import ThreadPoolExecutor

        from kadr.law import policy as law
        from kadr.service.resources import SEARCHERS
        from kadr.service.worker_pool import _Job

        with TestClient(create_app(service)) as opened:
            resources = opened.app.state.resources  # type: ignore[attr-defined]
            encoder, seen = resources._matchers._matcher.text_encoder, list[int]()
            go, blocked = threading.Event(), threading.Semaphore(0)

            def block(_library: Library) -> None:
                blocked.release()
                assert go.wait(20)

            for _ in range(SEARCHERS):
                resources.searching._jobs.put(_Job(law.PRESETS["under-16"], block))
                assert blocked.acquire(timeout=20)
            encode = type(encoder).encode

            def counted(itself: object, texts: list[str]) -> Any:
                seen.append(len(texts))
                return encode(itself, texts)

            queries = [f"a red dog and {number} blue cars" for number in range(4)]
            with (
                pytest.MonkeyPatch.context() as patch,
                ThreadPoolExecutor(len(queries)) as pool,
            ):
                patch.setattr(type(encoder), "encode", counted)
                asked = [
                    pool.submit(opened.get, "/api/v1/search", params={"q": q, "n": n})
                    for n, q in enumerate(queries, start=1)
                ]
                while resources.searching._jobs.qsize() < len(queries):
                    pass
                go.set()
                answers = [one.result().json() for one in asked]
            assert sum(seen) == len(queries)
            assert max(seen) > 1
            assert [len(one["hits"]) for one in answers] == [1, 2, 3, 4]
            alone = get(opened, "/search", q=queries[3], n=4)
            assert [hit["rank"] for hit in alone["hits"]] == [1, 2, 3, 4]
            assert alone["hits"] == answers[3]["hits"]


class TestCountries:
    RULES = """
[policies.strict]
extends = "under-16"
[policies.open]
extends = "none"
[countries]
RU = "strict"
CH = "open"
"""

    @pytest.fixture
    def rules(self, service: Service, tmp_path: Path) -> Service:
        path = tmp_path / "law.toml"
        path.write_text(self.RULES)
        return replace(service, policy=str(path))

    def policy(self, opened: TestClient, query: str = "", **headers: str) -> tuple[str, str | None]:
        found = opened.get(f"/api/v1/search?q=red{query}", headers=headers).json()
        return found["policy"], found["country"]

    def test_nobody_says_where_they_are_unless_that_is_believed(self, rules: Service) -> None:
        with TestClient(create_app(rules)) as opened:
            assert self.policy(opened, "&country=CH", **{"CF-IPCountry": "CH"}) == ("strict", None)

    def test_a_fixed_country(self, rules: Service) -> None:
        fixed = replace(rules, country="ch", country_parameter=True)
        with TestClient(create_app(fixed)) as opened:
            assert self.policy(opened, "&country=RU") == ("open", "CH")

    def test_the_request_where_it_is_believed(self, rules: Service) -> None:
        with TestClient(create_app(replace(rules, country_parameter=True))) as opened:
            assert self.policy(opened, "&country=ch") == ("open", "CH")
            assert self.policy(opened, "&country=RU") == ("strict", "RU")
            assert self.policy(opened, "&country=zz") == ("strict", None)
            assert self.policy(opened) == ("strict", None)
            assert opened.get("/api/v1/photos/3?country=CH").status_code == 200
            problem(opened.get("/api/v1/photos/3?country=RU"), 451)
            problem(opened.get("/api/v1/photos/3"), 451)

    def test_a_header_of_a_proxy_that_is_believed(self, rules: Service) -> None:
        told = replace(rules, country_header="CF-IPCountry", proxies=("10.0.0.0/8",))
        app = create_app(told)
        with TestClient(app, client=("10.1.2.3", 1)) as proxy:
            assert self.policy(proxy, **{"CF-IPCountry": "CH"}) == ("open", "CH")
        with TestClient(create_app(told), client=("8.8.8.8", 1)) as stranger:
            assert self.policy(stranger, **{"CF-IPCountry": "CH"}) == ("strict", None)


class TestHealth:
    def test_metrics_tell_no_query(self, client: TestClient) -> None:
        get(client, "/search", q="a very secret query")
        text = client.get("/metrics").text
        assert "kadr_requests_total" in text
        assert "secret" not in text

    def test_logs_are_json_without_queries(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="kadr.access")
        with TestClient(create_app(service)) as opened:
            get(opened, "/search", q="a secret")
            record = caplog.records[-1]
            assert (record.status, record.route) == (200, "/search")  # type: ignore[attr-defined]
            assert "secret" not in json.dumps(record.__dict__, default=str)
        with TestClient(create_app(replace(service, log_queries=True))) as opened:
            get(opened, "/search", q="a secret")
            assert "secret" in caplog.records[-1].query  # type: ignore[attr-defined]

    def test_the_page(self, client: TestClient) -> None:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        for traversal in ("/web/../api/app.py", "/web/%2e%2e/cli.py", "/web//etc/passwd"):
            assert client.get(traversal).status_code == 404


def ask(client: TestClient, query: dict[str, Any], *pictures: bytes) -> Any:
    files = [("pictures", content) for content in pictures]
    answer = client.post("/api/v1/search", data={"query": json.dumps(query)}, files=files or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
