"""What words, scene and faces say together of a photo: one probability that a child is in it.

It fails closed: a layer that should have spoken and couldn't is named, and the policy's verdict is
then no better than "review".
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kadr.law import copies, scene
from kadr.law.calibration import Calibration
from kadr.law.faces import Faces
from kadr.law.policy import Faces as When
from kadr.law.words import FORMS, find
from kadr.photos import files
from kadr.types import Assessment, Vectors

if TYPE_CHECKING:
    from PIL import Image

    Picture: TypeAlias = Callable[[], Image.Image]

_ADULT = 16.0
_NAMED = -4.0
"""Log-odds that the scene has at least where a text names a child: whoever wrote it knew the photo,
so a person must look, however sure the networks are that nobody is there."""
_SEAMS = re.compile(
    r"_|(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])|(?<=[A-ZА-ЯЁ])(?=[A-ZА-ЯЁ][a-zа-яё])"
    r"|(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)"
)
"""Where a file name's words touch: kids_2004, OurKids, kids2004."""


@dataclass(frozen=True, slots=True)
class _Photo:
    """What is known of a photo: see `Assessor.assess`. `first` are the first look's log-odds."""

    texts: Sequence[str]
    vector: Vectors | None
    first: float | None
    picture: "Picture | None"
    before: Assessment | None


class Assessor:
    """Assesses photos by texts, faces, and vectors of the scene classifier's encoder."""

    def __init__(
        self,
        faces: When = "never",
        unsure: tuple[float, float] = (0.0, 1.0),
        *,
        finder: Faces | None = None,
        calibration: Calibration | None = None,
        looks_twice: bool = True,
    ) -> None:
        """Load the layers.

        Args:
            faces: when faces are looked for.
            unsure: least and greatest probability, of words and scene together, where "unsure"
                looks for faces.
            finder: what looks for faces; a test gives its own.
            calibration: the library's own, of words and scene together. None: the shipped one.
            looks_twice: whether a photo of which the first look at the scene is unsure is opened
                and looked at part by part.

        Raises:
            BundleError: the scene classifier can't be read.
            MissingExtraError: faces are wanted, and their packages aren't installed.
        """
        self._scene = scene.load()
        self.encoder = self._scene.encoder
        """Name of the image encoder whose vectors it takes."""
        self._when, self._unsure, self._looks_twice = faces, unsure, looks_twice
        self._finder = None if faces == "never" else finder or Faces()
        self._calibration = calibration
        own = (calibration.version,) if calibration else ()
        layers = "+".join((_words_version(), copies.VERSION, self._faces_version(), *own))
        looks = "" if looks_twice else " first look"
        self.version = f"{self._scene.version}{looks}+{layers}"
        self.sceneless_version = f"no scene+{layers}"
        """Version of an assessment of a photo that has no such vector."""

    def _faces_version(self) -> str:
        if self._finder is None:
            return "no faces"
        limits = "" if self._when == "always" else ",".join(f"{p:g}" for p in self._unsure)
        return f"{self._finder.version} {self._when} {limits}".rstrip()

    def assess(
        self,
        texts: Sequence[Sequence[str]],
        vectors: Vectors | None,
        pictures: "Sequence[Picture] | None" = None,
        before: Sequence[Assessment | None] | None = None,
        unread: Sequence[bool] | None = None,
    ) -> list[Assessment]:
        """Assess photos.

        Args:
            texts: of each photo, all texts that belong to it: file names, titles, keywords.
            vectors: float32 [n, dim], of `encoder`. None where there are none: the scene is then a
                layer that failed, which the version tells too.
            pictures: of each photo, what opens it as RGB; called where a face is looked for, and
                where the scene needs a second look. None where photos can't be had: these layers
                have then failed.
            before: of each photo, its assessment until now. Faces that another assessor saw count
                where this one doesn't look: no name or policy makes a face unseen. Those that the
                same layers saw aren't looked for again.
            unread: of each photo, whether there are words that couldn't be read: the words are then
                a layer that failed.

        Raises:
            ValueError: the arguments are of different lengths.
        """
        nothing = [None] * len(texts)
        version = self.sceneless_version if vectors is None else self.version
        known = zip(
            texts,
            nothing if vectors is None else vectors,
            nothing if vectors is None else self._first_looks(vectors),
            pictures or nothing,
            before or nothing,
            strict=True,
        )
        assessments = [replace(self._one(_Photo(*one)), version=version) for one in known]
        return [
            replace(one, failed=("words", *one.failed)) if more else one
            for one, more in zip(assessments, unread or [False] * len(texts), strict=True)
        ]

    def _first_looks(self, vectors: Vectors) -> list[float | None]:
        """Log-odds of each photo; None where the classifier can't tell."""
        return [_finite(odds) for odds in self._scene.log_odds(vectors)]

    def _one(self, photo: _Photo) -> Assessment:
        picture = None if photo.picture is None else cache(photo.picture)  # opened once for all
        seen, is_sure = self._scene_odds(replace(photo, picture=picture))
        failed = [] if is_sure else ["scene"]
        words, before = lemmas(photo.texts), photo.before
        faces = before.faces if before else None
        looked = before is not None and faces is not None and before.version == self.version
        if not looked and self._looks(_p(self._joined(seen, words, None))):
            faces = self._faces(picture)
            if faces is None:
                failed.append("faces")
        odds = self._joined(seen, words, faces)
        return Assessment(
            words=words,
            scene=None if seen is None else _p(seen),
            faces=faces,
            failed=tuple(failed),
            probability=_p(odds),
            version="",
        )

    def _scene_odds(self, photo: _Photo) -> tuple[float | None, bool]:
        """The scene's log-odds, None where it can't tell; whether they are all that it can say."""
        if photo.first is None or photo.vector is None:
            return None, False
        if not (self._looks_twice and self._scene.is_unsure(np.array(photo.first))):
            return photo.first, True
        second = self._second_look(photo.vector, photo.picture)
        return (photo.first, False) if second is None else (second, True)

    def _second_look(self, vector: Vectors, picture: "Picture | None") -> float | None:
        """Log-odds; None where the photo can't be had or looked at."""
        if picture is None:
            return None
        try:
            parts = scene.look_at_parts(picture())
        except Exception:  # noqa: BLE001 - whatever goes wrong here, a person has to look
            return None
        return _finite(self._scene.second_log_odds(vector[None], parts[None])[0])

    def _looks(self, probability: float) -> bool:
        low, high = self._unsure
        return self._when == "always" or (self._when == "unsure" and low <= probability <= high)

    def _faces(self, picture: "Picture | None") -> tuple[float, ...] | None:
        """Apparent ages; None where the photo can't be had or looked at."""
        if picture is None or self._finder is None:
            return None
        try:
            return self._finder.find(picture())
        except Exception:  # noqa: BLE001 - whatever goes wrong here, a person has to look
            return None

    def _joined(
        self, seen: float | None, words: Sequence[str], faces: tuple[float, ...] | None
    ) -> float:
        evidence, own = self._scene.evidence, self._calibration
        return joined(evidence, seen, named=bool(words), faces=faces, calibration=own)


