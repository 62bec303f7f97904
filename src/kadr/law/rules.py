"""Rules by country: a policy file in TOML -> the policy that holds where somebody is.

    [policies.strict]           # a policy of one's own
    extends = "under-16"        # a preset, or a policy written above
    review = 0.1

    [countries]                 # ISO 3166-1 alpha-2 -> a policy of the file, or a preset
    DE = "strict"

docs/law.md describes every key.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

from kadr.errors import PolicyError
from kadr.law.policy import PRESETS, Faces, Policy
from kadr.law.words import Vocabulary

COUNTRIES = frozenset(
    # ISO 3166-1, as of 2024, and XK, which is Kosovo's by use.
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE
    EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM
    HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC
    LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
    NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK
    """.split()  # noqa: SIM905 - 250 quoted pairs are no easier to read
)

_Keys: TypeAlias = tuple[str, ...]
_FACES: tuple[Faces, ...] = ("never", "unsure", "always")
"""From the mildest to the strictest."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy file: policies by name, names by country code, and the SHA-256 of the file."""

    policies: Mapping[str, Policy]
    countries: Mapping[str, str]
    digest: str

    def policy(self, country: str | None) -> Policy:
        """The policy of a country (ISO 3166-1 alpha-2, any case).

        A country that the file doesn't name, and None, get the strictest policy of the file.
        """
        name = self.countries.get((country or "").strip().upper())
        if name is None:
            return max(self.policies.values(), key=strictness)
        return self.policies[name]


def strictness(policy: Policy) -> tuple[Any, ...]:
    """What orders policies from mild to strict: the first difference in this list decides.

    Hiding is stricter than showing; then the higher age, the lower limit of review, the lower limit
    of hiding, refusing queries, looking for faces more often, the wider vocabulary. The name alone
    makes the order complete.
    """
    return (
        policy.hides_children,
        policy.age,
        -policy.review,
        -policy.hide,
        policy.refuses_queries,
        _FACES.index(policy.faces),
        policy.vocabulary == "wide",
        policy.name,
    )


def load(spec: str, country: str | None = None) -> Policy:
    """The policy that a spec names.

    Args:
        spec: a preset's name, or the path of a policy file, which ends in .toml.
        country: chooses in a file; a preset holds in every country.

    Raises:
        PolicyError: there is no such preset or file, or the file is wrong.
    """
    return by_country(spec)(country)


def by_country(spec: str) -> Callable[[str | None], Policy]:
    """What gives the policy of each country, a file read once; `spec` and errors as in `load`."""
    if spec in PRESETS:
        preset = PRESETS[spec]
        return lambda _country: preset
    if not spec.lower().endswith(".toml"):
        known = ", ".join(sorted(PRESETS))
        raise PolicyError(
            f"There is no policy {spec!r}. Choose one of: {known}; or name a policy file that ends "
            "in .toml."
        )
    return read(Path(spec)).policy


def fingerprint(policy: Policy) -> str:
    """SHA-256 (hex) of all that a policy says: two that differ anywhere have another one."""
    said = {field.name: getattr(policy, field.name) for field in fields(policy)}
    said["disclaimers"] = dict(policy.disclaimers)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()


