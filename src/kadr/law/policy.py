"""What a country's law hides: the rule, the searches it refuses, the images it keeps out."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from kadr.errors import PolicyError
from kadr.law import requests
from kadr.law.words import Finding, Vocabulary, find
from kadr.types import Dataset, Label, Query

DISCLAIMERS: Mapping[str, str] = MappingProxyType(
    {
        "en": "This image is unavailable in your country in compliance with local laws",
        "ru": "Это изображение недоступно в вашей стране по требованиям местного законодательства",
    }
)
"""Language code -> what stands in place of a hidden image. The English is the brief's sentence."""


Faces: TypeAlias = Literal["never", "unsure", "always"]
"""When faces are looked for, and their ages estimated."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A law about images: whom it protects up to which age, and how they are looked for.

    A photo is hidden from the probability `hide` on that a person below the age is in it, and from
    `review` on until a person has looked; both in [0, 1]. `faces` says when ages of faces are
    estimated: never, where the other layers are unsure, or always. `refuses_queries`: a query that
    asks for children gets the disclaimer. `logs_queries`: a refused query's text is kept in the
    audit log.
    """

    name: str
    age: int
    hides_children: bool
    hide: float = 0.8
    review: float = 0.2
    faces: Faces = "never"
    refuses_queries: bool = True
    logs_queries: bool = False
    vocabulary: Vocabulary = "wide"
    disclaimers: Mapping[str, str] = field(default_factory=lambda: DISCLAIMERS)

    def disclaimer(self, language: str = "en") -> str:
        """What to show instead of a hidden image: `ru`, `en-GB`; English where it isn't known."""
        code = language.replace("_", "-").partition("-")[0].lower()
        return self.disclaimers.get(code, self.disclaimers["en"])


PRESETS: Mapping[str, Policy] = MappingProxyType(
    {
        "under-16": Policy("under-16", age=16, hides_children=True),
        "none": Policy("none", age=0, hides_children=False),
    }
)


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Which images a policy keeps out, and what their matching captions say."""

    images: Mapping[str, tuple[Finding, ...]]

    @property
    def words(self) -> Counter[str]:
        """Lemma -> images that it removed. Each image counts once, for its first finding."""
        return Counter(findings[0].lemma for findings in self.images.values())


@dataclass(frozen=True, slots=True)
class Removed:
    """How many images, and judged pairs of these images, a word removed."""

    images: int
    pairs: int


@dataclass(frozen=True, slots=True)
class ExclusionReport:
    """How much of the data a policy removed; `by_word` adds up to the removed totals."""

    images_total: int
    images_removed: int
    pairs_total: int
    pairs_removed: int
    by_word: Mapping[str, Removed]

    @property
    def images_share(self) -> float:
        """Removed images among all, in [0, 1]; 0 where there are none."""
        return self.images_removed / max(self.images_total, 1)

    @property
    def pairs_share(self) -> float:
        """Removed pairs among all, in [0, 1]; 0 where there are none."""
        return self.pairs_removed / max(self.pairs_total, 1)


def preset(name: str) -> Policy:
    """The preset of that name; never a file, so that a name from elsewhere can be asked for.

    Raises:
        PolicyError: no preset has the name.
    """
    try:
        return PRESETS[name]
    except KeyError:
        known = ", ".join(sorted(PRESETS))
        raise PolicyError(f"There is no policy {name!r}. Choose one of: {known}.") from None


def refuses(policy: Policy, query_text: str) -> tuple[Finding, ...]:
    """What in a search's text asks for what the policy hides; empty where the search may run.

    A query is read more strictly than a photo's texts (`kadr.law.requests`), but where the policy
    knows the brief's words alone.
    """
    if not (policy.hides_children and policy.refuses_queries):
        return ()
    findings = named(policy, query_text)
    if findings or policy.vocabulary == "brief":
        return findings
    return requests.find(query_text, policy.age)


def named(policy: Policy, text: str) -> tuple[Finding, ...]:
    """What in a text names a person whom the policy protects."""
    return find(text, policy.vocabulary) if policy.hides_children else ()


def assess(
    dataset: Dataset, policy: Policy, matches: Collection[tuple[str, str]] = ()
) -> Exclusions:
    """Which images to keep out of training and search, judged by every caption that matches them.

    An image's own captions match it, and so do the captions in `matches`: (query id, image id)
    pairs that people judged to match. An unrelated query that names a child tells nothing about
    the image that it was shown with; nor does one without child words prove that there is none.
    """
    why: dict[str, dict[Finding, None]] = {}
    for query, image in _matching_captions(dataset, matches):
        if findings := named(policy, query.text):
            why.setdefault(image, {}).update(dict.fromkeys(findings))
    return Exclusions({image: tuple(findings) for image, findings in why.items()})


def report(
    exclusions: Exclusions, images: Collection[str], labels: Iterable[Label]
) -> ExclusionReport:
    """Count what goes: among `images` (ids), and among the labelled pairs, whose image goes."""
    why = exclusions.images
    removed = {image: why[image][0].lemma for image in images if image in why}
    pairs = Counter(label.image for label in labels)
    images_by_word = Counter(removed.values())
    pairs_by_word: Counter[str] = Counter()
    for image, lemma in removed.items():
        pairs_by_word[lemma] += pairs[image]
    return ExclusionReport(
        images_total=len(images),
        images_removed=len(removed),
        pairs_total=pairs.total(),
        pairs_removed=pairs_by_word.total(),
        by_word={
            lemma: Removed(count, pairs_by_word[lemma])
            for lemma, count in sorted(images_by_word.items(), key=lambda item: (-item[1], item[0]))
        },
    )


def _matching_captions(
    dataset: Dataset, matches: Collection[tuple[str, str]]
) -> Iterator[tuple[Query, str]]:
    """Every (caption, image that it matches): own captions first, then judged ones, in order."""
    captions = {query.id: query for query in (*dataset.queries.values(), *dataset.test_queries)}
    for query in captions.values():
        if query.image is not None:
            yield query, query.image
    for query_id, image in sorted(matches):
        # The crowd also judged queries whose text the archive doesn't hold: they can't tell.
        if query_id in captions:
            yield captions[query_id], image
