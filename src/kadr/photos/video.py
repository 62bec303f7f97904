"""Films decoded by FFmpeg (PyAV, extra `video`): single frames, and those that stand for scenes.

FFmpeg is given bytes, never a name: it opens no other file and no address. Containers and codecs
are those of a list; dimensions and duration are limited before anything is decoded.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from PIL import Image

from kadr.errors import ImageError
from kadr.photos import files, film_facts, kinds, scenes
from kadr.types import PhotoFacts

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    _Decoding = Generator[tuple["_Film", float, VideoFrame], None, None]

MAX_PIXELS = 2**26
"""A film of larger pictures is refused (8K has 33 million pixels)."""
MAX_SECONDS = 12 * 3600
"""A longer film is refused."""
CODECS = (
    *("h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "theora"),
    *("mpeg4", "mpeg2video", "mpeg1video", "msmpeg4v2", "msmpeg4v3", "h263", "h263i", "flv"),
    *("mjpeg", "prores", "dvvideo", "wmv1", "wmv2", "wmv3", "vc1"),
)
THREADS = 4
"""Of a film that is decoded, at most: each holds pictures."""
CHUNK = 2**17
"""Bytes that FFmpeg gets at a time."""
_EXACT = 0.0006
"""Seconds by which a frame's time may differ from the one in its path, which is rounded."""
_AHEAD = 0.001
"""Seconds after a keyframe's time that are sought, so that rounding doesn't miss it."""
_BACK = (0.0, 15.0, None)
"""Seconds before a frame from which it is looked for, at last from the start: some containers seek
inexactly."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame that stands for a scene: its second in the film, its picture, what is known of it."""

    at: float
    image: Image.Image
    facts: PhotoFacts


def frame(path: Path, at: float, size: int) -> tuple[Image.Image, PhotoFacts]:
    """A frame of a film as RGB, upright, its shorter side no smaller than `size` where it can be.

    Raises:
        ImageError: the film can't be read, or has no frame at this second.
    """
    with closing(_decoding_from(path, at)) as frames:
        for film, when, found in frames:
            if when >= at - _EXACT:
                return film.picture(found, size), film.facts_at(at, found)
    raise ImageError(f"the film shows no picture at {at:g} s")


def _decoding_from(path: Path, at: float) -> "_Decoding":
    """All frames of a film, from a keyframe on that is shown at a second or before it."""
    for back in _BACK:
        with _opened(path) as film:
            if back is not None:
                film.seek(at + _AHEAD - back)
            frames = film.frames()
            first = next(frames, None)
            if first is None or (first[0] > at + _EXACT and back is not None):
                continue
            for when, found in chain([first], frames):
                yield film, when, found
            return


def survey(path: Path, size: int) -> Iterator[Shot | float]:
    """Seconds that a film lasts, then the frames that stand for its scenes, in order.

    Of most films only keyframes are decoded. Between two of them others are where packets are as
    large as where a scene begins, or where there is no keyframe for `scenes.LONGEST` seconds.

    Args:
        path: the film.
        size: as for `frame`.

    Raises:
        ImageError: it can't be read, or holds no picture.
    """
    with _opened(path) as film:
        yield film.seconds
        chooser, count = scenes.Chooser(), 0
        for at, found in film.candidates():
            if chooser.wants(at, _look(found)):
                count += 1
                yield Shot(at, film.picture(found, size), film.facts_at(at, found))
        left = chooser.left(film.seconds)
    if left is not None:
        yield Shot(left, *frame(path, left, size))
    elif count == 0:
        raise ImageError("not a readable film (none of its pictures can be decoded)")


@contextmanager
def _opened(path: Path) -> "Iterator[_Film]":
    """A film that may be decoded; whatever FFmpeg raises within becomes an ImageError."""
    try:
        import av
    except ImportError as error:
        raise ImageError("not a readable photo (a film: pip install 'kadr[video]')") from error
    try:
        with files.opened(path) as file:
            demuxer = _demuxer(file)
            options = {
                "protocol_whitelist": "none",
                "codec_whitelist": ",".join(CODECS),
                "max_pixels": str(MAX_PIXELS),
            }
            with av.open(
                file, "r", format=demuxer, options=options, buffer_size=CHUNK,
                metadata_errors="replace",
            ) as container:  # fmt: skip
                yield _Film(path, container, _stream(container))
    except ImageError:
        raise
    except OSError as error:
        if isinstance(error, av.FFmpegError):
            raise _refusal(error) from error
        raise ImageError(f"can't be read ({error.strerror or error})") from error
    except Exception as error:  # a hostile file makes a decoder raise anything
        raise _refusal(error) from error


def _demuxer(file: IO[bytes]) -> str:
    """FFmpeg's reader of a film that is at its start.

    Raises:
        ImageError: it is none.
    """
    head = file.read(kinds.HEAD)
    file.seek(0)
    demuxer = kinds.demuxer(head)
    if demuxer is None:
        what = "its bytes are no film" if head else "the file is empty"
        raise ImageError(f"not a readable film ({what})")
    return demuxer


def _refusal(error: Exception) -> ImageError:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ImageError(f"not a readable film ({str(said).splitlines()[0][:100]})")