def joined(
    evidence: scene.Evidence,
    seen: float | None,
    *,
    named: bool,
    faces: tuple[float, ...] | None,
    calibration: Calibration | None = None,
) -> float:
    """Log-odds of the scene (None where it can't tell), the words, and the ages together.

    A library's own calibration corrects those of scene and words; reviewers' decisions are too few
    to tell of ages.
    """
    odds = evidence.prior if seen is None else seen
    if named:
        odds = max(odds, _NAMED) + evidence.word
    if calibration is not None:
        odds = calibration.corrected(odds)
    if faces is not None:
        odds += age_evidence(evidence, faces)
    return odds


def age_evidence(evidence: scene.Evidence, faces: tuple[float, ...]) -> float:
    """What the ages of all faces that were found add to the log-odds."""
    if not faces:
        return evidence.no_face
    youngest = float(np.clip(min(faces), evidence.youngest, evidence.oldest))
    return evidence.face + evidence.per_year * (_ADULT - youngest)


def lemmas(texts: Sequence[str]) -> tuple[str, ...]:
    """Lemmas of what names a child in the texts, in order, each once."""
    named = (finding.lemma for text in texts for way in _ways(text) for finding in find(way))
    return tuple(dict.fromkeys(named))


def _ways(text: str) -> Iterator[str]:
    """A text as it stands, and as a file name whose words touch: neither finds all."""
    yield text
    apart = _SEAMS.sub(" ", text)
    if apart != text:
        yield apart


def _finite(odds: float) -> float | None:
    return float(odds) if np.isfinite(odds) else None


def _p(odds: float) -> float:
    return float(scene.probability(odds))


@cache
def _words_version() -> str:
    return f"words-{files.digest(FORMS)[:12]}"
