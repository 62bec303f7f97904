"""Writes docs/rest.md from the service's own OpenAPI document.

Usage: python recipes/rest_page.py
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kadr.library.library import Library
from kadr.service.app import create_app
from kadr.service.config import Service

PAGE = Path(__file__).parents[1] / "docs" / "rest.md"
HEAD = """# REST

Made by `python recipes/rest_page.py` from what `GET /api/v1/openapi.json` answers; a test compares
the two. How it is meant, with examples: [the service](service.md#rest). Errors are
`application/problem+json` (RFC 9457) and may come from every route; which status means what is told
[there](service.md#rest) too.
"""
FORM = "Body_"
"""What FastAPI calls the fields of a form, which are shown where the form is."""
Schema = dict[str, Any]


def page() -> str:
    """The whole page as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "library.kadr")
        Library.open(library).close()
        document = create_app(Service(library, policy="none")).openapi()
    lines, shapes = [HEAD], document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += _operation(f"{method.upper()} {path}", operation, shapes)
    lines.append("## Shapes\n")
    for name, shape in sorted(shapes.items()):
        if not name.startswith(FORM):
            lines += [f"### {name}\n", *_shape(shape)]
    return "\n".join(lines)


def _operation(title: str, operation: Schema, shapes: Schema) -> Iterator[str]:
    yield f"## `{title}`\n"
    yield f"{operation['summary']}.\n"
    if operation.get("description"):
        yield f"{operation['description']}\n"
    rows = [
        f"| `{one['name']}` | {one['in']} | {_kind(one['schema'])} | {_said(one)} |"
        for one in operation.get("parameters", [])
    ]
    if rows:
        yield "| Parameter | In | Type | |\n|---|---|---|---|"
        yield "\n".join([*rows, ""])
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        name = body["schema"].get("$ref", "").rsplit("/", 1)[-1]
        if name.startswith(FORM):
            yield f"Takes `{kind}`:\n"
            yield from _shape(shapes[name])
        else:
            yield f"Takes `{kind}`: {_kind(body['schema'])}.\n"
    for status, answer in operation["responses"].items():
        for kind, body in answer.get("content", {}).items():
            if status.startswith("2"):
                yield f"Answers {status} with `{kind}`: {_kind(body.get('schema', {}))}.\n"


def _shape(shape: Schema) -> Iterator[str]:
    if shape.get("description"):
        yield f"{shape['description']}\n"
    if "properties" not in shape:
        yield f"{_kind(shape)}\n"
        return
    required = set(shape.get("required", ()))
    yield "| Field | Type | |\n|---|---|---|"
    for field, schema in shape["properties"].items():
        always = "" if field in required else "optional"
        yield f"| `{field}` | {_kind(schema)} | {_said({'schema': schema}, always)} |"
    yield ""


def _kind(schema: Schema) -> str:
    """A schema in words: its type, or the shape that it refers to."""
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            kinds = [_kind(one) for one in schema[key] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "contentMediaType" in schema or schema.get("format") == "binary":
        return "file"
    return f"{schema.get('type', 'anything')}{_range(schema)}"


def _range(schema: Schema) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return {
        (True, True): f" from {low} to {high}",
        (True, False): f", at least {low}",
        (False, True): f", at most {high}",
    }.get((low is not None, high is not None), "")


def _said(item: Schema, note: str = "") -> str:
    schema = item["schema"]
    text = item.get("description") or schema.get("description") or ""
    default = schema.get("default")
    told = [f"default `{default}`"] if default not in (None, "", [], {}) else []
    told += ["required"] if item.get("required") else []
    told += [note] if note and not told else []
    said = " ".join(text.split()).replace("|", "\\|")
    return f"{said}{' (' if said and told else ''}{', '.join(told)}{')' if said and told else ''}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
