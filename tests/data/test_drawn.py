"""The drawn archive: its layout, and that its truth, captions and judges agree."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import kadr.data.drawn.archive as archive_module
from archives import read_rows
from kadr.data import dataset
from kadr.data.drawn import Figure, Scene, Truth, caption_ru, generate
from kadr.data.drawn.captions import Mention, Statement, describe, relations, relevance
from kadr.data.drawn.dice import Dice
from kadr.data.drawn.judges import crowd_ballot, expert_grades
from kadr.data.drawn.picture import draw
from kadr.data.drawn.scene import compose
from kadr.data.drawn.vocabulary import CHILD_WORDS, KINDS, KINDS_OF, PLACES
from kadr.errors import DataError

IMAGES = 100
seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    folder = tmp_path_factory.mktemp("scenes") / "Архив été"
    return folder, generate(folder, images=IMAGES, seed=7)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_folder_holds_the_layout_and_nothing_else(made: tuple[Path, Truth]) -> None:
    folder, _ = made
    assert {path.name for path in folder.iterdir()} == {
        "train_dataset.csv",
        "CrowdAnnotations.tsv",
        "ExpertAnnotations.tsv",
        "test_queries.csv",
        "test_images.csv",
        "train_images",
        "test_images",
    }
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_pictures_are_small_jpegs_split_in_two(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    train = sorted(path.name for path in (folder / "train_images").iterdir())
    test = sorted(path.name for path in (folder / "test_images").iterdir())
    assert (tuple(train), tuple(test)) == (truth.train_images, truth.test_images)
    assert (len(train), len(test)) == (90, 10)
    assert not set(train) & set(test)
    for path in folder.rglob("*.jpg"):
        with Image.open(path) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (400, 300))
            assert np.asarray(picture).std() > 10


def test_training_rows_are_the_expert_pairs_with_their_text(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    header, *train = read_rows(folder / "train_dataset.csv", ",")
    assert header == ["image", "query_id", "query_text"]
    experts = read_rows(folder / "ExpertAnnotations.tsv", "\t")
    assert sorted((image, query) for image, query, _ in train) == sorted(
        (image, query) for image, query, *_ in experts
    )
    for image, query, text in train:
        assert image in truth.train_images
        assert query.removesuffix("#2") in truth.train_images
        assert text == truth.captions[query]


def test_expert_rows_hold_three_grades(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    experts = read_rows(folder / "ExpertAnnotations.tsv", "\t")
    assert all(len(row) == 5 and set(row[2:]) <= set("1234") for row in experts)
    assert [(query, image) for image, query, *_ in experts] == list(truth.graded)
    assert len(set(truth.graded)) == len(truth.graded) == 6 * 90


def test_crowd_rows_hold_counts_and_their_share(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    crowd = read_rows(folder / "CrowdAnnotations.tsv", "\t")
    assert [(query, image) for image, query, *_ in crowd] == list(truth.voted)
    assert len(set(truth.voted)) == len(truth.voted) == 40 * 90
    for _, query, share, yes, no in crowd:
        assert query.endswith("#2")
        assert int(yes) + int(no) >= 3
        assert float(share) == pytest.approx(int(yes) / (int(yes) + int(no)), abs=1e-12)


def test_some_crowd_queries_have_no_text(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    known = {query for _, query, _ in read_rows(folder / "train_dataset.csv", ",")}
    assert {query for query, _ in truth.voted} - known


def test_test_queries_are_all_five_captions_of_each_test_image(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    header, *queries = read_rows(folder / "test_queries.csv", "|")
    assert header == ["", "query_id", "query_text", "image"]
    expected = [(image, number) for image in truth.test_images for number in range(5)]
    assert [row[0] for row in queries] == [str(place) for place in range(len(expected))]
    assert [row[1] for row in queries] == [f"{image}#{number}" for image, number in expected]
    assert [row[2] for row in queries] == [truth.captions[row[1]] for row in queries]
    assert [row[3] for row in queries] == [image for image, _ in expected]
    listed = read_rows(folder / "test_images.csv", ",")
    assert listed == [["image"], *([name] for name in truth.test_images)]


def test_the_dataset_module_accepts_it_whole(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    loaded = dataset.load(folder, check_photos=True)
    assert loaded.skipped == ()
    assert len(loaded.judgements) == 3 * len(truth.graded)
    assert len(loaded.votes) == len(truth.voted)
    assert len(loaded.test_queries) == 50
    assert all(query.text == truth.captions[query.id] for query in loaded.queries.values())


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    first = generate(tmp_path / "a", images=12, seed=3)
    assert generate(tmp_path / "b", images=12, seed=3) == first
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert generate(tmp_path / "c", images=12, seed=4).captions != first.captions


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    generate(tmp_path / "a", images=10, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 10) for done in range(1, 11)]


def test_own_captions_are_wholly_true(made: tuple[Path, Truth]) -> None:
    _, truth = made
    assert {truth.relevance(query, query.split("#")[0]) for query in truth.captions} == {1.0}


def test_most_pairs_of_strangers_are_little_true(made: tuple[Path, Truth]) -> None:
    _, truth = made
    strangers = [truth.relevance(q, i) for q, i in truth.voted if not q.startswith(i)]
    assert np.mean(strangers) < 0.4
    assert min(strangers) == 0


def says_child(text: str) -> bool:
    words = f" {text.lower()} "
    return any(f" {word} " in words for word in CHILD_WORDS)


def test_child_words_stand_only_under_pictures_of_children(made: tuple[Path, Truth]) -> None:
    _, truth = made
    said = Counter(q.split("#")[0] for q, text in truth.captions.items() if says_child(text))
    children = {image for image in truth.scenes if truth.shows_child(image)}
    assert set(said) == children
    assert len(children) == 20
    assert min(said.values()) < 5, "some children are named by some captions only"


def test_expert_severity_shows_in_the_grades(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    table = read_rows(folder / "ExpertAnnotations.tsv", "\t")
    means = np.array([row[2:] for row in table], dtype=float).mean(axis=0)
    assert list(np.argsort(means)) == list(np.argsort(truth.severities)[::-1])
    assert means == pytest.approx([1.44, 1.62, 1.88], abs=0.2)


def test_grades_and_votes_follow_the_truth(made: tuple[Path, Truth]) -> None:
    folder, truth = made
    experts = read_rows(folder / "ExpertAnnotations.tsv", "\t")
    grades = [np.mean([int(grade) for grade in row[2:]]) for row in experts]
    shares = [float(row[2]) for row in read_rows(folder / "CrowdAnnotations.tsv", "\t")]
    for figures, pairs in ((grades, truth.graded), (shares, truth.voted)):
        known = [truth.relevance(*pair) for pair in pairs]
        assert np.corrcoef(figures, known)[0, 1] > 0.6


def test_the_mix_of_grades_and_votes_is_like_the_real_one(made: tuple[Path, Truth]) -> None:
    folder, _ = made
    grades = Counter(
        "".join("".join(r[2:]) for r in read_rows(folder / "ExpertAnnotations.tsv", "\t"))
    )
    total = sum(grades.values())
    assert 0.5 < grades["1"] / total < 0.75
    assert grades["1"] > grades["2"] > grades["3"] > 0 < grades["4"]
    shares = [float(row[2]) for row in read_rows(folder / "CrowdAnnotations.tsv", "\t")]
    assert 0.02 < np.mean(np.array(shares) >= 0.5) < 0.12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": 9}, "9 images"),
        ({"images": 100_001}, "100,000"),
        ({"seed": -1}, "negative"),
        ({"test_share": 0.0}, "test share"),
        ({"test_share": 1.0}, "test share"),
    ],
)
def test_bad_arguments_are_refused(
    tmp_path: Path, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        generate(tmp_path / "a", **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_filled_folder_is_refused_and_an_empty_one_is_used(tmp_path: Path) -> None:
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="empty"):
        generate(tmp_path / "filled", images=10)
    with pytest.raises(DataError, match="empty"):
        generate(tmp_path / "filled" / "mine.txt", images=10)
    assert contents(tmp_path / "filled") == {"mine.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    generate(tmp_path / "empty", images=10)
    assert (tmp_path / "empty" / "train_dataset.csv").is_file()


def test_a_file_in_the_way_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose a folder"):
        generate(tmp_path / "file" / "archive", images=10)


def test_a_crash_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "a", images=10, on_progress=crash)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive_module, "_write_pictures", full_disk)
    with pytest.raises(DataError, match="No space left"):
        generate(tmp_path / "a", images=10)
    assert not list(tmp_path.iterdir())


@given(seeds, st.booleans())
def test_every_caption_states_what_holds(seed: int, with_child: bool) -> None:
    scene = compose(Dice(seed), with_child=with_child)
    assert scene.shows_child == with_child
    described = describe(scene, Dice(seed, 1))
    assert len(described) == 5
    for statement, text in described:
        assert relevance(statement, scene) == 1
        assert text[0].isupper()
        assert "  " not in text
        assert "None" not in text
        for mention in statement.mentions:
            assert mention.word in text.lower()
            assert any(thing.kind in KINDS_OF[mention.word] for thing in scene.things)
            assert mention.colour is None or mention.colour in text.lower()


@given(seeds, seeds)
def test_relevance_is_a_share(one: int, other: int) -> None:
    scene = compose(Dice(one), with_child=bool(one % 2))
    for statement, _ in describe(compose(Dice(other), with_child=bool(other % 2)), Dice(other)):
        assert 0 <= relevance(statement, scene) <= 1


PARK = Scene(
    "park", "sun", (Figure("dog", "brown", "running", 0.2), Figure("car", "red", None, 0.8))
)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (Statement((Mention("dog", "brown", "running"),), place="park"), 1.0),
        (Statement((Mention("dog", "black", "running"),), place="park"), 0.75),
        (Statement((Mention("cat", "brown", "sitting"),), place="park"), 0.5),
        (Statement((Mention("cat", "white"),), place="beach"), 0.0),
        (Statement((Mention("dog"), Mention("car", "red")), "left of"), 1.0),
        (Statement((Mention("dog"), Mention("car", "red")), "right of"), 0.75),
        (Statement((Mention("dog"), Mention("boy", "red")), "next to"), 0.25),
        (Statement((Mention("child"),), sky="sun"), 0.5),
    ],
)
def test_relevance_counts_facts(statement: Statement, expected: float) -> None:
    assert relevance(statement, PARK) == expected


def test_what_is_in_hand_counts_too() -> None:
    scene = Scene("park", "sun", (Figure("boy", "red", "holding", 0.5, Figure("ball", "blue")),))
    held = Statement((Mention("kid", None, "holding", Mention("ball", "green")),))
    assert relevance(held, scene) == 0.75
    assert relevance(Statement((Mention("ball", "blue"),)), scene) == 1


def test_relations_come_from_places() -> None:
    tree = Figure("tree", x=0.5)
    assert "under" in relations(Figure("man", x=0.51), tree)
    assert "left of" in relations(Figure("man", x=0.1), tree)
    assert "right of" in relations(Figure("man", x=0.9), tree)
    assert relations(Figure("man", x=0.9), Figure("tree")) == ("next to",)


@pytest.mark.parametrize(
    ("scene", "caption"),
    [
        (PARK, "Коричневая собака бежит слева от красной машины в парке в солнечный день."),
        (
            Scene(
                "beach", "night", (Figure("girl", "blue", "holding", 0.5, Figure("kite", "red")),)
            ),
            "Девочка в синем платье держит красного воздушного змея на пляже ночью.",
        ),
        (
            Scene(
                "forest", "rain", (Figure("man", "green", "riding", 0.5, Figure("horse", "black")),)
            ),
            "Мужчина в зелёной рубашке едет на чёрной лошади в лесу под дождём.",
        ),
        (
            Scene(
                "room",
                "indoors",
                (Figure("cat", "orange", "sitting", 0.5), Figure("ball", "blue", None, 0.52)),
            ),
            "Рыжая кошка сидит рядом с синим мячом в комнате.",
        ),
        (
            Scene(
                "park", "sunset", (Figure("baby", "pink", "sitting", 0.5), Figure("tree", x=0.5))
            ),
            "Малыш в розовом костюмчике сидит под деревом в парке на закате.",
        ),
        (
            Scene(
                "sea",
                "clouds",
                (Figure("bird", "white", "flying", 0.8), Figure("boat", "blue", "sailing", 0.2)),
            ),
            "Белая птица летит справа от синей лодки над морем в пасмурный день.",
        ),
    ],
)
def test_russian_captions_agree_in_case_and_gender(scene: Scene, caption: str) -> None:
    assert caption_ru(scene) == caption


@given(seeds, st.booleans())
def test_every_scene_has_a_russian_caption(seed: int, with_child: bool) -> None:
    caption = caption_ru(compose(Dice(seed), with_child=with_child))
    assert caption.endswith(".")
    assert all(letter in " .ё" or "а" <= letter.lower() <= "я" for letter in caption)


@pytest.mark.parametrize("place", PLACES)
def test_everything_can_be_drawn_everywhere(place: str) -> None:
    for number, (kind, details) in enumerate(KINDS.items()):
        action = details.actions[-1] if details.actions else None
        colour = details.colours[0] if details.colours else None
        scene = Scene(place, PLACES[place].skies[-1], (Figure(kind, colour, action, 0.5),))
        picture = draw(scene, Dice(number))
        assert (picture.mode, picture.size) == ("RGB", (400, 300))
        other = Scene(place, scene.sky, (Figure("balloon", "pink", None, -2.0),))
        change = np.abs(np.asarray(picture, int) - np.asarray(draw(other, Dice(number)), int))
        assert np.sum(change.max(axis=2) > 30) > 150, f"no {kind} to be seen: {place}"


def test_judges_agree_at_both_ends() -> None:
    dice = Dice(1)
    assert np.mean([expert_grades(1.0, dice) for _ in range(200)]) > 3.5
    assert np.mean([expert_grades(0.0, dice) for _ in range(200)]) < 1.1
    assert np.mean([crowd_ballot(1.0, dice).share for _ in range(200)]) > 0.9
    assert np.mean([crowd_ballot(0.0, dice).share for _ in range(200)]) < 0.05
