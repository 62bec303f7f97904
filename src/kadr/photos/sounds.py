"""Russian words that are spelled in Latin letters."""

import re

_LETTERS = (
    ("shch", "щ"), ("sch", "щ"), ("zh", "ж"), ("kh", "х"), ("ts", "ц"), ("ch", "ч"), ("sh", "ш"),
    ("yo", "е"), ("jo", "е"), ("yu", "ю"), ("ju", "ю"), ("iu", "ю"), ("ya", "я"), ("ja", "я"),
    ("ia", "ия"), ("ye", "е"), ("je", "е"), ("a", "а"), ("b", "б"), ("c", "ц"), ("d", "д"),
    ("e", "е"), ("f", "ф"), ("g", "г"), ("h", "х"), ("i", "и"), ("j", "й"), ("k", "к"), ("l", "л"),
    ("m", "м"), ("n", "н"), ("o", "о"), ("p", "п"), ("q", "к"), ("r", "р"), ("s", "с"), ("t", "т"),
    ("u", "у"), ("v", "в"), ("w", "в"), ("x", "кс"), ("y", "ы"), ("z", "з"),
)  # fmt: skip
"""Latin spellings of Russian sounds as people type them, longer ones first."""
_LATIN = re.compile("|".join(latin for latin, _ in _LETTERS))
_CYRILLIC_OF = dict(_LETTERS)


def in_cyrillic(word: str) -> str:
    """A Latin word as the Russian one that it may spell: babushka is бабушка."""
    written = _LATIN.sub(lambda match: _CYRILLIC_OF[match[0]], word)
    written = re.sub("([аеиоуыюя])ы", r"\1й", written)
    return re.sub("иы$", "ий", written)
