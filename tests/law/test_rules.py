"""The policy file: which policy holds where, and what is said of a file that is wrong."""

import re
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadr.errors import PolicyError
from kadr.law import rules
from kadr.law.policy import DISCLAIMERS, PRESETS, Policy, refuses
from kadr.law.verdict import verdict
from kadr.types import Assessment

PAGE = Path(__file__).parents[2] / "docs" / "law.md"
UNDER_16, NONE = PRESETS["under-16"], PRESETS["none"]

FILE = """
[disclaimers]
de = "Hier nicht"

[policies.strict]
extends = "under-16"
age = 18
review = 0.1
faces = "always"
logs_queries = true

[policies.stricter]
extends = "strict"
review = 0.05
disclaimers = { en = "Not here" }

[countries]
DE = "strict"
at = "stricter"
US = "none"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "law.toml"


def read(path: Path, text: str) -> rules.Rules:
    path.write_text(text, encoding="utf-8")
    return rules.read(path)


def wrong(path: Path, text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        read(path, text)
    return str(caught.value).removeprefix(str(path))


def test_each_country_has_its_policy(path: Path) -> None:
    found = read(path, FILE)
    strict = replace(
        UNDER_16, name="strict", age=18, review=0.1, faces="always", logs_queries=True,
        disclaimers={**DISCLAIMERS, "de": "Hier nicht"},
    )  # fmt: skip
    assert found.policy("DE") == found.policy(" de ") == strict
    assert found.policy("AT") == replace(
        strict, name="stricter", review=0.05, disclaimers={**strict.disclaimers, "en": "Not here"}
    )
    assert not found.policy("us").hides_children
    assert found.policy("us").disclaimer("de") == "Hier nicht"
    assert set(found.policies) == {"strict", "stricter", "none"}
    assert re.fullmatch("[0-9a-f]{64}", found.digest)
    assert read(path, FILE + " ").digest != found.digest


@pytest.mark.parametrize("country", [None, "", "FR", "Germany", "??", "DEU"])
def test_unknown_country_gets_the_strictest(path: Path, country: str | None) -> None:
    assert read(path, FILE).policy(country).name == "stricter"


def test_strictness_goes_by_its_list() -> None:
    mild = Policy("x", 16, hides_children=True, hide=0.8, review=0.2)
    steps = [
        replace(NONE, age=99),
        replace(mild, refuses_queries=False, vocabulary="brief"),
        replace(mild, refuses_queries=False),
        mild,
        replace(mild, faces="unsure"),
        replace(mild, faces="always"),
        replace(mild, hide=0.7),
        replace(mild, review=0.1, hide=0.9),
        replace(mild, age=18, review=0.2),
    ]
    mixed = steps[::-1]
    assert sorted(mixed, key=rules.strictness) == steps


POLICIES = st.builds(
    Policy,
    st.text(string.ascii_lowercase, min_size=1),
    st.integers(0, 99),
    st.booleans(),
    st.floats(0.5, 1),
    st.floats(0, 0.5),
    st.sampled_from(["never", "unsure", "always"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["wide", "brief"]),
)
ASSESSMENTS = st.none() | st.builds(
    Assessment,
    st.just(()),
    st.none() | st.floats(0, 1),
    st.none() | st.just((4.0,)),
    st.sampled_from([(), ("faces",)]),
    st.floats(0, 1),
    st.sampled_from(["", "v1"]),
)
ORDER = ("show", "review", "hide")


@given(
    st.lists(POLICIES, min_size=1, unique_by=lambda one: one.name),
    ASSESSMENTS,
    st.sampled_from(["a child", "a school", "a car"]),
)
def test_strictest_hides_whatever_any_policy_hides(
    policies: list[Policy], assessment: Assessment | None, query: str
) -> None:
    strictest = rules.Rules({str(n): one for n, one in enumerate(policies)}, {}, "").policy(None)
    own = ORDER.index(verdict(strictest, assessment, None))
    assert all(own >= ORDER.index(verdict(one, assessment, None)) for one in policies)
    assert bool(refuses(strictest, query)) >= any(refuses(one, query) for one in policies)
    assert all(one == strictest for one in policies if one.name == strictest.name)
    assert strictest.age >= max((one.age for one in policies if one.hides_children), default=0)


def test_strictest_joins_limits_of_several(path: Path) -> None:
    text = """
        [policies.old]
        extends = "under-16"
        age = 18
        review = 0.6
        hide = 0.9

        [policies.low]
        extends = "under-16"
        review = 0.1
        faces = "always"
    """
    strictest = read(path, text).policy(None)
    assert strictest == replace(UNDER_16, name="strictest", age=18, review=0.1, faces="always")


def test_spec_is_a_preset_or_a_file(path: Path) -> None:
    assert rules.load("under-16", "US") is UNDER_16
    assert rules.load("none") is NONE
    path.write_text(FILE)
    assert rules.load(str(path), "de").name == "strict"
    assert rules.load(str(path)).name == "stricter"
    with pytest.raises(PolicyError, match=r"under-18.*none, under-16.*\.toml"):
        rules.load("under-18")
    with pytest.raises(PolicyError, match=r"gone\.toml.*No such file"):
        rules.load(str(path.with_name("gone.toml")))


def test_presets_alone_make_a_file(path: Path) -> None:
    found = read(path, '[countries]\nRU = "under-16"\nUS = "none"\n')
    assert found.policy("ru") == found.policy("fr") == UNDER_16


def test_policy_may_stand_alone(path: Path) -> None:
    text = """
        [policies.own]
        age = 14
        hides_children = true
        disclaimers.en = "No"
    """
    assert read(path, text).policy(None) == Policy(
        "own", 14, hides_children=True, disclaimers={"en": "No"}
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[policies.a]\nextends = 'under-16'\nthreshold = 1", ", line 3: policies.a.threshold is unknown. Known here: extends"),
        ("[policy.a]", ", line 1: policy is unknown. Known here: disclaimers, policies, countries"),
        ("[policies.a]\nextends = 'under-16'\n\nhide = 1.2", ", line 4: policies.a.hide must be a probability from 0 to 1, not 1.2"),
        ("[policies.a]\nextends = 'under-16'\nhide = nan", ", line 3: policies.a.hide must be"),
        ("[policies.a]\nextends = 'under-16'\nhide = true", ", line 3: policies.a.hide must be"),
        ("[policies.a]\nextends = 'under-16'\nage = 16.5", ", line 3: policies.a.age must be whole years"),
        ("[policies.a]\nextends = 'under-16'\nage = 0", ", line 1: policies.a hides nobody"),
        ("[policies.a]\nextends = 'under-16'\nfaces = 'often'", ", line 3: policies.a.faces must be one of never, unsure, always"),
        ("[policies.a]\nextends = 'under-16'\nfaces = []", ", line 3: policies.a.faces must be one of"),
        ("[policies.a]\nextends = 'under-16'\nvocabulary = 'all'", ", line 3: policies.a.vocabulary must be one of brief, wide"),
        ("[policies.a]\nextends = 'under-16'\nhides_children = 'yes'", ", line 3: policies.a.hides_children must be true or false"),
        ("[policies.a]\nextends = 'under-16'\nreview = 0.9", ", line 3: policies.a.review makes the limit of review (0.9) higher"),
        ("[policies.a]\nextends = 'under-16'\nhide = 0.1", ", line 3: policies.a.hide makes the limit of review (0.2) higher"),
        ("[policies.a]\nextends = 'b'\n[policies.b]\nextends = 'none'", ", line 2: policies.a.extends names no policy that is known there ('b'). Choose one of: none, under-16."),
        ("[policies.a]\nextends = 'a'", ", line 2: policies.a.extends names no policy"),
        ("[policies.a]\nage = 16\nhides_children = true", ", line 1: policies.a.disclaimers has no `en`"),
        ("[policies.a]\nage = 16\ndisclaimers.en = 'No'", ", line 1: policies.a.hides_children is missing"),
        ("[policies.under-16]\nage = 12", ", line 1: policies.under-16 is a preset's name"),
        ("[disclaimers]\nen = ''", ", line 2: disclaimers.en must be a text"),
        ("[disclaimers]\nen-GB = 'No'", ", line 2: disclaimers.en-GB is no language"),
        ("disclaimers = 'No'", ", line 1: disclaimers must be a table"),
        ("policies = []", ", line 1: policies must be a table"),
        ("[policies]\na = 1", ", line 2: policies.a must be a table"),
        ("[countries]\nUK = 'none'", ", line 2: countries.UK is no country. Write its two letters of ISO 3166-1, such as DE. The United Kingdom is GB."),
        ("[countries]\nDE = 'none'\nde = 'none'", ", line 3: countries.de is there twice"),
        ("[countries]\nDE = 'strict'", ", line 2: countries.DE names no policy"),
        ("[countries]\nDE = ['none']", ", line 2: countries.DE names no policy"),
        ("", ": policies holds no policy"),
        ("[countries\n", ": isn't TOML: "),
        ("[countries]\nDE = 'none'\nDE = 'none'", ": isn't TOML: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(path: Path, text: str, said: str) -> None:
    message = wrong(path, text)
    assert said in message
    assert message.endswith(".")


def test_line_is_not_misled_by_texts(path: Path) -> None:
    text = '[disclaimers]\nen = """\n[policies.a]\nhide = 2\n"""\n[policies.a]\nextends="none"\nhide = 2'
    assert ", line 8: policies.a.hide" in wrong(path, text)


def test_other_bytes_than_text(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf[countries]\r\nDE = 'none'\r\n")  # as Notepad saves it
    assert rules.read(path).policy("DE").name == "none"
    path.write_bytes("[countries] # страна".encode("cp1251"))
    with pytest.raises(PolicyError, match="Save it as UTF-8"):
        rules.read(path)
    with pytest.raises(PolicyError, match="can't be read"):
        rules.read(path.parent)


@given(
    st.text(st.sampled_from("[]policies.a\n=\"'{}#countries \tDE01, extends under-16"), max_size=80)
)
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    place = tmp_path_factory.getbasetemp() / "any.toml"
    place.write_text(text, encoding="utf-8")
    try:
        rules.read(place)
    except PolicyError as error:
        assert str(error).startswith(str(place))


def test_fingerprint_tells_policies_apart() -> None:
    others = [
        replace(UNDER_16, hide=0.7), replace(UNDER_16, disclaimers={"en": "No"}),
        replace(UNDER_16, logs_queries=True), NONE,
    ]  # fmt: skip
    marks = {rules.fingerprint(policy) for policy in (UNDER_16, *others)}
    assert len(marks) == 5
    assert rules.fingerprint(replace(UNDER_16)) in marks


def test_countries_are_those_of_the_standard() -> None:
    table = Path("/usr/share/zoneinfo/iso3166.tab")
    if not table.exists():
        pytest.skip("this system has no table of countries")
    lines = table.read_text(encoding="utf-8").splitlines()
    codes = {line[:2] for line in lines if not line.startswith("#")}
    assert rules.COUNTRIES - {"XK"} == codes - {"XK"}


def test_example_of_the_page_is_a_policy_file(path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found = read(path, text)
    assert {country: found.policy(country).name for country in ("DE", "US", "FR", None)} == {
        "DE": "strict", "US": "open", "FR": "strict", None: "strict"
    }  # fmt: skip
    assert found.policy("DE").disclaimer("de").startswith("Dieses Bild")
