"""Drawn scenes and simulated judges -> an annotated archive in the layout of the real one."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from kadr.data.drawn.captions import Statement, describe, relevance
from kadr.data.drawn.dice import Dice
from kadr.data.drawn.judges import SEVERITIES, crowd_ballot, expert_grades
from kadr.data.drawn.picture import draw
from kadr.data.drawn.scene import Scene, compose
from kadr.errors import DataError

MIN_IMAGES: Final = 10
MAX_IMAGES: Final = 100_000
TRAIN_CAPTION: Final = 2
"""Which of an image's captions is its training query, as in the real archive."""

CHILD_SHARE: Final = 0.2
EXPERT_PAIRS: Final = 6
CROWD_PAIRS: Final = 40
OWN_EXPERT_SHARE: Final = 0.16
OWN_CROWD_SHARE: Final = 0.72
"""Share of images that are judged with their own caption."""

EXPERT_NEAR_SHARE: Final = 0.7
CROWD_NEAR_SHARE: Final = 0.2
"""Share of an image's pairs whose scenes have a thing in common."""

UNGRADED_EVERY: Final = 43
"""Every 43rd training query is seen by the crowd alone, so its text is not in the archive."""

SCENE_PART, CAPTION_PART, PICTURE_PART, PAIR_PART, JUDGE_PART, SPLIT_PART = range(6)
"""Streams of randomness, so that a change of one part leaves the others as they were."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Truth:
    """What is known about a generated archive and written nowhere in it.

    `scenes` maps an image's file name to its scene; `captions` and `statements` map a query id
    (five per image) to the text and to what it states. `graded` and `voted` hold the judged
    (query id, image) pairs of the experts and of the crowd. `severities` is one figure per
    expert in the order of the columns: the higher, the lower the grades.
    """

    scenes: Mapping[str, Scene]
    captions: Mapping[str, str]
    statements: Mapping[str, Statement]
    train_images: tuple[str, ...]
    test_images: tuple[str, ...]
    graded: tuple[Pair, ...]
    voted: tuple[Pair, ...]
    severities: tuple[float, ...] = SEVERITIES

    def relevance(self, query: str, image: str) -> float:
        """Share in [0, 1] of the facts stated by a query that hold in an image."""
        return relevance(self.statements[query], self.scenes[image])

    def shows_child(self, image: str) -> bool:
        """Whether a child is in the image, whatever its captions say."""
        return self.scenes[image].shows_child


def generate(
    folder: Path,
    *,
    images: int = 300,
    seed: int = 0,
    test_share: float = 0.1,
    on_progress: Callable[[int, int], None] | None = None,
) -> Truth:
    """Draws an archive into a new or empty folder; the same arguments give the same bytes.

    Nothing is left behind where it fails or is interrupted: the archive is made beside the
    folder and moved there when it is whole.

    Args:
        folder: Where the archive goes.
        images: How many pictures, 10 to 100,000, training and test together.
        seed: Not negative.
        test_share: Share of the pictures that are test pictures, in (0, 1).
        on_progress: Called after every picture with how many are done, and of how many.

    Returns:
        The truth behind the archive.

    Raises:
        DataError: A bad argument, a folder that holds something, or one that can't be written.
    """
    _check(images, seed, test_share)
    try:
        _refuse_filled(folder)
        truth = _imagine(images, seed, test_share)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".kadr-generate-") as scratch:
            draft = Path(scratch) / "archive"
            _write_tables(draft, truth, seed)
            _write_pictures(draft, truth, seed, on_progress)
            if folder.exists():
                folder.rmdir()
            draft.rename(folder)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"Can't write {folder} ({reason}): choose a folder that can be") from error
    return truth


def _check(images: int, seed: int, test_share: float) -> None:
    if not MIN_IMAGES <= images <= MAX_IMAGES:
        raise DataError(f"{images} images: ask for {MIN_IMAGES} to {MAX_IMAGES:,}")
    if seed < 0:
        raise DataError(f"Seed {seed} is negative: choose 0 or more")
    if not 0 < test_share < 1:
        raise DataError(f"A test share of {test_share}: choose one between 0 and 1")


def _refuse_filled(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and isn't empty: name a new folder, or empty this one")


def _imagine(images: int, seed: int, test_share: float) -> Truth:
    """Everything but the pictures and the judges' answers."""
    names = [f"scene_{number:06d}.jpg" for number in range(images)]
    scenes = _scenes(names, seed)
    told = {name: describe(scenes[name], Dice(seed, CAPTION_PART, number))
            for number, name in enumerate(names)}  # fmt: skip
    wanted = min(max(round(images * test_share), 1), images - 2)
    test = sorted(Dice(seed, SPLIT_PART).sample(names, wanted))
    train = sorted(set(names) - set(test))
    graded, voted = _pairs(train, scenes, Dice(seed, PAIR_PART))
    return Truth(
        scenes=scenes,
        captions={f"{n}#{k}": text for n in names for k, (_, text) in enumerate(told[n])},
        statements={f"{n}#{k}": said for n in names for k, (said, _) in enumerate(told[n])},
        train_images=tuple(train),
        test_images=tuple(test),
        graded=graded,
        voted=voted,
    )


