"""Words on record: what a photo's file, its names, date and place say, as keys that a query meets.

Both engines keep the same keys, made here, so that both find the same photos. A key is a word's
stem (Porter, "An algorithm for suffix stripping", 1980, and Snowball's Russian): dictionaries of
lemmas take more than a second to load. A Russian word and its spelling in Latin letters meet too.
"""

import os
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from kadr.photos import films
from kadr.photos.folders import SUFFIXES
from kadr.photos.kinds import FILM_SUFFIXES
from kadr.photos.sounds import in_cyrillic
from kadr.types import PhotoFacts, PictureText, Place, Region, Source

VERSION = "2"
"""Of the keys: a library that holds others makes them anew at the next `index`."""
NOTE = "words"
"""Key of the note that holds the version of all of a library's keys."""
SOURCES: tuple[Source, ...] = get_args(Source)
"""Where words stand, the best first; each is a column of both engines."""
TIERS = (1, 2, 3, len(SOURCES))
"""A photo is of the first tier whose so many sources hold all the words."""
IN_PART = len(TIERS)
"""The tier of a photo on whose record most of the words stand, but not all."""
LONGEST_IN_PART = 6
"""Words of a query of which most may do; a longer one is a sentence of what is seen."""
MOST_IN_PART = 250
"""Photos on whose record most of the words stand; of more these tell nothing apart."""
MOST = 2000
"""Words of one source of a photo that are kept."""
MOST_PATHS = 64
"""Files of one photo whose names are kept."""
LONGEST = 40
"""Letters of a word; a longer one is none."""
SURE = 0.8
"""A line that was read less surely in a picture is on no record (decision 28)."""
MOST_WANTED = 32
"""Words of a query that are looked up; all of more are on no record."""

_TOKEN = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b")
_CYRILLIC = re.compile("[а-я]")
_CODE = re.compile("(?=.*[0-9])[0-9a-f]{8,}")
"""A part of a digest, in which "dad" or "cab" are no words."""
_MOST_PARTS = 5
"""Words and numbers in one piece of a name; of more, as in x7Gk2pQ, none is a word."""
_NOT_SAID = frozenset({"apple"})
"""A maker that is also a thing: each photo of an iPhone would be found for it."""
_SAME_SOUND = str.maketrans("эйы", "еии", "ьъ")
_MONTHS = (
    ("january", "январь"), ("february", "февраль"), ("march", "март"), ("april", "апрель"),
    ("may", "май"), ("june", "июнь"), ("july", "июль"), ("august", "август"),
    ("september", "сентябрь"), ("october", "октябрь"), ("november", "ноябрь"),
    ("december", "декабрь"),
)  # fmt: skip
STOP = frozenset(
    re.findall(
        r"\S+",
        """
        a an the and or of in on at to by for from with without into onto over under near is are
        was were be been being am it its this that these those there here as while who which his
        her their my our your he she they i we you some any very
        photo photos picture pictures image images
        и или в во на с со к ко по за из у о об от до для при под над без между около возле это
        этот эта эти тот та те там тут как что кто который которая которые его ее их мой моя мои
        наш наша наши он она они я мы ты вы не но же ли бы
        фото фотография фотографии снимок снимки картинка картинки
        """,
    )
)
"""Words that tell nothing apart, in English and Russian, ё as е."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query looks for on record: its text, its words in one case, and each one's keys.

    Of a word's keys any will do. Without words nothing is looked for. `whole`: most of the words
    don't do.
    """

    text: str = ""
    words: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    whole: bool = False

    @property
    def most(self) -> list[tuple[tuple[str, ...], ...]]:
        """Each choice of just more than half of the words, by their keys; none where all must."""
        count = len(self.keys)
        least = count // 2 + 1
        if self.whole or least == count or count > LONGEST_IN_PART:
            return []
        return list(combinations(self.keys, least))


NOTHING = Wanted()


@dataclass(frozen=True)
class Recorded:
    """Photos int64 [n] on whose record all words stand, or most, by number; their tiers int64 [n].

    A tier is a place in `TIERS`, so 0 where all of them stand in texts that somebody wrote; or
    `IN_PART`.
    """

    photos: NDArray[np.int64]
    tiers: NDArray[np.int64]


def with_part(
    found: NDArray[np.int64], tiers: NDArray[np.int64], part: NDArray[np.int64]
) -> Recorded:
    """Photos on whose record all words stand, with those that hold most, if these are few.

    Args:
        found: they hold all, sorted [n].
        tiers: theirs [n].
        part: they hold most or all, sorted [m].
    """
    more = np.setdiff1d(part, found)
    if not 0 < len(more) <= MOST_IN_PART:
        return Recorded(found, tiers)
    photos = np.concatenate([found, more])
    order = np.argsort(photos)
    return Recorded(photos[order], np.concatenate([tiers, np.full(len(more), IN_PART)])[order])


def wanted(text: str, *, whole: bool = False) -> Wanted:
    """The words of a query that tell something; all of them where none does.

    A file's name is looked for without its ending, which is on no record. `whole`: most of the
    words don't do.
    """
    name, suffix = os.path.splitext(text.strip())  # noqa: PTH122 - Path drops what isn't a name
    is_name = suffix.lower() in SUFFIXES or suffix.lower() in FILM_SUFFIXES
    words = list(dict.fromkeys(_tokens(name if is_name else text)))
    content = [word for word in words if word not in STOP] or words
    keys = [_query_keys(word) for word in content[: MOST_WANTED + 1]]
    if len(content) > MOST_WANTED or not all(keys):
        return Wanted(text)
    return Wanted(text, tuple(content), tuple(keys), whole)


