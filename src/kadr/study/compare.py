"""Flow: archive and choices -> one table of what each choice reaches on held-out images.

Each combination is measured twice: on images that it has not seen, and on images and texts that it
has not seen, for which everything (vocabulary, joint space, head) is learned anew without a fifth
of the texts at a time. What is measured is kept, so a combination is never measured twice.
"""

import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from kadr.encoders import TextEncoder, load_image_encoder, load_text_encoder, state
from kadr.encoders.vectors import VectorCache
from kadr.errors import DataError, KadrError, PolicyError
from kadr.law import rules
from kadr.law.policy import Policy
from kadr.matcher import bundle as matcher
from kadr.matcher import relevance
from kadr.matcher.alignment import Alignment
from kadr.metrics import ranking, resampling
from kadr.photos import files
from kadr.study import encoded, figures, protocols, train
from kadr.study.encoded import Encoded, Progress, silent
from kadr.study.figures import Judged, PairFigures, RetrievalFigures
from kadr.study.protocols import Folds, PairScorer
from kadr.study.train import Config, Lesson
from kadr.types import Dataset, Difference, Floats, Interval, Label, Pair

FORMAT = 1
"""Of the kept measurements; another number makes them be measured again."""
RESAMPLES = 10_000
"""Of the paired tests: p-values below 1 / 5,000 can be told, so that two hundred rows that are
tested at once may still differ after Holm's correction."""
TABLE = "comparison.json"
KEPT = "measured"


@dataclass(frozen=True)
class Row:
    """What one combination reaches. `config` is None for a baseline that learns nothing.

    `validation` is the ROC-AUC by cross-fitting inside the training fold, on which a choice may
    rest; `seen` and `unseen` are of held-out images, with texts that training has and has not
    seen. `settings` are the head's. `seconds` is what training takes once vectors are there,
    `microseconds` what a pair takes to score. `behind` is the ROC-AUC on held-out images less
    that of the best row, with Holm's p-value.
    """

    name: str
    config: Config | None
    settings: Mapping[str, float]
    validation: float
    seen: PairFigures
    unseen: PairFigures | None
    retrieval: RetrievalFigures | None
    seconds: float
    microseconds: float
    behind: Difference | None = None


@dataclass(frozen=True)
class Comparison:
    """Rows by falling ROC-AUC, the baselines, and what couldn't be measured, with the reason."""

    rows: tuple[Row, ...]
    baselines: tuple[Row, ...]
    failed: Mapping[str, str]


def compare(
    dataset: Dataset,
    configs: Sequence[Config],
    cache: VectorCache,
    folder: Path,
    *,
    jobs: int = 1,
    on_progress: Progress | None = None,
) -> Comparison:
    """Measure every combination that `folder` doesn't hold yet, and rank all that were asked for.

    Args:
        dataset: the validated archive.
        configs: the combinations; they share `test_share` and `seed`.
        cache: vectors that needn't be computed again.
        folder: where measurements are kept; an interrupted run goes on from there.
        jobs: processes side by side.
        on_progress: called as the encoding and the combinations go on.

    Raises:
        DataError: too little to learn from.
        KadrError: no combination could be measured, or `folder` can't be written.
        PolicyError: there is no such policy, its file is wrong, or two that differ share a name.
    """
    report = on_progress or silent
    if not configs:
        raise KadrError("There is no combination to measure: name at least one.")
    if len({(config.test_share, config.seed) for config in configs}) != 1:
        raise KadrError("Combinations that are compared share one split: one --seed, one share.")
    named, policies = _by_policy_name(configs)
    kept, failed = _prepare(folder), dict[str, str]()
    benches = tuple(_benches(dataset, named, policies, cache, failed, report))
    asked = [kept / bench.key(config) for bench in benches for config in bench.configs]
    waiting = [bench.without_kept(kept) for bench in benches]
    done = len(asked) - sum(len(bench.configs) for bench in waiting)
    report("combinations", done, len(asked))
    for count, broken in _run([bench for bench in waiting if bench.configs], kept, jobs):
        failed.update(broken)
        done += count
        report("combinations", done, len(asked))
    found = [_read(path) for path in asked if path.exists()]
    if not found:
        reasons = "; ".join(f"{which}: {why}" for which, why in failed.items())
        raise KadrError(f"No combination could be measured. {reasons}")
    comparison = _ranked(found, benches[0], failed)
    _write(folder / TABLE, asdict(comparison))
    return comparison


