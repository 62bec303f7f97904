"""`kadr serve`: which policy is in force where none is named."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from kadr.cli import serve
from kadr.cli.main import app
from kadr.law import audit
from kadr.law.policy import PRESETS
from kadr.service import keys
from kadr.service.app import create_app
from kadr.service.config import Service
from kadr.stores import POLICY, open_store


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("KADR_POLICY", raising=False)
    monkeypatch.chdir(tmp_path)
    open_store(tmp_path / "library.kadr", create=True).close()
    return tmp_path / "library.kadr"


def served(library: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[str, str]:
    """The policy of the service that would run, and what was said."""
    made = list[Service]()
    monkeypatch.setattr(serve, "serve", lambda service, *_, **__: made.append(service))
    run = CliRunner().invoke(app, ["serve", "--library", str(library), *options])
    assert run.exit_code == 0, run.output
    (service,) = made
    return service.policy, run.output


def in_force(library: Path, policy: str) -> None:
    store = open_store(library)
    audit.in_force(store, PRESETS[policy], "test")
    store.close()


def test_at_home_it_is_the_librarys_own(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served(library, monkeypatch)[0] == "none"
    in_force(library, "under-16")
    assert served(library, monkeypatch)[0] == "under-16"
    in_force(library, "none")
    assert served(library, monkeypatch)[0] == "under-16", "indexed without a law since"
    assert served(library, monkeypatch, "--policy", "none")[0] == "none"


def test_a_name_by_which_others_come_is_not_home(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served(library, monkeypatch, "--name", "photos.example")[0] == "under-16"


def test_from_the_first_key_on_it_is_under_16(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[Service]()
    monkeypatch.setattr(serve, "serve", lambda service, *_, **__: made.append(service))
    run = CliRunner().invoke(app, ["serve", "--library", str(library)])
    assert run.exit_code == 0, run.output
    with TestClient(create_app(made[0]), base_url="http://127.0.0.1") as client:
        assert client.get("/api/v1/library").json()["policy"] == "none"
        key = keys.add(keys.of(library), "family", ["read"])
        assert client.get("/api/v1/library").status_code == 401
        given = {"Authorization": f"Bearer {key}"}
        assert client.get("/api/v1/library", headers=given).json()["policy"] == "under-16"


def test_a_files_policy_must_be_named_and_until_then_all_is_hidden(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(library)
    store.note(**{POLICY: "0" * 64})
    store.close()
    policy, said = served(library, monkeypatch)
    assert policy == "under-16"
    assert "name it with --policy" in said


@pytest.mark.parametrize(
    "options",
    [
        ("--host", "0.0.0.0", "--anonymous", "read"),
        ("--anonymous", "read"),
        ("--proxy", "127.0.0.1"),
        ("--policy", "under-16"),
    ],
)
def test_anywhere_else_it_is_under_16(
    library: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    assert served(library, monkeypatch, *options)[0] == "under-16"


def test_where_there_are_keys_it_is_under_16(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.add(keys.of(library), "family", ["read"])
    assert served(library, monkeypatch)[0] == "under-16"
    assert served(library, monkeypatch, "--policy", "none")[0] == "none"
