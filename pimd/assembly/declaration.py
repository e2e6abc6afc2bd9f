"""Whether a declaration can be assembled; what is wrong is said with the line to write."""

import difflib
import inspect
import math
import types
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter

from pimd import contract
from pimd.assembly.choice import RESERVED_NAMES
from pimd.assembly.declared import NAME_LIMIT, DeclarationError, Declared, as_name, read
from pimd.assembly.verbs import VerbError, verbs_of
from pimd.contract import DaemonPlugin, Feature, PluginPayload, RpcError, mark_of
from pimd.contract.feature import FEATURE_NAME
from pimd.faults import text_of
from pimd.proto.control import check_payload
from pimd.proto.errors import LocalProtocolError
from pimd.rpc.openrpc import describe, describe_stream, merge
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
DOC_LIMIT = 20_000
MISNAMED = 0.9
"""How much a name must be like another one to be taken for it."""
CODES = tuple(one for one in vars(contract).values() if isinstance(one, type) and issubclass(one, RpcError))
"""The errors of the contract."""

WRAPPED = {staticmethod: "__func__", classmethod: "__func__", property: "fget", cached_property: "func"}
"""What may stand around a function in a class, with the attribute that holds the function."""


def check_declaration(given: Any, name: str) -> Declared:
    """Return a copy of the declaration of that name; `DeclarationError` says what is wrong with it."""
    as_name(name, "the entry point", f"{name if FEATURE_NAME.fullmatch(name) else 'name'} = ...")
    if name in RESERVED_NAMES:
        raise DeclarationError(f"no feature can be called {name}; write: Feature(name='my_{name}', ...)")
    if not isinstance(given, Feature):
        raise DeclarationError(
            f"its entry point names {type(given).__name__}, no Feature; write: FEATURE = Feature(name={name!r}, ...)"
        )
    if as_name(given.name, "name", f"Feature(name={name!r}, ...)") != name:
        raise DeclarationError(
            f"its entry point is called {name}, the feature {given.name}; write: Feature(name={name!r}, ...)"
        )
    declared = read(given)
    if declared.plugin is not None:
        _check_plugin(declared, declared.plugin)
    _check_streams(declared)
    check_methods(declared, methods_of(declared, declared, lambda: None))
    return declared


def _check_plugin(declared: Declared, plugin: Any) -> None:
    called, name = plugin.__name__, getattr(plugin, "name", None)
    if name != declared.name:
        raise DeclarationError(
            f"its plugin {called} has the name {name!r}, not the feature's; write: "
            f'name: ClassVar[str] = "{declared.name}"'
        )
    for what, kinds in (("payload_kinds", declared.payload_kinds), ("sent_kinds", declared.sent_kinds)):
        for kind in kinds:
            _check_kind(f"{what} of {called}", kind)
    _check_settings(declared, plugin)
    _check_wrapped(plugin)
    for part, (parameters, line) in LIFE.items():
        _check_misnamed(plugin, part)
        _check_life(f"{part} of {called}", getattr(plugin, part), parameters, line)


def _check_wrapped(plugin: type) -> None:
    """Refuse a marked function that is no method, and would be missing without a word."""
    for name, member in [item for base in plugin.__mro__ for item in vars(base).items()]:
        function = getattr(member, WRAPPED[type(member)]) if type(member) in WRAPPED else None
        mark = mark_of(function) if function is not None else None
        if mark is not None:
            raise DeclarationError(
                f"{mark.name} is a {type(member).__name__} of {plugin.__name__}, and no method; "
                f"write: async def {name}(self, params: NoParams) -> Answer:"
            )


def _check_kind(where: str, kind: str) -> None:
    try:
        check_payload(PluginPayload(kind, b""))
    except LocalProtocolError as error:
        raise DeclarationError(f'{where}: {error}; write: {where.split(maxsplit=1)[0]} = ("name.x",)') from None


def _check_settings(declared: Declared, plugin: Any) -> None:
    """Hold `DaemonPlugin[Settings]` against the settings of the feature."""
    for base in getattr(plugin, "__orig_bases__", ()):
        for model in get_args(base) if get_origin(base) is DaemonPlugin else ():
            if isinstance(model, type) and not issubclass(declared.settings, model):
                raise DeclarationError(
                    f"its plugin is a DaemonPlugin[{model.__name__}], and its settings are {declared.settings.__name__}; "
                    f"write: settings={model.__name__}"
                )


