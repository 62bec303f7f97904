"""The files to run a service with: what they name exists, and their own parsers read them."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from kadr.cli.main import app
from kadr.cli.settings import SHARED, variable

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
KADR = {name for name, service in COMPOSE["services"].items() if service.get("image") == "kadr"}


def tool(name: str) -> str:
    """A checker beside this Python (`make check-deploy` brings them), or the system's."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} isn't here: make check-deploy")
    return found


def parsed(arguments: Sequence[str]) -> None:
    """Raises where the command line has no such command or option. Nothing runs."""
    group: Any = typer.main.get_command(app)
    name, context, rest = "kadr", group.make_context("kadr", list(arguments)), list(arguments)
    command = group
    while hasattr(command, "get_command") and rest:
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, name
    command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("name", sorted(KADR))
def test_compose_calls_what_there_is(name: str) -> None:
    service = COMPOSE["services"][name]
    entry = service.get("entrypoint", ["kadr"])
    more = ["add", "--name", "family"] if name == "keys" else []
    parsed([*entry[1:], *service.get("command", []), *more])


def test_compose_gives_the_service_no_more_than_it_needs() -> None:
    assert {"service", "index", "keys"} == KADR
    for name in KADR:
        service = COMPOSE["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert any(mount.endswith(":/photos:ro") for mount in service["volumes"])
        assert "ports" not in service
    assert [name for name, one in COMPOSE["services"].items() if "ports" in one] == ["proxy"]
    trusted = COMPOSE["services"]["service"]["command"][-1]
    assert COMPOSE["services"]["proxy"]["networks"]["front"]["ipv4_address"] == trusted
    assert not re.search(r"KADR_PASSWORD:?-", (ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_dockerfile_copies_what_there_is_and_installs_an_extra_that_exists() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists()
            assert f"!{name}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (wanted,) = re.findall(r"'\.\[(\w+)\]'", text)
    assert wanted in extras["project"]["optional-dependencies"]
    parsed(["serve", "--host", "0.0.0.0"])


def test_unit_of_systemd_is_well_formed(tmp_path: Path) -> None:
    text = (DEPLOY / "kadr.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    parsed(shlex.split(line)[1:])
    unit = tmp_path / "kadr.service"
    unit.write_text(text.replace("/opt/kadr/bin/kadr", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_settings_of_the_service_are_all_known(monkeypatch: pytest.MonkeyPatch) -> None:
    (named,) = re.findall(
        r"^Environment=KADR_CONFIG=/etc/(.+)$", (DEPLOY / "kadr.service").read_text("utf-8"), re.M
    )
    for key in SHARED:
        monkeypatch.delenv(variable(key), raising=False)
    monkeypatch.setenv("KADR_CONFIG", str(DEPLOY / named))
    group: Any = typer.main.get_command(app)
    with group.make_context("kadr", ["serve"]) as context:
        name, command, _ = group.resolve_command(context, ["serve"])
        inner = command.make_context(name, [], parent=context)
        assert inner.params["proxy"] == ["127.0.0.1"]
        assert inner.params["library"] == "/var/lib/kadr/library.kadr"
        assert context.obj.keys == {"library", "secrets", "models"}


def test_workflow_runs_what_the_makefile_has_on_every_supported_python() -> None:
    text = (ROOT / ".github" / "workflows" / "check.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {"make check", "make test", "make check-dist"} == set(steps)
    assert {step.removeprefix("make ") for step in steps} <= set(targets)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    said = "Programming Language :: Python :: 3."
    versions = [one.rpartition(" ")[2] for one in project["classifiers"] if one.startswith(said)]
    matrix = jobs["check"]["strategy"]["matrix"]
    assert matrix["python"] == versions
    assert matrix["os"] == ["ubuntu-latest", "macos-latest"]


def test_dockerfile_passes_its_linter() -> None:
    done = subprocess.run(
        [tool("hadolint"), "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_caddyfile_is_valid() -> None:
    caddy = tool("caddy")
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    done = subprocess.run(
        command,
        env={"KADR_HOST": "localhost", "HOME": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nginx_configuration_is_parsed(tmp_path: Path) -> None:
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"events {{}}\nhttp {{ include {DEPLOY / 'nginx.conf'}; }}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [tool("crossplane"), "parse", str(whole)], capture_output=True, text=True, check=False
    )
    assert '"status":"ok"' in done.stdout.replace(" ", "")[:20]
    assert '"status":"failed"' not in done.stdout.replace(" ", "")
