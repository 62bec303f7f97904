"""kadr finds the photo you describe, and says how sure it is.

The flow in nine lines:

    archive = load_dataset("archive")  # files -> validated tables
    cache = VectorCache("vectors.sqlite")  # nothing is encoded twice
    trained = train_matcher(archive, TrainConfig(), cache)  # judgements -> what a match is
    policy = load_policy("under-16")  # what the law hides
    figures = evaluate_matcher(trained.matcher, archive, cache, policy=policy)  # on unseen pairs
    library = Library.open("photos.kadr", model=trained.matcher, policy=policy)  # or "mini"
    library.index("photos")  # folders -> vectors; again: only what changed
    answer = library.search("a dog runs on the beach")  # photos with probabilities, or a notice
    library.close()
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from kadr.data.dataset import load as load_dataset
    from kadr.encoders.vectors import VectorCache
    from kadr.law.rules import load as load_policy
    from kadr.library.library import Library
    from kadr.matcher.installed import load as load_matcher
    from kadr.study.classifier import MatchClassifier
    from kadr.study.evaluate import evaluate as evaluate_matcher
    from kadr.study.train import Config as TrainConfig
    from kadr.study.train import train as train_matcher

# ONNX Runtime (1.32) tells its maker of each process and model, under a number that it
# keeps in the user's home. It looks at this when it is imported, so nothing may import it before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Library",
    "MatchClassifier",
    "TrainConfig",
    "VectorCache",
    "evaluate_matcher",
    "load_dataset",
    "load_matcher",
    "load_policy",
    "train_matcher",
]

# Loaded when first named, so that `import kadr` costs nothing. No name is that of a module.
_PLACES = {
    "Library": ("kadr.library.library", "Library"),
    "MatchClassifier": ("kadr.study.classifier", "MatchClassifier"),
    "TrainConfig": ("kadr.study.train", "Config"),
    "VectorCache": ("kadr.encoders.vectors", "VectorCache"),
    "evaluate_matcher": ("kadr.study.evaluate", "evaluate"),
    "load_dataset": ("kadr.data.dataset", "load"),
    "load_matcher": ("kadr.matcher.installed", "load"),
    "load_policy": ("kadr.law.rules", "load"),
    "train_matcher": ("kadr.study.train", "train"),
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("kadr")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
