"""Writes the cases of tests/conformance/params.io: what each method answers to params that are not right."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
DOCUMENT = PROJECT / "docs" / "openrpc.json"
CASES = PROJECT / "tests" / "conformance" / "params.io"
WRONG = ({"wrong": "type"}, 5, "wrong type", True)
TYPES = {dict: "object", int: "integer", str: "string", bool: "boolean"}
HEAD = "// Written by scripts/conformance from docs/openrpc.json: what each method answers to params that are not right.\n\n"


def text(document: Mapping[str, Any]) -> str:
    """Return the file."""
    schemas = document["components"]["schemas"]
    return HEAD + "\n\n".join(case for method in document["methods"] for case in _cases(method, schemas)) + "\n"


def _cases(method: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    name, params = method["name"], method["params"]
    yield _case(name, "wrong", -32600, "`params` must be an object or an array")
    if name == "rpc.hello":
        return
    yield _case(name, [None] * (len(params) + 1), -32602, "too many parameters")
    required = [param["name"] for param in params if param["required"]]
    if required:
        yield _case(name, {}, -32602, f"parameter {required[0]}: is missing")
    for param in params:
        wrong = next((one for one in WRONG if TYPES[type(one)] not in _types(param["schema"], schemas)), None)
        if wrong is not None:
            yield _case(name, {param["name"]: wrong}, -32602, "^parameter ")


def _case(method: str, params: object, code: int, says: str) -> str:
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    error = {"code": code, "message": f"<matching {says}>", "...": 0}
    return f">> {request}\n<< {json.dumps({'jsonrpc': '2.0', 'id': 1, 'error': error})}"


def _types(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> set[str]:
    """Return what JSON types a schema takes; all when it does not say."""
    if "$ref" in schema:
        return _types(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if choices:
        return set().union(*(_types(one, schemas) for one in choices))
    if "type" in schema:
        return {schema["type"]} | ({"integer"} if schema["type"] == "number" else set())
    if "const" in schema or "enum" in schema:
        return {TYPES.get(type(one), "null") for one in schema.get("enum", [schema.get("const")])}
    return set(TYPES.values())


def main() -> int:
    """Write the file, or with --check exit 1 when it is not up to date."""
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("--check", action="store_true")
    wanted = text(json.loads(DOCUMENT.read_text()))
    if not parser.parse_args().check:
        CASES.write_text(wanted)
        return 0
    if not CASES.exists() or CASES.read_text() != wanted:
        print(f"{CASES.relative_to(PROJECT)} is not up to date; run scripts/conformance", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
