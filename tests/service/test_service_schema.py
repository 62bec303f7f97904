"""The OpenAPI document: it is valid and says all it should, and the real service keeps to it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from jsonschema_rs import validator_for

from kadr.service import keys
from libraries import paint
from services import FAKES, Running, clean_environment, paint_library, serving

METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}
PROBLEM = "application/problem+json"
CASES = 1000
"""What schemathesis asks at least in one run; it was 1,600."""
BOUNDS = {"enum", "pattern", "maxLength", "format", "const"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schema")


@pytest.fixture(scope="module")
def made(home: Path) -> tuple[Path, Path]:
    return paint_library(home)


@pytest.fixture(scope="module")
def service(made: tuple[Path, Path], home: Path) -> Iterator[Running]:
    """Give a service that lets everybody do everything."""
    library, model = made
    with serving(library, "--model", model, "--uploads", home / "up", environment=FAKES) as running:
        yield running


@pytest.fixture(scope="module")
def document(service: Running) -> dict[str, Any]:
    with service.client() as client:
        found: dict[str, Any] = client.get("/api/v1/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield f"{method.upper()} {path}", item[method]


def variants(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema's alternatives without null."""
    for one in schema.get("anyOf", [schema]):
        if one.get("type") != "null":
            yield one


# What the document says.


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()
    assert document["openapi"].startswith("3.1")
    names = set(document["components"]["schemas"])
    told = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert told <= names
    assert len({one["operationId"] for _, one in operations(document)}) == len(
        list(operations(document))
    )


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
    lacking = [
        name
        for name, one in operations(document)
        if not (one.get("summary") and one.get("description") and one.get("tags"))
    ]
    assert lacking == []


def test_every_parameter_says_what_it_is_and_its_range(document: dict[str, Any]) -> None:
    problems = list[str]()
    for name, one in operations(document):
        for parameter in one.get("parameters", ()):
            where, schema = f"{name} {parameter['name']}", parameter["schema"]
            if not (parameter.get("description") or schema.get("description")):
                problems.append(f"{where}: no description")
            problems += [f"{where}: {fault}" for fault in unbounded(schema)]
    assert problems == []


def test_every_body_says_what_it_is_and_its_range(document: dict[str, Any]) -> None:
    schemas, problems = document["components"]["schemas"], list[str]()
    for name, one in operations(document):
        for kind, media in one.get("requestBody", {}).get("content", {}).items():
            shape = schemas[media["schema"]["$ref"].rsplit("/", 1)[1]]
            for field, schema in shape["properties"].items():
                if kind == "multipart/form-data" and not schema.get("description"):
                    problems.append(f"{name} {field}: no description")
                problems += [f"{name} {field}: {fault}" for fault in unbounded(schema)]
    for shape in ("SearchShape", "PartShape", "FilterShape"):
        for field, schema in schemas[shape]["properties"].items():
            problems += [f"{shape} {field}: {fault}" for fault in unbounded(schema)]
    assert problems == []


def unbounded(schema: dict[str, Any]) -> Iterator[str]:
    for one in variants(schema):
        match one.get("type"):
            case "integer" | "number":
                if not ({"minimum", "exclusiveMinimum"} & one.keys()):
                    yield "no minimum"
                if not ({"maximum", "exclusiveMaximum"} & one.keys()):
                    yield "no maximum"
            case "string":
                if not (BOUNDS | {"contentMediaType"}) & one.keys():
                    yield "no length, pattern or choice"
            case "array":
                if "maxItems" not in one:
                    yield "no maximum of items"
                yield from unbounded(one["items"])


def test_every_operation_tells_its_problems(document: dict[str, Any]) -> None:
    for name, one in operations(document):
        for status, told in one["responses"].items():
            assert told["description"], name
            if status == "default" or status >= "400":
                assert list(told["content"]) == [PROBLEM], (name, status)
        if name.split()[1] == "/health":
            continue
        assert {"401", "403", "422", "429", "503"} <= one["responses"].keys(), name
        if "{photo}" in name:
            assert "404" in one["responses"], name
        if "multipart/form-data" in one.get("requestBody", {}).get("content", {}):
            assert {"408", "413"} <= one["responses"].keys(), name


