"""The models that kadr knows by a short name: where they are, and what is published of them."""

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = "KADR_MODELS"
"""Environment variable: where models lie."""
RECALL_SOURCE = (
    "Immich, docs/features/searching.md: mean of recall@1, @5, @10 on Crossmodal-3600, fp32"
)
"""Whose figures `Entry.english` and `Entry.russian` are."""


@dataclass(frozen=True)
class Entry:
    """One model. Figures are as published, None where none is.

    `dim` is the vectors' length; `parameters` in millions (open_clip, docs/model_profile.csv): fp32
    takes four bytes of each; `english` and `russian` are recalls in per cent.
    """

    name: str
    repository: str
    languages: str
    dim: int
    licence: str
    parameters: float | None = None
    english: float | None = None
    russian: float | None = None


_EN, _MANY = "English", "many, Russian too"

MENU: tuple[Entry, ...] = (
    Entry(
        "vit-b32-openai",
        "immich-app/ViT-B-32__openai",
        _EN,
        512,
        "MIT",
        151.28,
        59.37,
    ),
    Entry(
        "vit-b32-laion2b",
        "immich-app/ViT-B-32__laion2b-s34b-b79k",
        _EN,
        512,
        "MIT",
        151.28,
        68.78,
    ),
    Entry(
        "mobileclip-s2",
        "Xenova/mobileclip_s2",
        _EN,
        512,
        "Apple's, for research only",
    ),
    Entry(
        "mobileclip2-s2",
        "plhery/mobileclip2-onnx",
        _EN,
        512,
        "Apple's, for research only",
        99.1,
    ),
    Entry(
        "siglip-b16",
        "immich-app/ViT-B-16-SigLIP__webli",
        _EN,
        768,
        "Apache-2.0",
        203.16,
        71.64,
    ),
    Entry(
        "siglip2-b32",
        "immich-app/ViT-B-32-SigLIP2-256__webli",
        _MANY,
        768,
        "Apache-2.0",
        None,
        73.15,
        81.59,
    ),
    Entry(
        "siglip2-b16",
        "immich-app/ViT-B-16-SigLIP2__webli",
        _MANY,
        768,
        "Apache-2.0",
        None,
        75.19,
        84.29,
    ),
    Entry(
        "siglip2-l16",
        "immich-app/ViT-L-16-SigLIP2-256__webli",
        _MANY,
        1024,
        "Apache-2.0",
        None,
        74.26,
        85.98,
    ),
    Entry(
        "siglip2-so400m",
        "immich-app/ViT-SO400M-16-SigLIP2-384__webli",
        _MANY,
        1152,
        "Apache-2.0",
        None,
        75.09,
        87.65,
    ),
    Entry(
        "xlm-r-b32",
        "immich-app/XLM-Roberta-Base-ViT-B-32__laion5b_s13b_b90k",
        _MANY,
        512,
        "MIT",
        366.12,
        68.33,
        80.56,
    ),
    Entry(
        "nllb-base-siglip",
        "immich-app/nllb-clip-base-siglip__mrl",
        _MANY,
        768,
        "CC-BY-NC-4.0",
        None,
        69.66,
        80.44,
    ),
)


def entry(name: str) -> Entry | None:
    """What the menu has under a name."""
    return next((one for one in MENU if one.name == name), None)


def folder() -> Path:
    """Where installed models lie: KADR_MODELS, else models in the user's data folder."""
    named = os.environ.get(FOLDER)
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("kadr") / "models"