def columns(
    facts: PhotoFacts | None,
    paths: Iterable[Path],
    roots: Sequence[Path],
    picture: PictureText | None = None,
) -> list[str]:
    """The keys of a photo by source, as `SOURCES` names them, with spaces between.

    Args:
        facts: what its file says; None where nothing is known.
        paths: where it lies, `MOST_PATHS` at most.
        roots: the library's folders, whose own names are on no record.
        picture: the text in it; None where nobody looked.
    """
    names, folders = list[str](), list[str]()
    for path in paths:
        names += _name_words(films.stem(path))
        root = next((root for root in roots if path.is_relative_to(root)), path.parent)
        for part in path.parent.relative_to(root).parts:
            folders += _name_words(part)
    of_place = facts.place.said if facts and facts.place else ()  # they have a column
    texts = (text for text in (facts.texts if facts else ()) if text not in of_place)
    said = (word for text in texts for word in _tokens(text))
    camera = _name_words(facts.camera or "") if facts else ()
    return [
        _joined(said),
        _joined(names, named=True),
        _joined(folders, named=True),
        _joined((word for word in camera if word not in _NOT_SAID), named=True),
        _joined(_date_words(facts.taken if facts else None)),
        _joined(_place_words(facts.place if facts else None), named=True),
        _joined(word for line, _ in _lines(picture) for word in line),
    ]


def sources(wanted: Wanted, row: Sequence[str]) -> tuple[Source | None, ...]:
    """Where each word stands first, by the columns of a photo; None where it isn't on record."""
    held = list(zip(SOURCES, (set(column.split()) for column in row), strict=True))
    return tuple(
        next((source for source, keys in held if keys.intersection(any_of)), None)
        for any_of in wanted.keys
    )


def regions(wanted: Wanted, picture: PictureText | None) -> list[tuple[Region, ...]]:
    """Where the lines stand in a picture that hold each of the words."""
    held = [(set(_joined(line).split()), region) for line, region in _lines(picture)]
    return [
        tuple(region for keys, region in held if keys.intersection(any_of))
        for any_of in wanted.keys
    ]


def _lines(picture: PictureText | None) -> Iterator[tuple[list[str], Region]]:
    """The words of each line that is on record, and where it stands."""
    for line in picture.lines if picture else ():
        if line.confidence >= SURE:
            yield [word for word in _tokens(line.text) if len(word) > 1], line.region


def _joined(words: Iterable[str], *, named: bool = False) -> str:
    keys: dict[str, None] = {}
    for word in dict.fromkeys(words):
        if len(keys) >= MOST:
            break
        keys |= dict.fromkeys(_keys(word, named=named))
    return " ".join(keys)


def _keys(word: str, *, named: bool) -> Iterator[str]:
    """A word's keys on record. Names are often Russian in Latin letters, other texts are not."""
    if 0 < len(word) <= LONGEST:
        yield _stem(word)
        if named and _is_latin(word):
            yield f"_{_stem(in_cyrillic(word))}"


def _query_keys(word: str) -> tuple[str, ...]:
    if len(word) > LONGEST:
        return ()
    stem = _stem(word)
    if _CYRILLIC.search(word):
        return stem, f"_{stem}"
    return (stem, _stem(in_cyrillic(word))) if _is_latin(word) else (stem,)


def _is_latin(word: str) -> bool:
    return len(word) > 2 and word.isascii() and word.isalpha()


def _tokens(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    return _TOKEN.findall(_POSSESSIVE.sub(" ", folded))


def _name_words(name: str) -> Iterator[str]:
    """Words of a file's or folder's name: grandmaBirthday2021 holds three, and is one itself."""
    for piece in _TOKEN.findall(unicodedata.normalize("NFKC", name)):
        whole = piece.casefold().replace("ё", "е")
        yield whole
        if len(piece) <= 2 * LONGEST and not _CODE.fullmatch(whole):
            parts = _parted(piece)
            if 1 < len(parts) <= _MOST_PARTS:
                yield from (part.casefold().replace("ё", "е") for part in parts if len(part) > 1)


def _parted(piece: str) -> list[str]:
    """Cut where letters meet digits, aB, and before the last capital of ABCd."""
    starts = [0]
    for place in range(1, len(piece)):
        before, sign, after = piece[place - 1], piece[place], piece[place + 1 : place + 2]
        is_capital = sign.isupper() and (before.islower() or (before.isupper() and after.islower()))
        if before.isdigit() != sign.isdigit() or is_capital:
            starts.append(place)
    return [piece[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _date_words(taken: str | None) -> Iterator[str]:
    if taken is not None:
        yield taken[:4]
        yield from _MONTHS[int(taken[5:7]) - 1]


def _place_words(place: Place | None) -> Iterator[str]:
    for name in place.all() if place else ():
        yield from _tokens(name)


class _Stemmers(threading.local):
    """Those of one thread: a stemmer holds the word that it works on."""

    def __init__(self) -> None:
        import snowballstemmer

        self.english: Any = snowballstemmer.stemmer("english")
        self.russian: Any = snowballstemmer.stemmer("russian")


@cache
def _stemmers() -> _Stemmers:
    return _Stemmers()


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    if _CYRILLIC.search(word):
        return str(_stemmers().russian.stemWord(word)).translate(_SAME_SOUND)
    return str(_stemmers().english.stemWord(word))
