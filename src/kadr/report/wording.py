"""Words and numbers as a language writes them."""

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:  # the command line takes its languages from here, and starts without numpy
    from kadr.types import Interval

Language: TypeAlias = Literal["en", "ru"]

MISSING = "–"
"""In place of a figure that the data leaves undefined."""


class Wording:
    """Texts and number formats of one language. Any other language than Russian is English."""

    def __init__(self, language: str) -> None:
        self.language: Language = "ru" if language.partition("-")[0].lower() == "ru" else "en"
        self._comma = self.language == "ru"
        self._texts = {key: text[self.language] for key, text in texts().items()}

    def __call__(self, key: str, **values: str) -> str:
        """The text of that key, with its {places} filled."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def name(self, group: str, key: str) -> str:
        """The text of `group.key`, or the key itself where nobody named it."""
        return self._texts.get(f"{group}.{key}", key)

    def number(self, value: float, digits: int = 3) -> str:
        """Fixed digits, decimal comma in Russian, a true minus; a dash for NaN and infinity."""
        if not math.isfinite(value):
            return MISSING
        text = f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
        return text.replace(".", ",") if self._comma else text

    def signed(self, value: float, digits: int = 3) -> str:
        """A number that shows its plus."""
        return f"+{self.number(value, digits)}" if value > 0 else self.number(value, digits)

    def count(self, value: float) -> str:
        """Grouped thousands; at most one digit behind the point."""
        if not math.isfinite(value):
            return MISSING
        whole, _, rest = f"{value:,.1f}".rstrip("0").rstrip(".").partition(".")
        if self._comma:
            whole = whole.replace(",", "\N{NARROW NO-BREAK SPACE}")
        return whole + (("," if self._comma else ".") + rest if rest else "")

    def plain(self, value: object) -> str:
        """A choice as it was made: yes or no, an ungrouped number, or a name on one line."""
        if isinstance(value, bool):
            return self("table.yes" if value else "table.no")
        text = one_line(str(value))
        return text.replace(".", ",") if isinstance(value, float) and self._comma else text

    def percent(self, share: float, digits: int = 1) -> str:
        """A share in [0, 1] as a percentage."""
        space = "\N{NO-BREAK SPACE}" if self._comma else ""
        text = self.number(100 * share, digits)
        return text if text == MISSING else f"{text}{space}%"

    def span(self, interval: "Interval") -> str:
        """Only the bounds: [low, high]; empty where they are undefined."""
        if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
            return ""
        comma = "; " if self._comma else ", "
        return f"[{self.number(interval.low)}{comma}{self.number(interval.high)}]"

    def interval(self, interval: "Interval") -> str:
        """Value [low, high]."""
        return f"{self.number(interval.value)} {self.span(interval)}".rstrip()


def one_line(text: str) -> str:
    """Anybody's text as printable letters on one line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def shortened(text: str, letters: int) -> str:
    """A long name without its middle: both ends tell models apart."""
    if len(text) <= letters:
        return text
    front = (letters - 1) // 2
    return f"{text[:front]}…{text[front + 1 - letters :]}"


@cache
def texts() -> Mapping[str, Mapping[Language, str]]:
    """Every text by its key: `group.key` -> language -> text."""
    tables = tomllib.loads(files("kadr.report").joinpath("texts.toml").read_text("utf-8"))
    return {
        f"{group}.{key}": text for group, table in tables.items() for key, text in table.items()
    }
