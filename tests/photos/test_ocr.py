"""Text is read by an engine in a process of its own, which nothing in a photo can hold up."""

import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from kadr.errors import ImageError, KadrError, MissingExtraError
from kadr.photos import files, ocr, ocr_worker, rapidocr
from kadr.photos.ocr_worker import OcrWorker
from kadr.types import PictureText, TextLine
from shell import PLUGINS
from signs import paint_sign

SALE = TextLine("SALE 50%", 0.95, (0.25, 0.4, 0.75, 0.6))


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.pathsep.join(filter(None, (str(PLUGINS), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)


def read(worker: OcrWorker, photo: Path) -> PictureText:
    return worker.read(photo, files.digest(photo))


def test_what_an_engine_reads_comes_back(tmp_path: Path) -> None:
    with OcrWorker("signs") as worker:
        assert worker.engine == "fake-signs-1"
        assert read(worker, paint_sign(tmp_path / "a.png", "red")).lines == (SALE,)
        assert read(worker, paint_sign(tmp_path / "b.png", "grey")) == PictureText("fake-signs-1")
        said = read(worker, paint_sign(tmp_path / "Öl\n.png", "blue"))
        assert [line.text for line in said.lines] == ["Öffnungszeiten"]


def test_one_bad_photo_ends_nothing(tmp_path: Path) -> None:
    red = paint_sign(tmp_path / "red.png", "red")
    with OcrWorker("signs") as worker:
        assert read(worker, red).lines == (SALE,)
        assert read(worker, paint_sign(tmp_path / "k.png", "black")).problem == "too dark"
        crashed = read(worker, paint_sign(tmp_path / "m.png", "magenta"))
        assert crashed == PictureText("fake-signs-1", problem=ocr_worker.TOO_MUCH)
        assert read(worker, red).lines == (SALE,)
        worker._seconds = 0.2
        late = read(worker, paint_sign(tmp_path / "y.png", "yellow"))
        assert late.problem == "takes more than 0 s"
        worker._seconds = ocr_worker.SECONDS
        assert read(worker, red).lines == (SALE,)


def test_a_file_that_isnt_what_it_was_is_no_result(tmp_path: Path) -> None:
    photo = paint_sign(tmp_path / "a.png", "red")
    with OcrWorker("signs") as worker:
        with pytest.raises(ImageError, match="changed since it was indexed"):
            worker.read(photo, 64 * "0")
        with pytest.raises(ImageError, match="can't be read"):
            worker.read(tmp_path / "gone.png", 64 * "0")
        (tmp_path / "text.png").write_text("no photo")
        with pytest.raises(ImageError):
            read(worker, tmp_path / "text.png")
        assert read(worker, photo).lines == (SALE,)


def test_no_process_is_left(tmp_path: Path) -> None:
    worker = OcrWorker("signs")
    with worker:
        read(worker, paint_sign(tmp_path / "a.png", "red"))
        process = worker._process
        assert process is not None
        assert process.poll() is None
    assert process.returncode is not None


def test_engines_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KadrError, match=r"'tess': no such OCR engine. Known: rapidocr, signs."):
        ocr.load("tess")

    def lacking(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(rapidocr, "version", lacking)
    with pytest.raises(MissingExtraError, match=r"pip install 'kadr\[ocr\]'"):
        OcrWorker(ocr.DEFAULT)
