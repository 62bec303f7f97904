"""What labels are called in both languages: the files that `mini` learns words from."""

import re
import runpy
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[1] / "recipes"
CLASSES = runpy.run_path(str(RECIPES / "mini_classes.py"))


@pytest.mark.parametrize(("file", "labels"), [("classes.txt", 1000), ("things.txt", 101)])
def test_each_label_has_names_in_both_languages_and_a_caption(file: str, labels: int) -> None:
    found = CLASSES["read"](RECIPES / file)
    assert len(found) == labels
    for named in found:
        assert named.names[0] == named.label
        assert len(set(named.names)) == len(named.names)
        assert named.russian, named
        assert all(re.search("[а-яё]", name) and "," not in name for name in named.russian), named
        assert len(named.caption.split()) > 1, named
        assert 2 <= len(named.texts) == len(set(named.texts)), named


def test_names_get_the_article_that_one_says() -> None:
    spoken = [CLASSES["article"](name) for name in ("dog", "ant", "scissors", "glass", "Maltese")]
    assert spoken == ["a dog", "an ant", "scissors", "a glass", "Maltese"]
