"""kadr models, and its names where --model stands: typed by a person, from a hub on loopback."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clip_models
import hub_server
from hub_server import REPOSITORY, Hub
from kadr.encoders.onnx_session import PROVIDERS
from shell import RUN, Result, Shell, one_line

SPEC = f"hub:{REPOSITORY}"
NAME = REPOSITORY.replace("/", "--")


@dataclass(frozen=True)
class Online(Shell):
    """A shell whose hub is on loopback."""

    hub: str = ""

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in super().environment.items() if not k.startswith("HF_")}
        return kept | {"HF_ENDPOINT": self.hub, "HF_HOME": str(self.home / "hf")}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = clip_models.immich(tmp_path_factory.mktemp("hub") / "model")
    with hub_server.serve(hub_server.of(folder)) as served:
        yield served


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Online:
    kadr = Online(tmp_path_factory.mktemp("pulled"), hub.address)
    kadr("models", "pull", SPEC)
    photos = kadr.home / "photos"
    photos.mkdir()
    dice = np.random.default_rng(1)
    for number in range(4):
        pixels = dice.integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).resize((320, 240)).save(photos / f"{number}.jpg")
    return kadr


def search(kadr: Shell, *arguments: str | Path) -> dict[str, Any]:
    """What a search prints, whether or not it finds that anything matches."""
    done = subprocess.run(
        [*RUN, "search", *map(str, arguments), "--json"],
        env=kadr.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def error(refused: Result) -> str:
    """The one line of what went wrong in a pull, after that which says that it began."""
    began, line = refused.stderr.splitlines()
    assert began.startswith("Getting ")
    assert line.startswith("kadr: ")
    return line


def test_the_menu(tmp_path: Path) -> None:
    kadr = Shell(tmp_path)
    listed = kadr("models").stdout
    for name in ("mini", "vit-b32-openai", "siglip2-b16", "xlm-r-b32"):
        assert name in listed
    assert "75.2/84.3" in listed
    assert "Crossmodal-3600" in listed
    described = json.loads(kadr("models", "--json").stdout)
    assert {one["installed"] for one in described["models"]} == {False}
    shown = kadr("models", "show", "siglip2-b16").stdout
    assert "repository: immich-app/ViT-B-16-SigLIP2__webli" in shown


def test_nothing_is_downloaded_unasked(tmp_path: Path, hub: Hub) -> None:
    kadr = Online(tmp_path, hub.address)
    before = len(hub.asked)
    for arguments in (("index", "."), ("search", "dog"), ("serve",), ("evaluate", ".")):
        refused = kadr(*arguments, "--model", "siglip2-b16", code=2)
        assert one_line(refused) == (
            "kadr: siglip2-b16 isn't installed. Get it: kadr models pull siglip2-b16"
        )
    assert SPEC in kadr("search", "dog", "--model", SPEC, code=2).stderr
    assert len(hub.asked) == before


def test_a_pulled_model_is_listed_shown_and_removed(pulled: Online, tmp_path: Path) -> None:
    kadr = Online(tmp_path, pulled.hub)
    result = json.loads(kadr("models", "pull", SPEC, "--json").stdout)
    assert (result["name"], result["installed"], result["dim"]) == (NAME, True, clip_models.DIM)
    listed = kadr("models").stdout
    assert "installed" in next(line for line in listed.splitlines() if line.startswith(NAME))
    shown = json.loads(kadr("models", "show", NAME, "--json").stdout)
    assert shown["revision"] == hub_server.REVISION
    assert shown["rate"] > 0
    folder = Path(shown["folder"])
    assert kadr("models", "remove", NAME).stdout.strip() == f"Removed: {folder}"
    assert not folder.exists()
    assert "nothing to remove" in kadr("models", "remove", NAME, code=2).stderr
    assert "isn't installed" in kadr("models", "show", NAME, code=2).stderr


def test_everything_takes_a_pulled_model(pulled: Online) -> None:
    library = pulled.home / "one.kadr"
    at = ("--library", library)
    offline = Shell(pulled.home)
    indexed = offline("index", pulled.home / "photos", *at, "--model", NAME)
    assert "4 new" in indexed.stdout
    for name in (NAME, SPEC):
        found = search(offline, "a dog", *at, "--model", name)
        assert found["hits"]
    assert search(offline, "a dog", *at) == found
    assert "clip-images-" in offline("library", *at).stdout


def test_a_model_is_one_folder_that_can_be_copied(pulled: Online, tmp_path: Path) -> None:
    installed = json.loads(pulled("models", "show", NAME, "--json").stdout)["folder"]
    copied = shutil.copytree(installed, tmp_path / "by-hand")
    kadr = Shell(tmp_path)
    library = ("--library", tmp_path / "own.kadr")
    kadr("index", pulled.home / "photos", *library, "--model", copied)
    assert search(kadr, "a dog", *library)["hits"]
    manifest = json.loads((copied / "manifest.json").read_text("utf-8"))
    assert manifest["image_encoder"]["spec"] == "clip:fp32:encoders/model"
    assert manifest["text_encoder"]["spec"] == "clip:fp32:encoders/model"
    assert not [path for path in copied.rglob("*") if "pair-" in path.name]


def test_a_raw_folder_is_made_a_model_of_once(tmp_path: Path) -> None:
    kadr = Shell(tmp_path)
    raw = clip_models.transformers_js(tmp_path / "raw model", suffixes=("", "_quantized"))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (50, 40), (9, 99, 200)).save(tmp_path / "photos/a.png")
    library = ("--library", tmp_path / "own.kadr", "--model", f"folder:{raw}")
    kadr("index", tmp_path / "photos", *library)
    (made,) = [p for p in (tmp_path / ".local/share/kadr/models").iterdir() if p.name[0] != "."]
    stamp = (made / "manifest.json").stat().st_mtime_ns
    search(kadr, "a dog", *library)
    assert (made / "manifest.json").stat().st_mtime_ns == stamp
    assert not list(made.rglob("*_quantized*"))
    kadr("models", "pull", f"folder:{raw}", "--precision", "int8")
    assert not list(made.rglob("*_quantized*"))
    assert list(made.with_name("raw-model-int8").rglob("*_quantized*"))


def test_a_pull_that_was_stopped_goes_on(tmp_path: Path, hub: Hub) -> None:
    kadr = Online(tmp_path, hub.address)
    text = "textual/model.onnx"
    hub.change = lambda name, data: data + b"more" if name == text else data
    assert "longer than the hub said" in kadr("models", "pull", SPEC, code=2).stderr
    models = tmp_path / ".local/share/kadr/models"
    assert not (models / NAME).exists()
    hub.change = lambda _, data: data
    hub.sent.clear()
    kadr("models", "pull", SPEC)
    assert "visual/model.onnx" not in hub.sent
    assert [path.name for path in models.iterdir() if path.is_dir()] == [NAME]


def test_what_is_installed_isnt_downloaded_again(tmp_path: Path, hub: Hub) -> None:
    kadr = Online(tmp_path, hub.address)
    kadr("models", "pull", SPEC)
    hub.sent.clear()
    kadr("models", "pull", SPEC)
    assert "visual/model.onnx" not in hub.sent


def test_weights_beside_a_model_come_along(tmp_path: Path) -> None:
    """Large models keep them there: a graph alone would be one without weights."""
    folder = clip_models.immich(tmp_path / "made")
    clip_models.move_weights(folder / "visual/model.onnx", "model.onnx_data")
    with hub_server.serve(hub_server.of(folder)) as hub:
        kadr = Online(tmp_path, hub.address)
        weights = hub.files.pop("visual/model.onnx_data")
        refused = kadr("models", "pull", SPEC, code=2)
        assert "visual/model.onnx_data, where weights should lie, is missing" in error(refused)
        hub.files["visual/model.onnx_data"] = weights
        installed = json.loads(kadr("models", "pull", SPEC, "--json").stdout)
    assert list(Path(installed["folder"]).rglob("model.onnx_data"))
    assert installed["dim"] == clip_models.DIM


def test_wrong_bytes_make_no_model(tmp_path: Path, hub: Hub) -> None:
    kadr = Online(tmp_path, hub.address)
    hub.change = lambda name, data: bytes(len(data)) if name.endswith(".onnx") else data
    refused = kadr("models", "pull", SPEC, code=2)
    hub.change = lambda _, data: data
    assert "other bytes than the hub's digest says" in error(refused)
    assert "isn't installed" in kadr("search", "dog", "--model", SPEC, code=2).stderr


def test_training_takes_the_towers(tmp_path: Path) -> None:
    """Files of both sides are copied into the matcher once."""
    kadr = Shell(tmp_path)
    raw = clip_models.immich(tmp_path / "raw")
    kadr("data", "generate", tmp_path / "drawn", "--images", "40", "--seed", "3")
    encoders = ("--image-encoder", f"clip:fp32:{raw}", "--text-encoder", f"clip:{raw}")
    kadr("train", tmp_path / "drawn", "--out", tmp_path / "own", *encoders)
    assert [path.name for path in (tmp_path / "own/encoders").iterdir()] == ["pair-0-raw"]
    shutil.rmtree(raw)
    library = ("--library", tmp_path / "own.kadr")
    kadr("index", tmp_path / "drawn", *library, "--model", tmp_path / "own")
    assert search(kadr, "a dog", *library)["hits"]


def test_two_pulls_at_once_make_one_model(tmp_path: Path, hub: Hub) -> None:
    kadr = Online(tmp_path, hub.address)
    command = [*RUN, "models", "pull", SPEC]
    running = [
        subprocess.Popen(
            command, env=kadr.environment, stdout=-3, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = [(process.communicate()[1], process.returncode) for process in running]
    assert 0 in {code for _, code in ends}
    for told, code in ends:
        assert code == 0 or "another process is pulling it" in told
    assert json.loads(kadr("models", "show", NAME, "--json").stdout)["installed"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("pull", "no-such-name"), "no such model. Known: vit-b32-openai"),
        (("pull", "hub:nobody/nothing"), "HTTP 404"),
        (("pull", "hub:../.."), "no name of a repository"),
        (("pull", "a/b"), "One of the hub is hub:a/b"),
        (("pull", "a b"), "names no model. Known: vit-b32-openai"),
        (("remove", "mini"), "it can't be removed"),
        (("pull", SPEC, "--device", "abacus"), "no device 'abacus' for this onnxruntime. It has: "),
        (("pull", "folder:/nowhere"), "no such folder"),
        (("pull", SPEC, "--precision", "fp16"), "no fp16 weights"),
        (("remove", "../photos"), "names no model"),
        (("remove", "siglip2-b16"), "nothing to remove"),
        (("show", ".."), "names no model"),
    ],
)
def test_bad_input(tmp_path: Path, hub: Hub, arguments: tuple[str, ...], reason: str) -> None:
    refused = Online(tmp_path, hub.address)("models", *arguments, code=2)
    assert reason in one_line(refused)
    assert not list((tmp_path / ".local/share/kadr").rglob(".*"))  # nothing is left behind


def test_what_is_being_made_is_told_without_a_terminal(tmp_path: Path, hub: Hub) -> None:
    told = Online(tmp_path, hub.address)("models", "pull", SPEC).stderr.splitlines()
    assert told[0].startswith(f"Getting {SPEC}, which may take minutes.")
    assert told[1:] == [f"{NAME} is ready"]


def test_a_model_that_cant_be_used_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    folder = clip_models.immich(tmp_path / "made", resize_mode="sideways")
    refused = Shell(tmp_path)("models", "pull", f"folder:{folder}", code=2)
    assert error(refused).startswith(f"kadr: {folder}: ")
    assert ".part" not in refused.stderr


def test_mini_is_shown(tmp_path: Path) -> None:
    kadr = Shell(tmp_path)
    assert "ships inside kadr" in kadr("models", "show", "mini").stdout
    assert json.loads(kadr("models", "show", "mini", "--json").stdout)["dim"] == 256


def test_a_repository_isnt_a_folder(tmp_path: Path) -> None:
    refused = Shell(tmp_path)("search", "a dog", "--model", REPOSITORY, code=2)
    assert one_line(refused).endswith(f"A model of the hub is {SPEC}")


@pytest.mark.parametrize(
    "command",
    ["index", "search", "similar", "serve", "score", "evaluate", "compare", "train", "models pull"],
)
def test_what_encodes_takes_a_device(tmp_path: Path, command: str) -> None:
    kadr = Shell(tmp_path)
    shown = kadr(*command.split(), "--help").stdout
    helped = " ".join(shown.replace("│", " ").split())
    assert all(f"{name}" in helped for name in ("--device", "auto", *PROVIDERS))
    refused = kadr(*command.split(), "--device", "abacus", code=2)
    assert "no device 'abacus' for this onnxruntime. It has: auto, " in one_line(refused)


def test_a_device_goes_before_the_environment(pulled: Online) -> None:
    command = [*RUN, "index", str(pulled.home / "photos"), "--model", NAME]
    for more, code in ((["--device", "cpu"], 0), ([], 2)):
        done = subprocess.run(
            [*command, "--library", str(pulled.home / f"device-{code}.kadr"), *more],
            env=pulled.environment | {"KADR_DEVICE": "abacus"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
    assert "no device 'abacus'" in done.stderr


def test_a_search_with_mini_imports_none_of_it(tmp_path: Path) -> None:
    kadr = Shell(tmp_path)
    Image.new("RGB", (50, 40)).save(tmp_path / "a.png")
    kadr("index", tmp_path, "--library", tmp_path / "own.kadr")
    code = (
        "import sys; from kadr.cli.main import main\n"
        f"sys.argv = ['kadr', 'search', 'dog', '--library', {str(tmp_path / 'own.kadr')!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('tokenizers', 'huggingface_hub', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kadr.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_switch_and_the_law_s_want_are_told_by_the_model_s_name(
    pulled: Online, tmp_path: Path
) -> None:
    kadr = Online(tmp_path, pulled.hub)
    kadr("models", "pull", SPEC)
    at, law = ("--library", tmp_path / "own.kadr"), ("--policy", "under-16")
    kadr("index", pulled.home / "photos", *at)
    there = kadr("index", *at, "--model", NAME, "--reencode")
    assert f"Encoding again by {NAME}: 4 photos" in there.stderr
    assert there.stderr.endswith(f"Searches use {NAME} now.\n")
    assert f"encoded by {NAME} (clip-images-" in kadr("library", *at).stdout
    assert json.loads(kadr("library", *at, "--json").stdout)["model"] == NAME
    refused = kadr("search", "a dog", *at, "--model", "mini", code=2)
    assert f"holds vectors of {NAME}, this matcher needs mini." in one_line(refused)

    told = "4 photos are hidden until the law's classifier can see them: kadr index --policy under"
    assert told not in kadr("search", "a dog", *at, *law, code=1).stderr, "mini saw them"
    at = ("--library", tmp_path / "never.kadr")
    kadr("index", pulled.home / "photos", *at, "--model", NAME)
    assert told in kadr("search", "a dog", *at, *law, code=1).stderr
    photo = pulled.home / "photos/0.jpg"
    assert told in kadr("similar", photo, *at, *law, code=1).stderr
    assert "needs vectors of mini too" in kadr("index", *at, *law).stderr
    assert told not in kadr("similar", photo, *at, *law).stderr
    back = kadr("index", *at, *law, "--model", "mini", "--reencode")
    assert "Encoding again" not in back.stderr  # its vectors are there, for the law
    assert back.stderr.endswith("Searches use mini now.\n")
    assert told not in kadr("search", "a dog", *at, *law, code=1).stderr