def _check_misnamed(plugin: Any, part: str) -> None:
    """Find what was meant to be `part` and is spelled otherwise; nobody would call it."""
    if getattr(plugin, part) is not getattr(DaemonPlugin, part):
        return
    own = [name for base in plugin.__mro__ if base not in DaemonPlugin.__mro__ for name, one in vars(base).items()
           if inspect.iscoroutinefunction(one) and mark_of(one) is None]  # fmt: skip
    for name in difflib.get_close_matches(part, own, 1, MISNAMED):
        raise DeclarationError(f"nobody calls {name} of {plugin.__name__}; write: async def {part}(...)")


def _check_life(what: str, function: Any, parameters: str, line: str) -> None:
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise DeclarationError(f"{what} is no async function; write: {line}")
    wanted = [word for word in parameters.split(", ") if word]
    try:
        inspect.signature(function).bind(None, *wanted)
    except TypeError:
        raise DeclarationError(f"{what} does not take (self{', ' * bool(wanted)}{parameters}); write: {line}") from None


def _check_streams(declared: Declared) -> None:
    for stream in declared.events:
        try:
            TypeAdapter(stream.payload)
        except Exception as error:
            raise DeclarationError(
                f"the payload of the stream {stream.name} is no model: {text_of(error)}; "
                f'write: EventStream("{stream.name}", MyResult)'
            ) from error


def check_methods(declared: Declared, methods: Sequence[Method]) -> None:
    """Check the methods that were read of a declaration; `DeclarationError` for one that cannot be called or described."""
    seen: dict[str, str] = {}
    schemas: dict[str, Any] = {}
    for method, function in zip(methods, declared.marked_functions(), strict=True):
        _note_name(seen, method.name, getattr(function, "__qualname__", "@rpc"))
        _check_mark(declared, method)
        try:
            merge(method.described or describe(method), schemas)
        except Exception as error:
            raise DeclarationError(
                f"the models of {method.name} cannot be described: {text_of(error)}; "
                "annotate params with a Params model, and the result with a Result model or a type of JSON"
            ) from error
    for stream in declared.events:
        for verb in ("subscribe", "unsubscribe"):
            _note_name(seen, f"{stream.name.removesuffix('.event')}.{verb}", f"the stream {stream.name}")
        try:
            merge(describe_stream(stream, declared.name, ""), schemas)
        except Exception as error:
            raise DeclarationError(
                f"the payload of the stream {stream.name} cannot be described: {text_of(error)}; "
                f'write: EventStream("{stream.name}", MyResult)'
            ) from error
    try:
        verbs_of(declared, methods)
    except VerbError as error:
        raise DeclarationError(str(error)) from None


def _note_name(seen: dict[str, str], name: str, origin: str) -> None:
    if name in seen:
        raise DeclarationError(
            f'two methods are called {name}, one by {seen[name]} and one by {origin}; rename one: @rpc("{name}_2")'
        )
    seen[name] = origin


def _check_mark(declared: Declared, method: Method) -> None:
    namespace = declared.namespaces[0] if declared.namespaces else declared.name
    owner, dot, verb = method.name.partition(".")
    right = FEATURE_NAME.fullmatch(verb) and len(verb) <= NAME_LIMIT if dot else True
    if owner not in declared.namespaces or not right:
        shown = ascii(method.name[:NAME_LIMIT])
        raise DeclarationError(f'{shown} is no <namespace>.<verb> of its namespaces; write: @rpc("{namespace}.verb")')
    errors: Any = method.errors
    for error in errors if isinstance(errors, tuple) else (errors,):
        if not (isinstance(error, type) and issubclass(error, RpcError) and type(error.code) is int):
            raise DeclarationError(
                f"errors of {method.name} has {error!r}, no class of RpcError with a number as `code`; "
                "write: errors=(InvalidParams,)"
            )
        _check_code(method.name, error)
    seconds: Any = method.timeout_s
    if type(seconds) not in {int, float} or not 0 < seconds < math.inf:
        raise DeclarationError(
            f"timeout_s of {method.name} is {seconds!r}, no number of seconds; write: timeout_s=30.0"
        )
    if len(method.doc) > DOC_LIMIT:
        raise DeclarationError(f"the docstring of {method.name} has {len(method.doc)} letters; at most {DOC_LIMIT}")


def _check_code(method: str, error: type[RpcError]) -> None:
    """Refuse the code of a class of the contract for another meaning; a program could not tell the two apart."""
    owner = next((one for one in CODES if one.code == error.code and not issubclass(error, one)), None)
    if owner is not None:
        raise DeclarationError(
            f"{error.__name__}, an error of {method}, has the code {error.code} of {owner.__name__}; "
            "write: code: ClassVar[int] = 1001 (JSON-RPC and pimd have -32768 to -32000)"
        )


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
        line = f"; write: async def {called.rpartition('.')[2]}({first}, params: NoParams) -> Answer:"
        raise DeclarationError(f"{called}: {said}{'' if '; write: ' in said else line}") from error