def load(folder: Path) -> Comparison:
    """The comparison that was made in a folder.

    Raises:
        KadrError: there is none, or it can't be read.
    """
    try:
        table = json.loads((folder / TABLE).read_text(encoding="utf-8"))
        return Comparison(
            tuple(_row(row) for row in table["rows"]),
            tuple(_row(row) for row in table["baselines"]),
            table["failed"],
        )
    except FileNotFoundError:
        raise KadrError(f"{folder}: no comparison here. Make one with kadr compare.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise KadrError(f"{folder / TABLE}: can't be read ({error}). Compare again.") from error


def name(config: Config) -> str:
    """A combination in words: what differs from kadr's defaults of labels is named too."""
    usual = Config()
    parts = [config.image_encoder, config.text_encoder, config.features, config.classifier]
    if config.image_encoder == config.text_encoder == "mini" and config.alignment == "fitted":
        parts.append("fitted space")
    for field in ("experts", "expert_weight", "judges", "policy"):
        chosen = getattr(config, field)
        if chosen != getattr(usual, field):
            parts += [f"{field.replace('_', ' ')} {chosen}"]
    return " · ".join(parts)


@dataclass(frozen=True)
class _Bench:
    """What combinations of the same encoders and labels share.

    `folds` are the query ids of each fold of texts, and `parts` the archive in vectors for each: a
    text encoder that learns its words must not know the texts of the fold. `right` is the column
    of each test query's own photo among `photos`; `origin` identifies the data and the vectors.
    """

    configs: tuple[Config, ...]
    lesson: Lesson
    judged: Judged
    both: Encoded
    folds: Folds
    parts: tuple[Encoded, ...]
    pairs: tuple[Pair, ...]
    queries: tuple[str, ...]
    photos: tuple[str, ...]
    right: tuple[int, ...]
    origin: str

    def key(self, config: Config) -> str:
        """The file name of a combination's measurement: what it depends on."""
        rules_digest = self.lesson.policy.digest
        depends_on = [FORMAT, version("kadr"), self.origin, rules_digest, asdict(config)]
        text = json.dumps(depends_on, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32] + ".json"

    def without_kept(self, kept: Path) -> "_Bench":
        """The same for the combinations that are still to be measured."""
        left = (config for config in self.configs if not (kept / self.key(config)).exists())
        return replace(self, configs=tuple(left))


def _prepare(folder: Path) -> Path:
    kept = folder / KEPT
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KadrError(f"{folder}: can't be written ({error.strerror or error}).") from error
    return kept


def _by_policy_name(
    configs: Sequence[Config],
) -> tuple[list[Config], dict[str, Policy]]:
    """The same combinations with policies by name, as tables print them, and these policies."""
    policies: dict[str, Policy] = {}
    named = []
    for config in configs:
        policy = rules.load(config.policy, config.country)
        if policies.setdefault(policy.name, policy) != policy:
            raise PolicyError(
                f"Two policies that differ are called {policy.name}. Give one of them another name."
            )
        named.append(replace(config, policy=policy.name, country=None))
    return named, policies


def _benches(
    dataset: Dataset,
    configs: Sequence[Config],
    policies: Mapping[str, Policy],
    cache: VectorCache,
    failed: dict[str, str],
    report: Progress,
) -> Iterator[_Bench]:
    """Combinations grouped by what they share; what can't be prepared is noted in `failed`."""
    judged = figures.judged(dataset)

    @functools.cache
    def lesson(config: Config) -> Lesson:
        return train.gather(dataset, config, policies[config.policy])

    groups: dict[tuple[str, str, Config], list[Config]] = {}
    for config in dict.fromkeys(map(train.settled, configs)):
        labels_alone = Config(
            experts=config.experts,
            expert_weight=config.expert_weight,
            judges=config.judges,
            policy=config.policy,
            test_share=config.test_share,
            seed=config.seed,
        )
        key = config.image_encoder, config.text_encoder, labels_alone
        groups.setdefault(key, []).append(config)
    for (*_, labels_alone), members in groups.items():
        try:
            yield _bench(dataset, members, lesson(labels_alone), judged, cache, report)
        except KadrError as error:
            failed.update((name(config), str(error)) for config in members)


def _bench(
    dataset: Dataset,
    configs: Sequence[Config],
    lesson: Lesson,
    judged: Judged,
    cache: VectorCache,
    report: Progress,
) -> _Bench:
    image_encoder = load_image_encoder(configs[0].image_encoder)

    def encode(part: Lesson) -> tuple[Encoded, TextEncoder]:
        words = train.texts_of(dataset, part.labels)
        text_encoder = load_text_encoder(configs[0].text_encoder, texts=words)
        both = encoded.encode(
            dataset, image_encoder, text_encoder, cache, with_test=True, on_progress=report
        )
        return both, text_encoder

    both, text_encoder = encode(lesson)
    folds = protocols.text_folds(dataset)
    learned = bool(state(text_encoder))
    photos = tuple(sorted(name for name in dataset.test_images if name in both.image_rows))
    column = {photo: number for number, photo in enumerate(photos)}
    queries = [query for query in dataset.test_queries if query.image in column]
    held = set(lesson.held_out)
    pairs = tuple(pair for pair in judged.verdicts if pair[1] in held and both.knows(pair))
    if not pairs:
        raise DataError("Experts judged no held-out image: use a larger --test-share.")
    made_of = [sorted(both.digests.items()), sorted(dataset.digests.items())]
    origin = json.dumps([*made_of, image_encoder.name, text_encoder.name])
    return _Bench(
        configs=tuple(configs),
        lesson=lesson,
        judged=judged,
        both=both,
        folds=folds,
        parts=tuple(encode(_without(lesson, fold))[0] if learned else both for fold in folds),
        pairs=pairs,
        queries=tuple(query.id for query in queries),
        photos=photos,
        right=tuple(column[str(query.image)] for query in queries),
        origin=hashlib.sha256(origin.encode()).hexdigest(),
    )


def _without(lesson: Lesson, queries: frozenset[str]) -> Lesson:
    return replace(lesson, labels=tuple(i for i in lesson.labels if i.query not in queries))


def _run(
    benches: Sequence[_Bench], kept: Path, jobs: int
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Measure side by side; tells how many combinations are done, and which couldn't be."""
    if jobs == 1:
        for bench in benches:
            for broken in _measure_all(bench, kept):
                yield 1, broken
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        waiting = {pool.submit(_measure_apart, bench, kept): bench for bench in benches}
        for future in as_completed(waiting):
            yield len(waiting[future].configs), future.result()
    except BrokenProcessPool as error:
        raise KadrError(
            "A process that measures was stopped from outside, or had too little memory. What was "
            "measured is kept: compare again, with fewer --jobs."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _measure_apart(bench: _Bench, kept: Path) -> dict[str, str]:
    """Run in a process of its own."""
    return {k: v for broken in _measure_all(bench, kept) for k, v in broken.items()}


def _measure_all(bench: _Bench, kept: Path) -> Iterator[dict[str, str]]:
    """Measure each combination and keep it; yields those that couldn't be, with the reason."""
    from threadpoolctl import threadpool_limits

    @lru_cache(maxsize=4 * relevance.FOLDS)
    def aligned(part: int | None, items: tuple[Label, ...]) -> Alignment:
        both = bench.both if part is None else bench.parts[part]
        return train.fit_alignment(bench.configs[0], both, items)

    for config in bench.configs:
        try:
            with threadpool_limits(1):  # sums of more threads round in another way
                measured = _measure(bench, config, aligned)
            _write(kept / bench.key(config), measured)
            yield {}
        except KadrError as error:
            yield {name(config): str(error)}


def _measure(
    bench: _Bench,
    config: Config,
    aligned: Callable[[int | None, tuple[Label, ...]], Alignment],
) -> dict[str, Any]:
    """One combination's row, and its probabilities of the held-out pairs."""
    shipped = matcher.load().alignment if train.takes_shipped(config) else None
    started = time.perf_counter()
    learned = train.learn(bench.lesson, bench.both, config, shipped or partial(aligned, None))
    seconds = time.perf_counter() - started
    sides = encoded.project(bench.both, learned.alignment)
    started = time.perf_counter()
    probabilities = learned.relevance.probability(*sides.pick(bench.pairs))
    microseconds = (time.perf_counter() - started) / len(bench.pairs) * 1e6
    unseen = _without_their_queries(bench, config, learned, shipped, aligned)
    constants = train.constants(learned.labels)
    row = Row(
        name(config),
        config,
        learned.relevance.settings,
        learned.relevance.validation,
        _pair_figures(protocols.IMAGE_DISJOINT, bench, probabilities, constants),
        _pair_figures(protocols.QUERY_DISJOINT_PIPELINE, bench, unseen, constants)
        if bench.folds
        else None,
        _retrieval(bench, learned.relevance.table(*sides.cross(bench.queries, bench.photos))),
        seconds,
        microseconds,
    )
    return {"row": asdict(row), "probabilities": probabilities.tolist(), "pairs": bench.pairs}


def _without_their_queries(
    bench: _Bench,
    config: Config,
    learned: train.Learned,
    shipped: Alignment | None,
    aligned: Callable[[int | None, tuple[Label, ...]], Alignment],
) -> Floats:
    """Probabilities of the held-out pairs by the protocol of the query-disjoint pipeline."""

    def learn(number: int) -> PairScorer:
        anew = train.learn(
            _without(bench.lesson, bench.folds[number]),
            bench.parts[number],
            config,
            shipped or partial(aligned, number),
            calibrate=False,
            settings=learned.relevance.settings,
        )
        known = learned.relevance
        head = replace(anew.relevance, slope=known.slope, intercept=known.intercept)
        sides = encoded.project(bench.parts[number], anew.alignment)
        return lambda pairs: head.probability(*sides.pick(pairs))

    scores = protocols.score_by_folds(bench.pairs, bench.folds, lambda pair: pair[0], learn)
    return np.array([scores.get(pair, math.nan) for pair in bench.pairs])


def _pair_figures(
    set_name: str, bench: _Bench, probabilities: Floats, constants: Mapping[str, float]
) -> PairFigures:
    found = figures.pair_figures(
        set_name, bench.judged, bench.pairs, (), lambda _: probabilities, constants
    )
    if found is None:
        raise DataError("The held-out verdicts are all alike: nothing can be compared on them.")
    return found


def _retrieval(bench: _Bench, table: Floats) -> RetrievalFigures | None:
    if not bench.queries:
        return None
    right = np.array(bench.right, dtype=np.intp)
    ranks = ranking.rank_of(table, right)
    return figures.retrieval_figures(protocols.TEST_QUERIES, ranks, right, len(bench.photos))


def _baselines(bench: _Bench) -> tuple[Row, ...]:
    """What a constant and chance reach: no learning, no photo looked at."""
    constants = train.constants(bench.lesson.labels)
    random = np.random.default_rng(bench.configs[0].seed if bench.configs else 0)
    shape = len(bench.queries), len(bench.photos)
    said = {
        "constant": (np.full(len(bench.pairs), constants["mean"]), None),
        "random": (random.random(len(bench.pairs)), random.random(shape)),
    }
    return tuple(
        Row(
            which,
            None,
            {},
            math.nan,
            _pair_figures(protocols.IMAGE_DISJOINT, bench, probabilities, constants),
            None,
            _retrieval(bench, table) if table is not None else None,
            0.0,
            0.0,
        )
        for which, (probabilities, table) in said.items()
    )


def _ranked(
    found: Sequence[tuple[Row, tuple[Pair, ...], Floats]], bench: _Bench, failed: Mapping[str, str]
) -> Comparison:
    """Order by ROC-AUC, and test each row against the best on the pairs that both scored."""
    ordered = sorted(found, key=lambda item: -item[0].seen.roc_auc.value)
    _, pairs, best = ordered[0]
    truth = np.array([bench.judged.verdicts[pair] for pair in pairs], dtype=np.bool_)
    behind = resampling.auc_differences(
        [own for _, asked, own in ordered[1:] if asked == pairs],
        best,
        truth,
        [image for _, image in pairs],
        resamples=RESAMPLES,
    )
    adjusted = iter(resampling.holm([difference.p for difference in behind]))
    differences = iter(behind)
    rows = [ordered[0][0]]
    for row, asked, _ in ordered[1:]:
        compared = asked == pairs
        rows.append(
            replace(row, behind=replace(next(differences), p=next(adjusted)) if compared else None)
        )
    return Comparison(tuple(rows), _baselines(bench), failed)


def _write(path: Path, value: Any) -> None:
    text = json.dumps(_nulled(value), ensure_ascii=False, allow_nan=False)
    files.save(path, text.encode("utf-8", "surrogatepass"))


def _nulled(value: Any) -> Any:
    """The same with null for NaN, which JSON doesn't know."""
    if isinstance(value, dict):
        return {key: _nulled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nulled(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _read(path: Path) -> tuple[Row, tuple[Pair, ...], Floats]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        pairs = tuple((query, image) for query, image in kept["pairs"])
        probabilities = np.array(kept["probabilities"], dtype=np.float64).reshape(len(pairs))
        return _row(kept["row"]), pairs, probabilities
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise KadrError(f"{path}: can't be read ({error}). Delete it to measure again.") from error


def _row(table: Mapping[str, Any]) -> Row:
    """A row from its JSON."""

    def restored(kind: Any, part: Mapping[str, Any] | None) -> Any:
        if part is None:
            return None
        return kind(**{k: _interval(v) if isinstance(v, dict) else v for k, v in part.items()})

    behind = table["behind"]
    return Row(
        **{
            **table,
            "validation": _number(table["validation"]),
            "config": restored(Config, table["config"]),
            "seen": restored(PairFigures, table["seen"]),
            "unseen": restored(PairFigures, table["unseen"]),
            "retrieval": restored(RetrievalFigures, table["retrieval"]),
            "behind": None if behind is None else Difference(**_numbers(behind)),
        }
    )


def _interval(part: Mapping[str, Any]) -> Interval:
    return Interval(**_numbers(part))


def _numbers(part: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(value) for name, value in part.items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else value
