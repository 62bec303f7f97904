"""kadr train, evaluate and compare under a policy file: what a person types, and what they get."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kadr.cli.main import app
from kadr.data import drawn as scenes
from kadr.errors import KadrError
from kadr.law import rules
from shell import FAKES, Shell, one_line

RULES = """
[policies.strict]
extends = "under-16"
review = 0.1

[policies.brief]
extends = "under-16"
vocabulary = "brief"

[policies.open]
extends = "none"

[countries]
DE = "strict"
FR = "brief"
US = "open"
"""


@pytest.fixture(scope="module")
def kadr(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def data(kadr: Shell) -> Path:
    path = kadr.home / "archive"
    scenes.generate(path, images=50, seed=2)
    return path


@pytest.fixture(scope="module")
def law(kadr: Shell) -> Path:
    file = kadr.home / "rules.toml"
    file.write_text(RULES, encoding="utf-8")
    return file


def noted(model: Path) -> dict[str, Any]:
    """What a matcher says of its training."""
    found: dict[str, Any] = json.loads((model / "manifest.json").read_text("utf-8"))["training"]
    return found


class TestTrain:
    @pytest.mark.parametrize(("country", "name"), [("de", "strict"), ("FR", "brief")])
    def test_a_country_s_policy_is_obeyed_and_noted(
        self, kadr: Shell, data: Path, law: Path, tmp_path: Path, country: str, name: str
    ) -> None:
        options = ("--policy", law, "--country", country, "--json")
        told = json.loads(kadr("train", data, "--out", tmp_path / "m", *FAKES, *options).stdout)
        assert told["law"]["images_removed"] > 0
        found = noted(tmp_path / "m")
        policy = rules.load(str(law), country)
        assert found["policy"] == told["policy"]
        assert found["policy"] == {
            "name": name,
            "digest": rules.fingerprint(policy),
            "hides_children": True,
        }
        assert found["config"]["policy"] == name
        assert str(law) not in (tmp_path / "m" / "manifest.json").read_text("utf-8")

    def test_the_words_of_the_country_decide(
        self, kadr: Shell, data: Path, law: Path, tmp_path: Path
    ) -> None:
        """The brief list names fewer children; a country that isn't in the file gets the wide."""
        removed = {}
        for country in ("FR", "ZZ"):
            options = ("--policy", law, "--country", country, "--json")
            told = kadr("train", data, "--out", tmp_path / country, *FAKES, *options).stdout
            removed[country] = json.loads(told)["law"]["images_removed"]
        assert 0 < removed["FR"] < removed["ZZ"]

    def test_one_that_hides_nothing_is_told(
        self, kadr: Shell, data: Path, law: Path, tmp_path: Path
    ) -> None:
        options = ("--policy", law, "--country", "US")
        told = kadr("train", data, "--out", tmp_path / "m", *FAKES, *options).stdout
        assert "Law (open): nothing is left out" in told
        assert noted(tmp_path / "m")["excluded_images"] == 0
        assert noted(tmp_path / "m")["policy"]["hides_children"] is False

    def test_the_same_rules_elsewhere_make_the_same_bundle(
        self, kadr: Shell, data: Path, law: Path, tmp_path: Path
    ) -> None:
        moved = shutil.copy(law, tmp_path / "moved.toml")
        for number, file in enumerate((law, moved)):
            options = ("--policy", file, "--country", "DE")
            kadr("train", data, "--out", tmp_path / str(number), *FAKES, *options)
        first, second = (tmp_path / name / "manifest.json" for name in ("0", "1"))
        assert first.read_bytes() == second.read_bytes()


def test_evaluate_takes_a_country_s_policy(
    kadr: Shell, data: Path, law: Path, tmp_path: Path
) -> None:
    model, file = tmp_path / "m", ("--policy", law)
    kadr("train", data, "--out", model, *FAKES, *file, "--country", "DE")
    options = (data, "--model", model, "--no-cross-validate", *file)
    strict = kadr("evaluate", *options, "--country", "DE").stdout
    assert strict.startswith("Law (strict): it hides ")
    assert "after the law" in strict
    free = kadr("evaluate", *options, "--country", "US").stdout
    assert free.startswith("Law (open): it hides nothing\n")
    assert "after the law" not in free
    told = json.loads(kadr("evaluate", *options, "--json", "-").stdout)
    assert told["policy"] == "strict"  # no country: the strictest


