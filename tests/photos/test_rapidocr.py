"""RapidOCR itself, where the extra `ocr` is installed: it reads signs, and asks no network."""

import socket
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("rapidocr")

from font_roboto import RobotoMedium

from kadr.photos import files
from kadr.photos.ocr_worker import OcrWorker
from kadr.photos.rapidocr import RapidOcr


@pytest.fixture(scope="module")
def engine() -> RapidOcr:
    return RapidOcr()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("it asks the network")

    monkeypatch.setattr(socket.socket, "connect", refused)


def sign(text: str, size: int = 48) -> Image.Image:
    picture = Image.new("RGB", (640, 480), (40, 90, 60))
    font = ImageFont.truetype(RobotoMedium, size)
    ImageDraw.Draw(picture).text((320, 120), text, "white", font, anchor="mm")
    return picture


def test_a_sign_is_read_where_it_stands(engine: RapidOcr) -> None:
    (line,) = engine.read(sign("GRAND SALE"))
    assert line.text.replace(" ", "") == "GRANDSALE"
    assert line.confidence > 0.8
    left, top, right, bottom = line.region
    assert 0.2 < left < 0.35
    assert 0.65 < right < 0.8
    assert 0.15 < top < 0.25 < bottom < 0.35


def test_a_strip_is_read_where_its_words_stand(engine: RapidOcr) -> None:
    (line,) = engine.read(sign("EXIT").crop((0, 90, 640, 150)))
    assert line.text == "EXIT"
    left, top, right, bottom = line.region
    assert 0.35 < left < 0.5 < right < 0.65
    assert 0.0 <= top < 0.5 < bottom <= 1.0


@pytest.mark.parametrize("size", [(1600, 1200), (1, 1), (3, 900)])
def test_nothing_is_read_where_nothing_stands(engine: RapidOcr, size: tuple[int, int]) -> None:
    assert engine.read(Image.new("RGB", size, "grey")) == []


def test_it_knows_no_cyrillic(engine: RapidOcr) -> None:
    said = "".join(line.text for line in engine.read(sign("ЩУКА И ЖУК")))
    assert not any("\u0400" <= letter <= "\u04ff" for letter in said)


def test_it_works_within_the_limits(tmp_path: Path) -> None:
    photo = tmp_path / "sign.png"
    sign("OPEN").resize((4000, 3000)).save(photo)
    with OcrWorker("rapidocr") as worker:
        text = worker.read(photo, files.digest(photo))
    assert (text.problem, [line.text for line in text.lines]) == (None, ["OPEN"])