def read(path: Path) -> Rules:
    """Read a policy file.

    Raises:
        PolicyError: it can't be read or is wrong; the message names key and line.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PolicyError(f"{path}: can't be read ({reason}). Name a policy file.") from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: isn't UTF-8 ({error}). Save it as UTF-8.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(f"{path}: isn't TOML: {error}. Mend that place.") from error
    return _File(path, text, content).rules(hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class _File:
    """A policy file that is TOML, and may yet be wrong."""

    path: Path
    text: str
    content: Mapping[str, Any]

    def rules(self, digest: str) -> Rules:
        self._allow((), self.content, ("disclaimers", "policies", "countries"))
        everywhere = self._disclaimers(("disclaimers",), self._table(("disclaimers",)))
        policies: dict[str, Policy] = {}
        for name in self._table(("policies",)):
            policies[name] = self._policy(name, policies, everywhere)
        countries = self._countries(policies)
        for name in countries.values():
            if name not in policies:
                said = {**PRESETS[name].disclaimers, **everywhere}
                policies[name] = replace(PRESETS[name], disclaimers=said)
        if not policies:
            raise self._wrong(("policies",), "holds no policy. Write one, or name countries.")
        return Rules(policies, countries, digest)

    def _policy(
        self, name: str, above: Mapping[str, Policy], everywhere: Mapping[str, str]
    ) -> Policy:
        keys = ("policies", name)
        if name in PRESETS or not name.strip():
            raise self._wrong(keys, "is a preset's name, or none. Choose another.")
        table = self._table(keys)
        self._allow(keys, table, ("extends", "disclaimers", *_CHECKS))
        base = self._base(keys, table, above)
        values = {key: self._value((*keys, key), table[key]) for key in _CHECKS if key in table}
        own = self._disclaimers((*keys, "disclaimers"), self._table((*keys, "disclaimers")))
        said = {**(base.disclaimers if base else {}), **everywhere, **own}
        if "en" not in said:
            raise self._wrong((*keys, "disclaimers"), "has no `en`. Write the English sentence.")
        if base is not None:
            policy = replace(base, name=name, disclaimers=said, **values)
        else:
            policy = Policy(name, disclaimers=said, **values)
        if policy.review > policy.hide:
            raise self._wrong(
                (*keys, "review" if "review" in values else "hide"),
                f"makes the limit of review ({policy.review:g}) higher than that of hiding "
                f"({policy.hide:g}). Let 0 <= review <= hide <= 1.",
            )
        if policy.hides_children and policy.age < 1:
            raise self._wrong(keys, "hides nobody at the age of 0. Write the `age`, such as 16.")
        return policy

    def _base(
        self, keys: _Keys, table: Mapping[str, Any], above: Mapping[str, Policy]
    ) -> Policy | None:
        if "extends" not in table:
            for key in _REQUIRED:
                if key not in table:
                    raise self._wrong(
                        (*keys, key), 'is missing. Write it, or inherit: extends = "under-16".'
                    )
            return None
        return self._named((*keys, "extends"), table["extends"], above)

    def _countries(self, policies: Mapping[str, Policy]) -> dict[str, str]:
        named: dict[str, str] = {}
        for code, name in self._table(("countries",)).items():
            keys, country = ("countries", code), code.upper()
            if country not in COUNTRIES:
                hint = " The United Kingdom is GB." if country == "UK" else ""
                raise self._wrong(
                    keys, f"is no country. Write its two letters of ISO 3166-1, such as DE.{hint}"
                )
            if country in named:
                raise self._wrong(keys, "is there twice, in capitals and not. Keep one.")
            self._named(keys, name, policies)
            named[country] = name
        return named

    def _named(self, keys: _Keys, name: Any, policies: Mapping[str, Policy]) -> Policy:
        known = {**PRESETS, **policies}
        if not isinstance(name, str) or name not in known:
            names = ", ".join(sorted(known))
            raise self._wrong(
                keys, f"names no policy that is known there ({name!r}). Choose one of: {names}."
            )
        return known[name]

    def _disclaimers(self, keys: _Keys, table: Mapping[str, Any]) -> dict[str, str]:
        for language, text in table.items():
            if not re.fullmatch(r"[a-z]{2,3}", language):
                raise self._wrong(
                    (*keys, language), "is no language. Write its code alone: en, not en-GB."
                )
            if not isinstance(text, str) or not text.strip():
                raise self._wrong((*keys, language), "must be a text that people can read.")
        return dict(table)

    def _value(self, keys: _Keys, value: Any) -> Any:
        fits, wanted = _CHECKS[keys[-1]]
        if not fits(value):
            raise self._wrong(keys, f"must be {wanted}, not {value!r}.")
        return value

    def _table(self, keys: _Keys) -> Mapping[str, Any]:
        """A table of the file; empty where it isn't there."""
        table: Any = self.content
        for key in keys:
            table = table.get(key, {})
        if not isinstance(table, dict):
            raise self._wrong(keys, f"must be a table: [{'.'.join(keys)}] on a line of its own.")
        return table

    def _allow(self, keys: _Keys, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                raise self._wrong((*keys, key), f"is unknown. Known here: {', '.join(known)}.")

    def _wrong(self, keys: _Keys, message: str) -> PolicyError:
        line = self._line(keys)
        where = f"{self.path}, line {line}" if line else f"{self.path}"
        return PolicyError(f"{where}: {'.'.join(keys)} {message}")

    def _line(self, keys: _Keys) -> int | None:
        """Where a key, or else its table, is written. Counted from 1."""
        while keys and not _holds(self.content, keys):
            keys = keys[:-1]
        lines = self.text.splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            if keys and keys[-1] in line:
                before, until = _parsed(lines[: number - 1]), _parsed(lines[:number])
                # A text that goes on in the next lines doesn't parse yet.
                fresh = before is not None and not _holds(before, keys)
                if fresh and (until is None or _holds(until, keys)):
                    return number
        return None


def _parsed(lines: list[str]) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return None


def _holds(content: Mapping[str, Any], keys: _Keys) -> bool:
    place: Any = content
    for key in keys:
        if not isinstance(place, dict) or key not in place:
            return False
        place = place[key]
    return True


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_age(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 150


def _is_share(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= 1


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "age": (_is_age, "whole years, such as 16"),
    "hides_children": (_is_switch, "true or false"),
    "hide": (_is_share, "a probability from 0 to 1"),
    "review": (_is_share, "a probability from 0 to 1"),
    "faces": (_FACES.__contains__, f"one of {', '.join(_FACES)}"),
    "refuses_queries": (_is_switch, "true or false"),
    "logs_queries": (_is_switch, "true or false"),
    "vocabulary": (get_args(Vocabulary).__contains__, f"one of {', '.join(get_args(Vocabulary))}"),
}
_REQUIRED = tuple(
    field.name
    for field in fields(Policy)
    if field.name in _CHECKS and field.default is MISSING and field.default_factory is MISSING
)