class TestCompare:
    CHOICES = ("--features", "aligned", "--classifier", "logistic", "--no-search")

    def compare(self, kadr: Shell, data: Path, out: Path, *options: str | Path) -> dict[str, Any]:
        choices = (*FAKES, *self.CHOICES, *options, "--json")
        table: dict[str, Any] = json.loads(kadr("compare", data, "--out", out, *choices).stdout)
        return table

    def test_policies_of_files_stand_by_their_names(
        self, kadr: Shell, data: Path, law: Path, tmp_path: Path
    ) -> None:
        """A file that changed is measured again, one that is only elsewhere isn't."""
        out, mine = tmp_path / "out", tmp_path / "mine.toml"
        shutil.copy(law, mine)
        both = ("--policy", mine, "--policy", "none", "--country", "FR")
        rows = self.compare(kadr, data, out, *both)["rows"]
        assert {row["config"]["policy"] for row in rows} == {"brief", "none"}
        assert str(mine) not in (out / "comparison.json").read_text("utf-8")
        kept = {path.name for path in (out / "measured").iterdir()}
        self.compare(kadr, data, out, "--policy", law, "--country", "FR")
        assert {path.name for path in (out / "measured").iterdir()} == kept
        mine.write_text(RULES.replace('vocabulary = "brief"', "age = 14"), encoding="utf-8")
        self.compare(kadr, data, out, *both)
        assert len(kept) + 1 == len(list((out / "measured").iterdir()))

    def test_two_that_differ_may_not_share_a_name(
        self, kadr: Shell, data: Path, law: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other.toml"
        other.write_text(RULES.replace("review = 0.1", "review = 0.15"), encoding="utf-8")
        options = ("--policy", law, "--policy", other, "--country", "DE", *self.CHOICES)
        said = one_line(kadr("compare", data, "--out", tmp_path / "out", *FAKES, *options, code=2))
        assert "called strict. Give one of them another name" in said
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "compare"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read"),
        ("[policies.mine", "isn't TOML"),
        ("[policies.mine]\nextends = 'under-16'\nhide = 3\n", "a probability from 0 to 1"),
        ("[policies.mine]\nextends = 'under-16'\nhid = 0.3\n", "hid"),
    ],
)
def test_a_wrong_file_is_one_line_and_nothing_is_written(
    kadr: Shell, data: Path, tmp_path: Path, command: str, content: str | None, said: str
) -> None:
    file, out = tmp_path / "wrong.toml", tmp_path / "out"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    target = () if command == "evaluate" else ("--out", out)
    line = one_line(kadr(command, data, *target, "--policy", file, code=2))
    assert said in line
    assert file.name in line
    assert not out.exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "compare"])
def test_no_such_policy_names_those_there_are(
    kadr: Shell, data: Path, tmp_path: Path, command: str
) -> None:
    target = () if command == "evaluate" else ("--out", tmp_path / "out")
    line = one_line(kadr(command, data, *target, "--policy", "over-99", code=2))
    assert "Choose one of: none, under-16; or name a policy file that ends in .toml" in line


@pytest.mark.parametrize(
    ("command", "reads"), [("train", True), ("evaluate", True), ("compare", False)]
)
def test_which_commands_read_kadr_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, reads: bool
) -> None:
    target = [] if command == "evaluate" else ["--out", str(tmp_path / "out")]
    monkeypatch.setenv("KADR_POLICY", "over-99")
    found = CliRunner().invoke(app, [command, str(tmp_path / "nowhere"), *target])
    assert isinstance(found.exception, KadrError)
    assert ("over-99" in str(found.exception)) is reads
