"""What a typed query stands for: operators, quotes, weights, pictures; and what it is refused for."""

import contextlib
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kadr.errors import KadrError
from kadr.library.queries import Expression, Part, parse, read

CASES = json.loads(Path(__file__).with_name("queries.json").read_text("utf-8"))
"""Lines and the texts that they stand for, with weights; the page is tried with them too."""
TEXTS = st.text(st.characters(exclude_characters='"'), min_size=1).filter(
    lambda text: text.strip() and not text.strip().startswith(("/", "./", "../", "~/"))
)
LIKELY = st.lists(
    st.sampled_from(
        ["+", "-", " ", "dog", '"', "'", "«", "»", "“", "”", "0.5:", "2:", "-1:", "0:", "./", "~/",
         "/", "a.jpg", "\0", "\ud800", "\n", "\u00a0", "\u2028", "7", ":", "\\", "é", "собака"]
    )
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos in the current folder, which is home too."""
    for name in ("mydog.jpg", "MY DOG.JPG", "notes.txt", "a - b.png"):
        (tmp_path / name).touch()
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def text(text: str, weight: float = 1) -> Part:
    return Part(weight, text, None)


def picture(path: str | Path, weight: float = 1) -> Part:
    return Part(weight, None, Path(path))


ISSUE = (text("dog on grass"), picture("mydog.jpg", 0.5), text("leash", -1))


def test_words_that_a_shell_has_unquoted() -> None:
    found = parse(["dog on grass", "+", "0.5:./mydog.jpg", "-", "leash"])
    assert found == Expression(ISSUE, "dog on grass + 0.5:./mydog.jpg - leash")
    assert found.text is None


def test_a_line_with_its_quotes() -> None:
    line = '"dog on grass" + 0.5:./mydog.jpg - "leash"'
    assert parse([line]) == Expression(ISSUE, line)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["line"])
def test_lines(case: dict[str, Any]) -> None:
    assert parse([case["line"]]).parts == tuple(text(*part) for part in case["parts"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dog", "on", "grass"], "dog on grass"),
        (["a dog - on grass", "here"], "a dog - on grass here"),
        (["'tis", "a", "dog"], "'tis a dog"),
        (["12:30", "at", "the", "station"], "12:30 at the station"),
        (["photo.jpg"], "photo.jpg"),
        (["notes.txt"], "notes.txt"),
        (["photos"], "photos"),
    ],
)
def test_texts(words: list[str], expected: str) -> None:
    assert parse(words).text == expected


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["./mydog.jpg"], "mydog.jpg"),
        (["mydog.jpg"], "mydog.jpg"),
        (["./notes.txt"], "notes.txt"),
        (["photos/../mydog.jpg"], "photos/../mydog.jpg"),
        (["MY", "DOG.JPG"], "MY DOG.JPG"),
        (['"./MY DOG.JPG"'], "MY DOG.JPG"),
        (["'a - b.png'"], "a - b.png"),
    ],
)
def test_pictures(words: list[str], path: str) -> None:
    assert parse(words).parts == (picture(path),)
    assert parse(words).text is None


def test_pictures_at_home_and_from_the_root(folder: Path) -> None:
    for name in ("~/mydog.jpg", str(folder / "mydog.jpg")):
        assert parse([name, "-", "2:~/MY DOG.JPG"]).parts == (
            picture(folder / "mydog.jpg"),
            picture(folder / "MY DOG.JPG", -2),
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "The query is empty"),
        ([""], "The query is empty"),
        ([" \n", "\t"], "The query is empty"),
        (["dog", "+", ""], "A part of the query 'dog + ' is empty"),
        (['dog - ""'], "is empty. Put a text or a picture"),
        (["0.5:«»"], "is empty. Put a text or a picture"),
        (["-"], "Nothing follows the - in '-'"),
        (["dog +"], "Nothing follows the + in 'dog +'"),
        (["dog", "-"], "Nothing follows the - in 'dog -'"),
        (["dog + - cat"], "Nothing follows the + in 'dog + - cat'"),
        (["-leash"], "'-leash' only leaves out. Say what to look for too, such as: dog -leash"),
        (['dog -"red leash'], 'The quote " in'),
        (["after:2021 kind:png"], "'after:2021 kind:png' only filters. Say what to look for too"),
        (['dog camera:"canon'], 'The quote " in'),
        (["- leash"], "'- leash' only subtracts. Put first what to look for"),
        (["-", "leash", "-", "2:rope"], "only subtracts"),
        (['"dog on grass'], "The quote \" in '\"dog on grass' isn't closed"),
        (["dog - 2:«cat"], "The quote « in"),
        (["dog - “cat"], "The quote “ in"),
        (["'70s car"], "put the whole text into quotes of another kind"),
        (['a sign "STOP'], "isn't closed"),
        (["0:dog"], "The weight 0: in '0:dog' must be a positive number"),
        (["dog + -2:cat"], "To subtract, write the sign apart"),
        (["./nowhere.jpg"], "'./nowhere.jpg' is no file. Name a photo"),
        (["dog", "-", "/nowhere"], "'/nowhere' is no file"),
        (["./photos"], "'./photos' is no file"),
        (["~/mydog.jpg is here"], "'~/mydog.jpg is here' is no file"),
        (["./a\0b"], r"'./a\x00b' is no file"),
        (["./a\ud800\n"], r"'./a\ud800' is no file"),
        (["/" + "x" * 5000], "x…' is no file"),
    ],
)
def test_refusals_say_what_to_do_on_one_line(words: list[str], said: str) -> None:
    with pytest.raises(KadrError) as caught:
        parse(words)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("words", "text", "without"),
    [
        (["dog without a leash"], "dog", ["a leash"]),
        (["dog", "Without", "leash", "kind:png"], "dog", ["leash"]),
        (["собака на траве без поводка"], "собака на траве", ["поводка"]),
        (["a dog's bed without a dog"], "a dog's bed", ["a dog"]),
        (["dog no leash"], "dog", ["leash"]),
        (["a dog with no leash"], "a dog", ["leash"]),
        (["dog without leash no collar"], "dog", ["leash", "collar"]),
        (["dog without leash -collar"], "dog", ["leash", "collar"]),
        (["beach with no one"], "beach with no one", []),
        (["soldiers in no man's land"], "soldiers in no man's land", []),
        (["no parking sign"], "no parking sign", []),
        (["dog no"], "dog no", []),
        (["'a dog without a leash'"], "a dog without a leash", []),
        (["without a leash"], "without a leash", []),
        (["dog without"], "dog without", []),
        (["withoutabox"], "withoutabox", []),
        (['"dog without leash"'], "dog without leash", []),
        (["dog without leash + cat"], None, []),
        (["dog -leash"], "dog", ["leash"]),
        (["-leash dog on grass"], "dog on grass", ["leash"]),
        (["dog", "-leash", "on", "grass"], "dog on grass", ["leash"]),
        (["собака −поводок"], "собака", ["поводок"]),
        (["dog -leash -collar kind:png"], "dog", ["leash", "collar"]),
        (['dog -"red leash"'], "dog", ["red leash"]),
        (["dog -«красный поводок»"], "dog", ["красный поводок"]),
        (["dog", "-red leash"], "dog", ["red leash"]),
        (["man -t-shirt"], "man", ["t-shirt"]),
        (["dog + grass -leash"], None, ["leash"]),
        (["x-ray of a t-shirt C++ -5° - -x"], None, []),
        (["a t-shirt C++ -5°"], "a t-shirt C++ -5°", []),
        (['"dog -leash"'], "dog -leash", []),
        (["dog - leash"], None, []),
    ],
)
def test_without(words: list[str], text: str | None, without: list[str]) -> None:
    found = parse(words)
    assert (found.text, list(found.without)) == (text, without)


@pytest.mark.parametrize(
    ("words", "filters"),
    [
        (["dog after:2021 - leash before:2022-05"], {"after": "2021", "before": "2022-05"}),
        (["dog", "camera:canon eos", "kind:png"], {"camera": "canon eos", "kind": "png"}),
        (['camera:"canon eos" dog'], {"camera": "canon eos"}),
        (["camera:«canon eos» dog"], {"camera": "canon eos"}),
        (["dog in:2021/summer"], {"in": "2021/summer"}),
        (
            ['in:"my trips" dog collection:«Лето у моря»'],
            {"in": "my trips", "collection": "Лето у моря"},
        ),
        (["made in: china"], {}),
        (['"kind:png" dog'], {}),
        (["dog kind: png"], {}),
    ],
)
def test_filters(words: list[str], filters: dict[str, str]) -> None:
    assert dict(parse(words).filters) == filters


@given(st.lists(st.text()) | LIKELY | LIKELY.map(lambda pieces: ["".join(pieces)]))
def test_any_words_are_a_query_or_refused(words: list[str]) -> None:
    try:
        found = parse(words)
    except KadrError as error:
        assert str(error).isprintable()
        return
    assert any(part.weight > 0 for part in found.parts)
    assert all((part.text is None) != (part.picture is None) for part in found.parts)
    assert all(part.text is None or part.text == part.text.strip() != "" for part in found.parts)


@given(TEXTS)
@example("\N{CJK COMPATIBILITY IDEOGRAPH-2F800}")
def test_what_is_quoted_is_taken_as_it_is(text: str) -> None:
    assert parse([f'"{text}"']).text == unicodedata.normalize("NFC", text.strip())


@given(st.lists(st.tuples(TEXTS, st.sampled_from("+-"), st.sampled_from([0.25, 1, 3])), min_size=1))
def test_sums_of_quoted_parts(parts: list[tuple[str, str, float]]) -> None:
    line = " ".join(f'{sign} {weight}:"{text}"' for text, sign, weight in [("x", "+", 1), *parts])
    expected = [
        (unicodedata.normalize("NFC", text.strip()), weight if sign == "+" else -weight)
        for text, sign, weight in parts
    ]
    assert [(part.text, part.weight) for part in parse([line]).parts] == [("x", 1), *expected]


@pytest.mark.parametrize(
    "piece", ["a ", "a + ", '"', '" ', "'", "'a ", "' '", "« ", "+ ", "9", "1:", '"a"', "x '", " "]
)
def test_long_queries_are_parsed_or_refused(piece: str) -> None:
    """That time grows with the length only is what benchmarks/parsing.py shows."""
    for size in (1, 200_000):
        with contextlib.suppress(KadrError):
            parse([piece * size])


def test_read_passes_over_blank_lines_and_comments() -> None:
    lines = ["\ufeffdog\r\n", "\n", "  # a comment\n", "«#закат»\n", "a - b"]
    assert [found.source for found in read(lines)] == ["dog", "«#закат»", "a - b"]
    assert read([]) == read(["", "#"]) == []


def test_read_names_the_line() -> None:
    with pytest.raises(KadrError, match=r"^Line 3: Nothing follows the \+"):
        read(["dog\n", "\n", "cat +\n"])


def test_letters_with_marks_are_the_same_however_they_were_typed() -> None:
    composed, apart = (unicodedata.normalize(form, "чёрный йорк + café") for form in ("NFC", "NFD"))
    assert composed != apart
    assert [part.text for part in parse([apart]).parts] == ["чёрный йорк", "café"]
    assert parse([apart]).parts == parse([composed]).parts
    assert Part(1.0, apart, None) == Part(1.0, composed, None)
