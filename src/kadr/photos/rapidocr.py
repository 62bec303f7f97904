"""RapidOCR: PaddleOCR's PP-OCRv6 in ONNX, from the extra `ocr`; its networks are in the package.

Detection: Liao et al. 2020, "Real-time Scene Text Detection with Differentiable Binarization".
Recognition: Du et al. 2022, "SVTR: Scene Text Recognition with a Single Visual Model". It reads
Latin, Chinese and Japanese script; its dictionary has no Cyrillic.
"""

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kadr.errors import MissingExtraError, OcrError
from kadr.types import TextLine

if TYPE_CHECKING:
    from PIL import Image

NETWORKS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
"""Named by their files, so that none is ever downloaded."""
LEAST = 0.5
"""Lines that are read less surely aren't told at all."""
LONGEST = 4
"""Times that the longer side may be as long as the shorter one: it enlarges this one to 736 pixels,
and a strip with it to gigabytes."""
THREADS = 4
"""At most: each takes memory of its own."""


class RapidOcr:
    """One reader of text. For one thread at a time."""

    def __init__(self) -> None:
        """Look whether the extra is there.

        Raises:
            MissingExtraError: it isn't.
        """
        try:
            self.version = f"rapidocr-{version('rapidocr')}-PP-OCRv6-small"
        except PackageNotFoundError as error:
            raise MissingExtraError(
                "Text in pictures is read by RapidOCR: pip install 'kadr[ocr]'"
            ) from error
        self._reader: Any = None

    def read(self, image: "Image.Image") -> list[TextLine]:
        """The lines in an RGB picture."""
        if self._reader is None:
            self._reader = _reader()
        pixels = np.ascontiguousarray(np.asarray(_padded(image))[:, :, ::-1])  # it takes BGR
        try:
            found = self._reader(pixels, text_score=LEAST)
        except Exception as error:  # OpenCV's and ONNX's own, which share no base
            raise OcrError(f"the OCR engine fails ({type(error).__name__})") from error
        if found.txts is None:
            return []
        size = np.array(image.size, np.float64)
        return [
            _line(text, confidence, corners / size)
            for text, confidence, corners in zip(found.txts, found.scores, found.boxes, strict=True)
        ]


def _padded(image: "Image.Image") -> "Image.Image":
    """A picture that is too long, with grey at the right or below."""
    from PIL import Image

    width, height = image.size
    size = max(width, -(-height // LONGEST)), max(height, -(-width // LONGEST))
    if size == image.size:
        return image
    padded = Image.new("RGB", size, "grey")
    padded.paste(image, (0, 0))
    return padded


def _line(text: str, confidence: float, corners: "np.ndarray[Any, Any]") -> TextLine:
    """A line between its corners [4, 2], as fractions of the picture."""
    inside = corners.clip(0, 1).round(4)
    (left, top), (right, bottom) = inside.min(axis=0).tolist(), inside.max(axis=0).tolist()
    return TextLine(text, round(float(confidence), 4), (left, top, right, bottom))


def _reader() -> Any:
    try:
        import rapidocr
    except ImportError as error:
        raise MissingExtraError(
            f"RapidOCR can't be imported ({error}): pip install 'kadr[ocr]'"
        ) from error
    folder = Path(rapidocr.__file__).parent / "models"
    networks = {f"{part}.model_path": os.fspath(folder / name) for part, name in NETWORKS.items()}
    lacking = [path for path in networks.values() if not Path(path).exists()]
    if lacking:
        raise MissingExtraError(f"{lacking[0]} is missing: pip install --force-reinstall rapidocr")
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": min(os.cpu_count() or 1, THREADS)}
    return rapidocr.RapidOCR(params=networks | threads | {"Global.log_level": "critical"})
