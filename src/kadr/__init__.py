"""kadr finds the photo you describe, and says how sure it is.

The flow in nine lines:

    archive = load_dataset(Path("archive"))  # files -> validated tables
    cache = VectorCache(Path("vectors.sqlite"))  # nothing is encoded twice
    trained = train_matcher(archive, TrainConfig(), cache)  # judgements -> what a match is
    policy = load_policy("under-16")  # what the law hides
    figures = kadr.evaluate.evaluate(trained.matcher, archive, cache, policy=policy)  # on unseen
    library = Library.open(Path("photos.kadr"), model=trained.matcher, policy=policy)  # or `mini`
    library.index([Path("photos")])  # folders -> vectors; again: only what changed
    answer = library.search("a dog runs on the beach")  # photos with probabilities, or a notice
    library.close()
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kadr.dataset import load as load_dataset
    from kadr.library import Library
    from kadr.matcher import load as load_matcher
    from kadr.safety.policy import load as load_policy
    from kadr.train import Config as TrainConfig
    from kadr.train import train as train_matcher
    from kadr.vectors import VectorCache

# ONNX Runtime (1.32) tells its maker of each process and model, under a number that it
# keeps in the user's home. It looks at this when it is imported, so nothing may import it before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Library",
    "TrainConfig",
    "VectorCache",
    "load_dataset",
    "load_matcher",
    "load_policy",
    "train_matcher",
]

# Loaded when first named, so that `import kadr` costs nothing. No name is that of a module:
# `from kadr import train` gives the module.
_PLACES = {
    "Library": ("kadr.library", "Library"),
    "TrainConfig": ("kadr.train", "Config"),
    "VectorCache": ("kadr.vectors", "VectorCache"),
    "load_dataset": ("kadr.dataset", "load"),
    "load_matcher": ("kadr.matcher", "load"),
    "load_policy": ("kadr.safety.policy", "load"),
    "train_matcher": ("kadr.train", "train"),
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
