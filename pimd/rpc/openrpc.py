"""The method table as an OpenRPC 1.3 document (https://spec.open-rpc.org)."""

import inspect
import json
from typing import Any

from pydantic import TypeAdapter

from pimd import __version__
from pimd.contract import EventStream, RpcError
from pimd.rpc.invoke import errors_of
from pimd.rpc.registry import Described, Method, Registry


class Description:
    """The document of a method table, rebuilt only after a change of methods."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made_at = -1
        self._document: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        """Return the shared document; callers must not change it."""
        if self._made_at != self._registry.changes:
            self._document, self._made_at = document(self._registry), self._registry.changes
        return self._document


def document(registry: Registry) -> dict[str, Any]:
    """Describe the methods that are registered now."""
    schemas: dict[str, Any] = {}
    methods = [merge(method.described or describe(method), schemas) for method in registry]
    events = [merge(described, schemas) for described in registry.events()]
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "pimd",
            "version": __version__,
            "description": "An encrypted mesh of nearby machines. Each method names the feature that brings it in `x-feature`. "
            "`x-events` are the notifications, `x-verbs` the terminal commands of features.",
            "license": {"name": "MIT"},
        },
        "methods": methods,
        "components": {"schemas": dict(sorted(schemas.items()))},
        "x-events": events,
        "x-verbs": registry.verbs(),
    }


def merge(described: Described, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return what is described, and add its models to `schemas`; ValueError when two models of one name differ."""
    for name, model in described.schemas.items():
        if schemas.setdefault(name, model) != model:
            raise ValueError(f"two different models are called {name}; rename one")
    return described.entry


def describe(method: Method) -> Described:
    """Describe one method in plain JSON; raises whatever its models raise, and ValueError or TypeError for what is no JSON."""
    schemas: dict[str, Any] = {}
    summary, _, description = method.doc.partition("\n\n")
    described: dict[str, Any] = {
        "name": method.name,
        "summary": " ".join(summary.split()),
        "params": _params(method, schemas),
        "result": {
            "name": "result",
            "schema": _hoisted(
                method.schema_prefix,
                method.result_adapter.json_schema(mode="serialization", ref_template=_references(method.schema_prefix)),
                schemas,
            ),
        },
        "x-feature": method.feature,
        "x-scope": "read" if method.reads else "write",
    }
    if description:
        described["description"] = description
    described["errors"] = [_error(error) for error in errors_of(method)]
    return _plain(described, schemas)


def describe_stream(stream: EventStream, feature: str, schema_prefix: str) -> Described:
    """Describe a stream: the params of its notifications, without what the daemon adds; raises as `describe` does."""
    schemas: dict[str, Any] = {}
    payload = TypeAdapter(stream.payload).json_schema(mode="serialization", ref_template=_references(schema_prefix))
    described = {
        "name": stream.name,
        "payload": _hoisted(schema_prefix, payload, schemas),
        "subscribe": f"{stream.name.removesuffix('.event')}.subscribe",
        "history": stream.history,
        "stamped": stream.stamped,
        "x-feature": feature,
    }
    return _plain(described, schemas)


def _plain(entry: dict[str, Any], schemas: dict[str, Any]) -> Described:
    return Described(*json.loads(json.dumps((entry, schemas), allow_nan=False)))


def _params(method: Method, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    prefix = method.schema_prefix
    schema = _hoisted(prefix, method.params.model_json_schema(ref_template=_references(prefix)), schemas)
    required = schema.get("required", [])
    return [
        {"name": name, "required": name in required, "schema": member}
        for name, member in schema.get("properties", {}).items()
    ]


def _error(error: type[RpcError]) -> dict[str, Any]:
    return {"code": error.code, "message": (inspect.getdoc(error) or error.__name__).split("\n")[0]}


def _references(prefix: str) -> str:
    return f"#/components/schemas/{prefix}{{model}}"


def _hoisted(prefix: str, schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Move the definitions to the shared place; ValueError when two models of one name differ."""
    for model, definition in schema.pop("$defs", {}).items():
        name = prefix + model
        if schemas.setdefault(name, definition) != definition:
            raise ValueError(f"two different models are called {model}; rename one")
    return schema
