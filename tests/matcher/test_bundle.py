"""The bundle: what was saved is what is loaded, or nothing is."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kadr.encoders import load_image_encoder, load_text_encoder
from kadr.encoders.mini import IMAGE_WEIGHTS, MiniImages
from kadr.errors import BundleError, KadrError
from kadr.matcher import Classifier, alignment, heads, relevance
from kadr.matcher import bundle as matcher
from kadr.matcher.bundle import MANIFEST, WEIGHTS, Matcher
from kadr.matcher.relevance import Embeddings, Examples
from libraries import judged

PLUGINS = Path(__file__).parents[1] / "plugins"
N = 200


def train(classifier: Classifier = "logistic", seed: int = 1) -> Matcher:
    """A matcher over the fakes, taught a relation between random vectors."""
    rng = np.random.default_rng(seed)
    photos, words = load_image_encoder("colours"), load_text_encoder("words")
    images = rng.normal(size=(N, photos.dim)).astype(np.float32)
    texts = (images @ rng.normal(size=(photos.dim, words.dim))).astype(np.float32)
    joint = alignment.fit(images, texts, dim=12)
    half = np.arange(N) < N // 2
    other = np.where(half, np.arange(N), np.roll(np.arange(N), 7)).astype(np.intp)
    examples = Examples(
        Embeddings(images, joint.images(images)),
        Embeddings(texts, joint.texts(texts)).take(other),
        half.astype(np.float64),
        np.ones(N),
        [f"{number}.jpg" for number in range(N)],
        half.astype(np.float64),
    )
    head = relevance.fit(examples, classifier=classifier, calibrate=classifier == "logistic")
    return Matcher("colours", "words", photos, words, joint, head, {"seed": seed, "где": "здесь"})


@cache
def trained() -> Matcher:
    return train()


def sides(scorer: Matcher, n: int = 9) -> tuple[Embeddings, Embeddings]:
    rng = np.random.default_rng(5)
    images = rng.normal(size=(n, scorer.image_encoder.dim)).astype(np.float32)
    texts = rng.normal(size=(n, scorer.text_encoder.dim)).astype(np.float32)
    return scorer.images(images), scorer.texts(texts)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def approve_weights(folder: Path) -> None:
    """Make the manifest name whatever weights are there, as an attacker would."""
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    rewrite(folder, lambda manifest: manifest.update(weights_digest=digest))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return matcher.save(trained(), tmp_path / "bundle")


@pytest.mark.parametrize("classifier", ["logistic", "boosting", "mlp"])
def test_round_trip(tmp_path: Path, classifier: Classifier) -> None:
    before = train(classifier)
    after = matcher.load(matcher.save(before, tmp_path / "new" / "bundle"))
    for one, two in zip(before.pairs(*sides(before)), after.pairs(*sides(after)), strict=True):
        np.testing.assert_array_equal(one, two)
    assert after.manifest == before.manifest
    assert (after.image_spec, after.text_spec) == ("colours", "words")
    assert judged(after).settings == judged(before).settings == heads.GRID[classifier][0]


def test_table_is_every_pair() -> None:
    scorer = trained()
    images, texts = sides(scorer)
    table = scorer.relevance.table(images, texts)
    assert table.shape == (9, 9)
    assert table.dtype == np.float64
    for text in range(9):
        for image in range(9):
            row, column = (np.array([number], dtype=np.intp) for number in (text, image))
            alone, _ = scorer.pairs(images.take(column), texts.take(row))
            assert table[text, image] == pytest.approx(alone[0])
    assert len(np.unique(table)) == 81
    nothing = np.array([], dtype=np.intp)
    assert scorer.relevance.table(images, texts.take(nothing)).shape == (0, 9)
    assert scorer.relevance.table(images.take(nothing), texts).shape == (9, 0)


def test_similarity_is_the_cosine_of_the_joint_space() -> None:
    scorer = trained()
    images, texts = sides(scorer)
    probability, similarity = scorer.pairs(images, texts)
    assert probability.dtype == similarity.dtype == np.float64
    left, right = (side.joint.vectors.astype(np.float64) for side in (images, texts))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    np.testing.assert_allclose(similarity, (left * right).sum(1) / norms, atol=1e-6)


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    one, two = (matcher.save(train(), tmp_path / name) for name in ("one", "two"))
    for name in (MANIFEST, WEIGHTS):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    with zipfile.ZipFile(one / WEIGHTS) as file:
        assert {info.date_time[0] for info in file.infolist()} == {1980}  # no clock in the bytes


def test_saving_leaves_nothing_else_behind(tmp_path: Path) -> None:
    for _ in range(2):
        matcher.save(trained(), tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == {MANIFEST, WEIGHTS}


def test_saving_over_a_bundle_keeps_its_card(bundle: Path) -> None:
    (bundle / "card.md").write_text("about")
    matcher.save(train(seed=2), bundle)
    assert (bundle / "card.md").read_text() == "about"
    assert matcher.load(bundle).manifest["seed"] == 2


@pytest.mark.parametrize("name", ["thesis.docx", MANIFEST])
def test_saving_spares_a_folder_with_other_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(BundleError, match="holds other files"):
        matcher.save(trained(), tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(BundleError):
        matcher.save(trained(), tmp_path / name)


def no_folder(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / MANIFEST).unlink()
    folder.rmdir()


def broken_json(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")


def no_text(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")


def a_list(folder: Path) -> None:
    (folder / MANIFEST).write_text("[]")


def other_format(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest.update(format=99))


def tampered_weights(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def no_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def cut_weights(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])
    approve_weights(folder)


def flipped_weights(folder: Path) -> None:
    tampered_weights(folder)
    approve_weights(folder)


def lone_array(folder: Path) -> None:
    with (folder / WEIGHTS).open("wb") as file:
        np.save(file, np.zeros(3))
    approve_weights(folder)


def lost_array(folder: Path) -> None:
    np.savez(folder / WEIGHTS, nothing=np.zeros(3))
    approve_weights(folder)


def other_encoder(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest["text_encoder"].update(name="words-v2"))


def number_as_spec(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest["image_encoder"].update(spec=7))


def other_features(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest["relevance"].update(features="nonsense"))


def other_classifier(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest["relevance"].update(classifier="boosting"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_folder, "kadr train"),
        (broken_json, "Train it again"),
        (no_text, "Train it again"),
        (a_list, "not a bundle of format 2"),
        (other_format, "not a bundle of format 2"),
        (tampered_weights, "isn't the file that the manifest describes"),
        (no_weights, "Train it again"),
        (cut_weights, "Train it again"),
        (flipped_weights, "Train it again"),
        (lone_array, "Train it again"),
        (lost_array, "Train it again"),
        (other_encoder, "words-v2.*fake-hashed-words-64"),
        (number_as_spec, "Train it again"),
        (other_features, "Train it again"),
        (other_classifier, "Train it again"),
    ],
)
def test_a_spoiled_bundle_is_refused(
    bundle: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(bundle)
    with pytest.raises(BundleError, match=message):
        matcher.load(bundle)


def test_the_image_encoder_comes_alone(bundle: Path) -> None:
    """Whoever only encodes photos needs no weights of texts, and no others."""
    (bundle / WEIGHTS).unlink()
    assert matcher.load_images(bundle).name == load_image_encoder("colours").name


@pytest.mark.parametrize("spoil", [no_folder, broken_json, a_list, other_format, number_as_spec])
def test_an_image_encoder_of_a_spoiled_bundle_is_refused(
    bundle: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(bundle)
    with pytest.raises(BundleError):
        matcher.load_images(bundle)


def test_another_image_encoder_than_the_bundle_s_is_refused(bundle: Path) -> None:
    rewrite(bundle, lambda manifest: manifest["image_encoder"].update(name="colours-v2"))
    with pytest.raises(BundleError, match=r"colours-v2.*fake-colour"):
        matcher.load_images(bundle)


def test_an_unknown_encoder_is_named(bundle: Path) -> None:
    rewrite(bundle, lambda manifest: manifest["image_encoder"].update(spec="uninstalled"))
    with pytest.raises(KadrError, match="uninstalled"):
        matcher.load(bundle)


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.proof,)


def test_a_pickle_is_never_loaded(bundle: Path, tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    with np.load(bundle / WEIGHTS) as file:
        arrays: dict[str, Any] = {name: file[name] for name in file.files}
    arrays["relevance.center"] = np.array([Trap(proof)], dtype=object)
    np.savez(bundle / WEIGHTS, **arrays)
    approve_weights(bundle)
    with pytest.raises(BundleError, match="Train it again"):
        matcher.load(bundle)
    assert not proof.exists()


def test_a_crash_between_the_two_files_is_noticed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def dies(source: Path, target: Path) -> None:
        if Path(target).name == MANIFEST:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            matcher.save(train(seed=2), bundle)
    with pytest.raises(BundleError, match="isn't the file that the manifest describes"):
        matcher.load(bundle)
    matcher.save(train(seed=2), bundle)
    assert matcher.load(bundle).manifest["seed"] == 2


def test_a_crash_in_a_first_save_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matcher, "_manifest", lambda *_: pytest.fail("no manifest"))
    with pytest.raises(pytest.fail.Exception):
        matcher.save(trained(), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_loading_imports_nothing_heavy(bundle: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from kadr.matcher import bundle as matcher
loaded = matcher.load(Path(sys.argv[1]))
images = loaded.images(np.ones((2, 48), np.float32))
texts = loaded.texts(loaded.text_encoder.encode(["a dog"]))
assert loaded.relevance.table(images, texts).shape == (1, 2)
heavy = {"sklearn", "torch", "scipy", "matplotlib", "pandas", "onnxruntime", "httpx"}
print(sorted(heavy & set(sys.modules)))
"""
    path = os.pathsep.join(filter(None, (str(PLUGINS), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(bundle)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


OUTSIDE = ("/dev/zero", "/etc/hostname", "../beside.onnx", "encoders/../../beside.onnx", "./x.onnx",
           "~/x.onnx", "C:\\x.onnx", "\\\\host\\x.onnx", "encoders/link.onnx",
           "encoders/device.onnx", "encoders/pipe.onnx", "encoders/away/beside.onnx",
           "encoders/linked", "nul\0")  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("side", ["image_encoder", "text_encoder"])
@pytest.mark.parametrize("before", ["mini:", "resnet18:", "torchvision:resnet18:", "colours+mini:"])
def test_a_manifest_names_no_path_outside_its_folder(
    bundle: Path, side: str, before: str, path: str
) -> None:
    """Nothing is opened: a device would be read for ever."""
    (bundle.parent / "beside.onnx").write_bytes(b"x")
    inside = bundle / "encoders"
    inside.mkdir()
    (inside / "link.onnx").symlink_to(bundle.parent / "beside.onnx")
    (inside / "device.onnx").symlink_to("/dev/zero")
    (inside / "away").symlink_to(bundle.parent)
    (inside / "linked").mkdir()
    (inside / "linked" / "model.safetensors").symlink_to("/dev/zero")
    os.mkfifo(inside / "pipe.onnx")
    if side == "text_encoder":
        before = {"mini:": "word2vec:", "resnet18:": "bert:", "colours+mini:": "words+bert:"}.get(
            before, "glove:"
        )
    rewrite(bundle, lambda manifest: manifest[side].update(spec=before + path))
    with pytest.raises(BundleError, match="which is no file of this folder"):
        matcher.load(bundle)


def test_a_file_that_an_encoder_reads_travels_with_the_bundle(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "image.onnx"
    mine.parent.mkdir()
    mine.write_bytes(IMAGE_WEIGHTS.read_bytes())
    scorer = replace(trained(), image_spec=f"mini:{mine}", image_encoder=MiniImages(mine))
    folder = matcher.save(scorer, tmp_path / "bundle")
    mine.unlink()
    moved = folder.rename(tmp_path / "elsewhere")
    loaded = matcher.load(moved)
    assert loaded.image_encoder.name == scorer.image_encoder.name
    assert str(tmp_path) not in (moved / MANIFEST).read_text(encoding="utf-8")
    again = matcher.save(loaded, tmp_path / "again")
    assert matcher.load(again).image_encoder.name == scorer.image_encoder.name
    matcher.save(loaded, moved)  # over itself
    assert matcher.load(moved).image_encoder.name == scorer.image_encoder.name


@pytest.mark.parametrize("name", [MANIFEST, WEIGHTS])
@pytest.mark.parametrize("kind", ["device", "link", "pipe"])
def test_a_bundle_s_own_files_are_plain_files(bundle: Path, name: str, kind: str) -> None:
    content = (bundle / name).read_bytes()
    (bundle / name).unlink()
    if kind == "pipe":
        os.mkfifo(bundle / name)
    else:
        (bundle.parent / "other").write_bytes(content)
        (bundle / name).symlink_to("/dev/zero" if kind == "device" else bundle.parent / "other")
    with pytest.raises(BundleError, match="not a plain file of its folder"):
        matcher.load(bundle)


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_a_manifest_that_is_nested_too_deeply_is_said(bundle: Path, deep: str) -> None:
    (bundle / MANIFEST).write_text(deep, encoding="utf-8")
    with pytest.raises(BundleError, match="nested too deeply"):
        matcher.load(bundle)