def test_every_required_parameter_has_an_example(document: dict[str, Any]) -> None:
    lacking = [
        f"{name} {parameter['name']}"
        for name, one in operations(document)
        for parameter in one.get("parameters", ())
        if parameter["required"]
        and not (parameter["schema"].get("examples") or parameter.get("examples"))
    ]
    assert lacking == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v2/search", "/web/no.js", "/api/v1/photos/1/no", "/api/v1/", "/docs", "/redoc"])  # fmt: skip
def test_unknown_addresses_are_problems(service: Running, method: str, path: str) -> None:
    with service.client() as client:
        answer = client.request(method, path)
    assert answer.status_code in {404, 405}
    assert_problem(answer)


def test_wrong_methods_are_told_the_right_ones(service: Running, document: dict[str, Any]) -> None:
    with service.client() as client:
        for path, item in document["paths"].items():
            for method in METHODS - {"head"} - item.keys():
                answer = client.request(method, path.replace("{photo}", "1"))
                assert answer.status_code == 405, (method, path)
                assert_problem(answer)
                told = {one.strip().lower() for one in answer.headers["allow"].split(",")}
                assert told - {"head"} == METHODS & item.keys(), (method, path)


def assert_problem(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == PROBLEM
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["detail"]


# The service keeps to it.


def check(
    document: dict[str, Any], home: Path, service: Running, *options: str, least: int = CASES
) -> None:
    """Have schemathesis ask all that the document allows, and much that it doesn't; `least` cases.

    `default` is taken out of the document first, so that a status must be named to be allowed.
    """
    strict = json.loads(json.dumps(document))
    for _, one in operations(strict):
        one["responses"].pop("default", None)
    file = home / f"openapi-{service.port}.json"
    file.write_text(json.dumps(strict))
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(file)),
            *("--url", service.address, "--no-color", "--generation-deterministic"),
            *("--max-examples", "10", "--max-failures", "20", "--continue-on-failure"),
            *("--output-sanitize", "false", "--max-response-time", "10"),
            *options,
        ],
        cwd=home,
        env=clean_environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-12_000:] + run.stderr[-2000:]
    (count,) = re.findall(r"(\d+) generated", run.stdout)
    assert int(count) >= least, run.stdout[-3000:]
    assert '"level": "ERROR"' not in service.written()


def test_the_service_keeps_to_the_document(
    document: dict[str, Any], home: Path, service: Running
) -> None:
    # Everybody may enter. The document can't tell a date from a text, or a picture from bytes.
    checks = ("--exclude-checks", "ignored_auth,positive_data_acceptance")
    # What its edges are is the same with keys, where they are all asked for.
    check(document, home, service, *checks, "--phases", "fuzzing,stateful", least=100)


