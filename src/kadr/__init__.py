"""kadr finds the photo you describe, and says how sure it is.

The flow in nine lines:

    cache = VectorCache(Path("vectors.sqlite"))  # nothing is encoded twice
    archive = load_dataset(Path("archive"))  # files -> validated tables
    trained = train_matcher(archive, TrainConfig(), cache)  # judgements -> what a match is
    matcher = trained.matcher  # or load_matcher(): the shipped one, `mini`
    policy = load_policy("under-16")  # what the law hides
    figures = kadr.evaluate.evaluate(matcher, archive, cache, policy=policy)  # on unseen images
    collection = collect(Path("photos"), matcher, cache)  # folder -> vectors
    searcher = Searcher(matcher, collection, policy)
    answer = searcher.search("a dog runs on the beach")  # photos with probabilities, or a notice
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kadr.dataset import load as load_dataset
    from kadr.matcher import load as load_matcher
    from kadr.safety.policy import load as load_policy
    from kadr.search import Searcher, collect
    from kadr.train import Config as TrainConfig
    from kadr.train import train as train_matcher
    from kadr.vectors import VectorCache

__all__ = [
    "Searcher",
    "TrainConfig",
    "VectorCache",
    "collect",
    "load_dataset",
    "load_matcher",
    "load_policy",
    "train_matcher",
]

# Loaded when first named, so that `import kadr` costs nothing. No name is that of a module:
# `from kadr import train` gives the module.
_PLACES = {
    "Searcher": ("kadr.search", "Searcher"),
    "TrainConfig": ("kadr.train", "Config"),
    "VectorCache": ("kadr.vectors", "VectorCache"),
    "collect": ("kadr.search", "collect"),
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
