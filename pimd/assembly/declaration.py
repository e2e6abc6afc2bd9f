"""Whether a declaration can be assembled; what is wrong is said with the line to write."""

import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter

from pimd.assembly.verbs import VerbError, verbs_of
from pimd.contract import DaemonPlugin, Feature, PluginPayload
from pimd.faults import text_of
from pimd.proto.control import check_payload
from pimd.proto.errors import LocalProtocolError
from pimd.rpc.openrpc import describe
from pimd.rpc.registry import Method, method_of

LIFE = {
    "start": ("ctx", "async def start(self, ctx: PluginContext) -> None:"),
    "handle_payload": (
        "src, kind, body",
        "async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:",
    ),
    "on_peer_forgotten": ("peer", "async def on_peer_forgotten(self, peer: NodeId) -> None:"),
    "shutdown": ("", "async def shutdown(self) -> None:"),
}


class DeclarationError(Exception):
    """A declaration that cannot be assembled; the text says what to write instead."""


def check_declaration(declared: Any, name: str) -> Feature:
    """Return the declaration as a Feature of that name; `DeclarationError` says what is wrong with it."""
    if not isinstance(declared, Feature):
        raise DeclarationError(
            f"its entry point names {type(declared).__name__}, no Feature; write: FEATURE = Feature(name={name!r}, ...)"
        )
    if declared.name != name:
        raise DeclarationError(
            f"its entry point is called {name}, the feature {declared.name}; write: Feature(name={name!r}, ...)"
        )
    settings: Any = declared.settings
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise DeclarationError("its settings are no model; write: class Settings(FeatureSettings):")
    if declared.plugin is not None:
        _check_plugin(declared, declared.plugin)
    _check_names(declared)
    _check_models(declared)
    return declared


def _check_plugin(feature: Feature, plugin: Any) -> None:
    if not (isinstance(plugin, type) and issubclass(plugin, DaemonPlugin)):
        called = plugin.__name__ if isinstance(plugin, type) else "Plugin"
        raise DeclarationError(f"its plugin is no DaemonPlugin class; write: class {called}(DaemonPlugin):")
    called, name = plugin.__name__, getattr(plugin, "name", None)
    if name != feature.name:
        raise DeclarationError(
            f"its plugin {called} has the name {name!r}, not the feature's; write: "
            f'name: ClassVar[str] = "{feature.name}"'
        )
    kinds: Any = plugin.payload_kinds
    if not isinstance(kinds, tuple) or not all(isinstance(kind, str) for kind in kinds):
        right = (kinds,) if isinstance(kinds, str) else (f"{feature.name}.x",)
        raise DeclarationError(
            f"payload_kinds of {called} is {kinds!r}, no tuple of texts; write: "
            f'payload_kinds: ClassVar[tuple[str, ...]] = ("{right[0]}",)'
        )
    for kind in kinds:
        _check_kind(called, kind)
    for part, (parameters, line) in LIFE.items():
        _check_life(f"{part} of {called}", getattr(plugin, part), parameters, line)


def _check_kind(called: str, kind: str) -> None:
    try:
        check_payload(PluginPayload(kind, b""))
    except LocalProtocolError as error:
        raise DeclarationError(f'payload_kinds of {called}: {error}; write: payload_kinds = ("name.x",)') from None


def _check_life(what: str, function: Any, parameters: str, line: str) -> None:
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise DeclarationError(f"{what} is no async function; write: {line}")
    wanted = [word for word in parameters.split(", ") if word]
    try:
        inspect.signature(function).bind(None, *wanted)
    except TypeError:
        raise DeclarationError(f"{what} does not take (self{', ' * bool(wanted)}{parameters}); write: {line}") from None


def _check_names(feature: Feature) -> None:
    seen: dict[str, str] = {}
    for name in feature.marked_names():
        _note_name(seen, name, "@rpc")
    for stream in feature.events:
        for verb in ("subscribe", "unsubscribe"):
            _note_name(seen, f"{stream.name.removesuffix('.event')}.{verb}", f"the stream {stream.name}")


def _note_name(seen: dict[str, str], name: str, origin: str) -> None:
    if name in seen:
        raise DeclarationError(
            f'two methods are called {name}, one of {seen[name]} and one of {origin}; rename one: @rpc("{name}_2")'
        )
    seen[name] = origin


def _check_models(feature: Feature) -> None:
    schemas: dict[str, Any] = {}
    methods = methods_of(feature, feature, lambda: None)
    for method in methods:
        try:
            describe(method, schemas)
        except Exception as error:
            raise DeclarationError(
                f"the models of {method.name} cannot be described: {text_of(error)}; "
                "annotate params with a Params model, and the result with a Result model or a type of JSON"
            ) from error
    for stream in feature.events:
        try:
            TypeAdapter(stream.payload)
        except Exception as error:
            raise DeclarationError(
                f"the payload of the stream {stream.name} is no model: {text_of(error)}; "
                f'write: EventStream("{stream.name}", MyResult)'
            ) from error
    try:
        verbs_of(feature, methods)
    except VerbError as error:
        raise DeclarationError(str(error)) from None


def methods_of(feature: Feature, plugin: object, context: Callable[[], object]) -> Sequence[Method]:
    """Read the marked functions of a feature, those of the plugin class bound to `plugin`.

    `DeclarationError` names the function whose annotations cannot be read.
    """
    own = [_method(f, "self", lambda f: method_of(types.MethodType(f, plugin), feature.name))
           for f in feature.plugin_functions()]  # fmt: skip
    return [*own, *(_method(f, "context", lambda f: method_of(f, feature.name, context)) for f in feature.methods)]


def _method(function: Callable[..., Any], first: str, read: Callable[[Callable[..., Any]], Method]) -> Method:
    try:
        return read(function)
    # The seam: annotations are evaluated, which runs foreign code.
    except Exception as error:
        called = str(getattr(function, "__qualname__", type(function).__name__))
        said = str(error) if isinstance(error, TypeError) else f"its annotations cannot be read: {text_of(error)}"
        line = f"async def {called.rpartition('.')[2]}({first}, params: NoParams) -> Answer:"
        raise DeclarationError(f"{called}: {said}; write: {line}") from error