def _stream(container: "InputContainer") -> "VideoStream":
    """The pictures that a player shows.

    Raises:
        ImageError: there are none, or none that may be decoded.
    """
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [one for one in container.streams.video if not one.disposition & covers]
    if not streams:
        raise ImageError("not a readable film (it holds no moving picture)")
    stream = next((one for one in streams if one.disposition & Disposition.default), streams[0])
    context = stream.codec_context
    if context is None or context.name not in CODECS:
        raise ImageError("not a readable film (its codec isn't one that is read)")
    if not context.width or not context.height:
        raise ImageError("not a readable film (its pictures have no size)")
    if context.width * context.height > MAX_PIXELS:
        size = f"{context.width}x{context.height}"
        raise ImageError(f"{size} pixels are more than are read of a film ({MAX_PIXELS:,})")
    return stream


class _Film:
    """A film that is open, and the stream of its pictures."""

    def __init__(self, path: Path, container: "InputContainer", stream: "VideoStream") -> None:
        self._path, self._container, self._stream = path, container, stream
        self._base = float(stream.time_base or 0) or 1e-3
        self._start = container.start_time / 1e6 if container.start_time is not None else 0.0
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(THREADS, os.cpu_count() or 1)
        self._facts: PhotoFacts | None = None
        self.seconds = self._duration()
        if self.seconds > MAX_SECONDS:
            raise ImageError(f"it lasts more than {MAX_SECONDS // 3600} h, the most that is read")

    def _duration(self) -> float:
        """Seconds, as far as the file says; 0 where it doesn't."""
        if self._container.duration is not None:
            return max(0.0, self._container.duration / 1e6)
        return max(0.0, (self._stream.duration or 0) * self._base)

    def seek(self, at: float) -> None:
        """Go to the last keyframe before a second, where the container can tell it."""
        target = int((max(0.0, at) + self._start) / self._base)
        with suppress(Exception):
            self._container.seek(target, stream=self._stream, backward=True)

    def frames(self) -> "Iterator[tuple[float, VideoFrame]]":
        for packet in self._container.demux(self._stream):
            yield from self._decoded(packet)

    def _decoded(self, packet: Any) -> "Iterator[tuple[float, VideoFrame]]":
        """The frames of a packet, with their seconds; of a damaged one none."""
        import av

        try:
            frames = packet.decode()
        except (av.FFmpegError, EOFError):
            return
        for one in frames:
            pts = one.pts if one.pts is not None else one.dts
            if pts is None or one.width * one.height > MAX_PIXELS:
                continue
            at = pts * float(one.time_base or self._base) - self._start
            if at > -_EXACT:  # what lies before the start isn't shown
                yield max(0.0, round(at, 3)), one

    def candidates(self) -> "Iterator[tuple[float, VideoFrame]]":
        """Frames that may begin a scene, and how long each is into the film, in order."""
        self._stream.codec_context.skip_frame = "NONKEY"
        spans = scenes.Spans()
        for packet in self._container.demux(self._stream):
            when = None if packet.pts is None else packet.pts * self._base - self._start
            if when is not None and when > MAX_SECONDS:
                raise ImageError(f"it lasts more than {MAX_SECONDS // 3600} h")
            if packet.size and not spans.add(when, packet.size, key=packet.is_keyframe):
                continue
            for at, found in self._decoded(packet):
                yield from self._between(spans.before(at))
                yield at, found
        spans.end(self.seconds)
        yield from self._between(spans.before(float("inf")))

    def _between(
        self, spans: "Iterator[tuple[float, list[float]]]"
    ) -> "Iterator[tuple[float, VideoFrame]]":
        """Frames at some seconds after keyframes, all others before them decoded too."""
        for keyframe, wanted in spans:
            left = wanted
            with closing(_decoding_from(self._path, keyframe)) as frames:
                for _, at, found in frames:
                    if at >= left[0] - _EXACT:
                        yield at, found
                        left = [one for one in left if one > at + _EXACT]
                    if not left:
                        break

    def picture(self, found: "VideoFrame", size: int) -> Image.Image:
        """A frame as RGB, upright, reduced to twice the wanted size where it is larger."""
        width, height = self._shape(found)
        factor = min(1.0, 2 * max(size, 1) / max(1, min(width, height)))
        sides = {"width": max(1, round(width * factor)), "height": max(1, round(height * factor))}
        interpolation = "AREA" if factor < 1 else "BICUBIC"
        rgb = found.reformat(**sides, format="rgb24", interpolation=interpolation)
        image: Image.Image = rgb.to_image()
        turn = _TURNS.get(round(found.rotation / 90) % 4)
        return image if turn is None else image.transpose(turn)

    def _shape(self, found: "VideoFrame") -> tuple[int, int]:
        """Width and height with square pixels, not turned yet."""
        ratio = self._stream.sample_aspect_ratio
        wide = float(ratio) if ratio else 1.0
        return (round(found.width * wide) if 0.1 < wide < 10 else found.width), found.height

    def facts_at(self, at: float, found: "VideoFrame") -> PhotoFacts:
        """What the film says of itself, at the second of a frame."""
        if self._facts is None:
            width, height = self._shape(found)
            size = (height, width) if round(found.rotation / 90) % 2 else (width, height)
            tags = {**self._stream.metadata, **self._container.metadata}
            facts = film_facts.read(tags, size, self._path.name)
            # One is surveyed, and all are sent: what the others show, a person has to look at.
            alone = len(self._container.streams.video) == 1
            self._facts = replace(facts, texts_complete=facts.texts_complete and alone)
        return film_facts.at(self._facts, at)


_TURNS = {
    1: Image.Transpose.ROTATE_90,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_270,
}
"""By quarter turns against the clock that a player makes."""


def _look(found: "VideoFrame") -> scenes.Look:
    small = found.reformat(
        width=scenes.WIDTH, height=scenes.HEIGHT, format="rgb24", interpolation="AREA"
    )
    look: scenes.Look = small.to_ndarray()
    return look
