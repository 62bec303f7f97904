"""The language of a text, as far as encoders tell languages apart."""

import re


def language(text: str) -> str:
    """`ru` where most letters are Cyrillic, else `en`, which serves every other language too."""
    cyrillic = len(re.findall("[а-яёА-ЯЁ]", text))
    return "ru" if 2 * cyrillic > sum(map(str.isalpha, text)) else "en"