def test_it_keeps_to_it_with_keys(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    home = tmp_path_factory.mktemp("keyed")
    library, model = paint_library(home)
    key = keys.add(keys.of(library), "all", ("read", "write", "review"))
    with serving(library, "--model", model, "--uploads", home / "up", environment=FAKES) as keyed:
        check(
            document,
            home,
            keyed,
            *("-H", f"Authorization: Bearer {key}", "--exclude-checks", "positive_data_acceptance"),
        )


def test_the_document_says_what_needs_a_key(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    home = tmp_path_factory.mktemp("scopes")
    library, model = paint_library(home)
    ring = keys.of(library)
    given = {scope: keys.add(ring, scope, (scope,)) for scope in ("read", "write", "review")}
    opens = {scope: set[str]() for scope in given}
    with serving(library, "--model", model, "--uploads", home / "up", environment=FAKES) as keyed:
        for name, one in operations(document):
            method, path = name.split()
            address = path.replace("{photo}", "1")
            with keyed.client() as client:
                status = client.request(method, address).status_code
                assert (status == 401) == bool(one.get("security")), (name, status)
            for scope, key in given.items():
                with keyed.client(key) as client:
                    answer = client.request(method, address)
                if answer.status_code in {401, 403}:
                    assert_problem(answer)
                elif one.get("security"):
                    opens[scope].add(name)
    changing = {"PUT", "PATCH", "DELETE", "POST"}
    collections = {
        name
        for name, _ in operations(document)
        if "/collections" in name and name.split()[0] in changing
    }
    assert len(collections) == 4
    bin_ = {name for name, _ in operations(document) if "/bin" in name}
    assert len(bin_) == 5
    assert opens["write"] == collections | {
        "POST /api/v1/photos",
        "DELETE /api/v1/photos/{photo}",
    }
    assert opens["review"] == {name for name, _ in operations(document) if "/review" in name}
    assert (
        opens["read"]
        == {name for name, one in operations(document) if one.get("security")}
        - opens["write"]
        - opens["review"]
        - bin_  # it takes both
    )


def test_a_photos_life_keeps_to_the_document(
    service: Running, document: dict[str, Any], tmp_path: Path
) -> None:
    """What schemathesis can't make up: a photo is added, found, looked at, decided, deleted."""
    file = paint(tmp_path / "new.png", 4859).read_bytes()
    with service.client() as client:

        def ask(method: str, route: str, status: int, photo: int = 0, **more: Any) -> Any:
            path = f"/api/v1{route}"
            answer = client.request(method, path.replace("{photo}", str(photo)), **more)
            assert answer.status_code == status, answer.text
            told = document["paths"][path][method.lower()]["responses"][str(status)]
            kind = answer.headers.get("content-type", "").partition(";")[0]
            assert kind in told.get("content", {"": {}}), (path, kind)
            schema = told.get("content", {}).get(kind, {}).get("schema", {})
            if "json" not in kind:
                return answer.content
            whole = schema | {"components": document["components"]}
            validator_for(whole).validate(answer.json())
            return answer.json()

        before = {one["photo"]["id"] for one in ask("GET", "/review", 200)["photos"]}
        added = ask(
            "POST",
            "/photos",
            201,
            files=[("photos", ("our kids.png", file)), ("photos", b"no photo")],
        )
        assert [one["file"] for one in added["skipped"]] == [1]
        # Its name tells of children, so the law waits for a person.
        assert (added["added"], added["withheld"]) == ([], 1)
        waiting = {one["photo"]["id"] for one in ask("GET", "/review", 200)["photos"]}
        (number,) = waiting - before
        ask("GET", "/photos/{photo}", 451, number)
        ask("GET", "/photos/{photo}/facts", 451, number)
        ask("GET", "/photos/{photo}/explain", 451, number, params={"q": "red"})
        ask("GET", "/similar/{photo}", 451, number)
        ask("GET", "/review/{photo}/picture", 200, number)
        assert ask("POST", "/review/{photo}", 200, number, json={"decision": "allow"}) == {
            "outcome": "ruled"
        }
        assert ask("GET", "/photos/{photo}", 200, number) == file
        ask("GET", "/photos/{photo}", 200, number, params={"size": 320})
        part = ask("GET", "/photos/{photo}", 206, number, headers={"Range": "bytes=0-9"})
        assert part == file[:10]
        ask("GET", "/photos/{photo}", 416, number, headers={"Range": "bytes=999999-"})
        ask("GET", "/photos/{photo}", 304, number, headers={"If-None-Match": "*"})
        assert ask("GET", "/photos/{photo}/facts", 200, number)["uploaded"]
        ask("GET", "/photos/{photo}/explain", 200, number, params={"q": "a red dog"})
        ask("GET", "/similar/{photo}", 200, number)
        ask(
            "POST",
            "/search",
            200,
            files={"query": (None, json.dumps({"parts": [{"photo": number}]}))},
        )
        ask("POST", "/score", 200, files={"picture": file}, data={"texts": ["a", "b"]})
        ask("POST", "/review/{photo}", 200, number, json={"decision": "withdraw"})
        ask("POST", "/review/{photo}", 409, number, json={"decision": "withdraw"})
        ask("POST", "/review/{photo}", 200, number, json={"decision": "allow"})
        ask("DELETE", "/photos/{photo}", 204, number)
        ask("DELETE", "/photos/{photo}", 404, number)
        indexed = ask("GET", "/photos", 200)["photos"][0]["id"]
        ask("DELETE", "/photos/{photo}", 409, indexed)