def _scenes(names: Sequence[str], seed: int) -> dict[str, Scene]:
    order = Dice(seed, SCENE_PART).sample(range(len(names)), round(len(names) * CHILD_SHARE))
    with_child = set(order)
    return {
        name: compose(Dice(seed, SCENE_PART, number), with_child=number in with_child)
        for number, name in enumerate(names)
    }


def _pairs(
    train: Sequence[str], scenes: Mapping[str, Scene], dice: Dice
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Which (query id, image) pairs the experts and the crowd see."""
    gradable = [name for place, name in enumerate(train) if place % UNGRADED_EVERY != 42]
    experts = _Sampler(gradable, scenes, dice, OWN_EXPERT_SHARE, EXPERT_NEAR_SHARE)
    crowd = _Sampler(train, scenes, dice, OWN_CROWD_SHARE, CROWD_NEAR_SHARE)
    graded = [pair for image in train for pair in experts.of(image, EXPERT_PAIRS)]
    voted = [pair for image in train for pair in crowd.of(image, CROWD_PAIRS)]
    return tuple(graded), tuple(voted)


class _Sampler:
    """Chooses whose captions an image is judged with: its own, near misses, and any."""

    def __init__(
        self,
        sources: Sequence[str],
        scenes: Mapping[str, Scene],
        dice: Dice,
        own_share: float,
        near_share: float,
    ) -> None:
        self.sources, self.scenes, self.dice = sources, scenes, dice
        self.own_share, self.near_share = own_share, near_share
        self.known = frozenset(sources)
        self.by_kind: dict[str, list[str]] = defaultdict(list)
        for source in sources:
            for figure in scenes[source].figures:
                self.by_kind[figure.kind].append(source)

    def of(self, image: str, count: int) -> list[Pair]:
        """Up to `count` different pairs of one image, sorted."""
        own = [image] if image in self.known and self.dice.chance(self.own_share) else []
        near = self._near(image, round(count * self.near_share))
        some = self.dice.rng.integers(len(self.sources), size=2 * count)
        chosen = dict.fromkeys([*own, *near, *(self.sources[int(place)] for place in some)])
        if not own:
            chosen.pop(image, None)
        return [(f"{source}#{TRAIN_CAPTION}", image) for source in sorted(list(chosen)[:count])]

    def _near(self, image: str, count: int) -> list[str]:
        kinds = [figure.kind for figure in self.scenes[image].figures]
        alike = [self.by_kind[kind] for kind in kinds if self.by_kind[kind]]
        return [self.dice.pick(self.dice.pick(alike)) for _ in range(count)] if alike else []


def _write_tables(folder: Path, truth: Truth, seed: int) -> None:
    for name in ("train_images", "test_images"):
        (folder / name).mkdir(parents=True)
    graded = sorted(truth.graded)
    _write(folder / "train_dataset.csv", ",",
           [("image", "query_id", "query_text")],
           ((image, query, truth.captions[query]) for query, image in graded))  # fmt: skip
    experts, crowd = Dice(seed, JUDGE_PART, 0), Dice(seed, JUDGE_PART, 1)
    _write(folder / "ExpertAnnotations.tsv", "\t", [], _expert_rows(truth, experts))
    _write(folder / "CrowdAnnotations.tsv", "\t", [], _crowd_rows(truth, crowd))
    _write(folder / "test_images.csv", ",", [("image",)], ((name,) for name in truth.test_images))
    queries = ((f"{image}#{number}", image) for image in truth.test_images for number in range(5))
    _write(folder / "test_queries.csv", "|",
           [("", "query_id", "query_text", "image")],
           ((str(row), query, truth.captions[query], image)
            for row, (query, image) in enumerate(queries)))  # fmt: skip


def _expert_rows(truth: Truth, dice: Dice) -> Iterable[tuple[str, ...]]:
    for query, image in truth.graded:
        grades = expert_grades(truth.relevance(query, image), dice)
        yield (image, query, *map(str, grades))


def _crowd_rows(truth: Truth, dice: Dice) -> Iterable[tuple[str, ...]]:
    for query, image in truth.voted:
        ballot = crowd_ballot(truth.relevance(query, image), dice)
        yield image, query, f"{ballot.share:.15g}", str(ballot.yes), str(ballot.no)


def _write(
    path: Path,
    delimiter: str,
    header: Sequence[tuple[str, ...]],
    rows: Iterable[tuple[str, ...]],
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows([*header, *rows])


def _write_pictures(
    folder: Path, truth: Truth, seed: int, on_progress: Callable[[int, int], None] | None
) -> None:
    test = set(truth.test_images)
    for number, (name, scene) in enumerate(truth.scenes.items()):
        picture = draw(scene, Dice(seed, PICTURE_PART, number))
        part = "test_images" if name in test else "train_images"
        picture.save(folder / part / name, quality=88)
        if on_progress:
            on_progress(number + 1, len(truth.scenes))
