"""A declaration as it was when it was read: plain values, which the code that wrote it can no longer change."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from pimd.assembly.secret_settings import secret_paths
from pimd.contract import DaemonPlugin, EventStream, Feature, Params, Provided, ServiceKey, Verb
from pimd.contract.feature import FEATURE_NAME

NAME_LIMIT = 64
SUMMARY_LIMIT = 200


class DeclarationError(Exception):
    """A declaration that cannot be assembled; the text says what to write instead."""


@dataclass(frozen=True)
class Declared(Feature):
    """A Feature of plain texts, tuples and flags."""

    payload_kinds: tuple[str, ...] = ()
    sent_kinds: tuple[str, ...] = ()
    """Those of its plugin."""
    secrets: tuple[tuple[str, ...], ...] = ()
    """Keys of secrets in its settings."""

    @property
    def package(self) -> str:
        """Top-level name of the module of its plugin, or of its first method; empty without one that is not of pimd."""
        bases = self.plugin.__mro__ if self.plugin is not None else ()
        own = [*(base for base in bases if base not in DaemonPlugin.__mro__), *self.methods]
        tops = (str(getattr(one, "__module__", "")).split(".")[0] for one in own)
        return next((top for top in tops if top != "pimd"), "")

    def has_module(self, module: str) -> bool:
        """Tell whether a module belongs to the package of its plugin, or of its methods when it has none."""
        home = next((one.__module__ for one in (self.plugin, *self.methods) if one is not None), "?")
        package = ".".join(home.split(".")[:2]) if home.startswith("pimd_features.") else home.split(".")[0]
        return module == package or module.startswith(package + ".")


def read(feature: Feature) -> Declared:
    """Copy what a Feature declares, each member once; `DeclarationError` for one of another type."""
    return Declared(
        name=feature.name,
        summary=_summary(feature.summary),
        namespaces=tuple(as_name(one, "namespaces", f'namespaces=("{feature.name}",)') for one in feature.namespaces),
        plugin=feature.plugin,
        methods=tuple(feature.methods),
        events=tuple(_stream(one) for one in feature.events),
        verbs=tuple(_verb(one) for one in feature.verbs),
        settings=_model(feature.settings),
        errors=tuple(feature.errors),
        requires=tuple(as_name(one, "requires", 'requires=("messaging",)') for one in feature.requires),
        provides=tuple(_provided(one) for one in feature.provides),
        uses=tuple(_key(one, "uses", "uses=(MESH,)") for one in feature.uses),
        needs_signing_seed=feature.needs_signing_seed is True,
        default_enabled=feature.default_enabled is not False,
        payload_kinds=_kinds(feature.plugin, "payload_kinds"),
        sent_kinds=_kinds(feature.plugin, "sent_kinds"),
        secrets=tuple(secret_paths(feature.settings)),
    )


def as_text(given: Any, what: str, line: str) -> str:
    """Return a plain `str`; a subclass could bring methods that raise."""
    if not isinstance(given, str):
        raise DeclarationError(f"{what} has {given!r}, which is no text; write: {line}")
    return str.__str__(given)


def as_name(given: Any, what: str, line: str) -> str:
    """Return a name of lowercase letters, digits and underscores."""
    name = as_text(given, what, line)
    if len(name) > NAME_LIMIT or not FEATURE_NAME.fullmatch(name):
        raise DeclarationError(
            f"{what} has {name[:NAME_LIMIT]!a}, which is no name: at most {NAME_LIMIT} lowercase letters, digits and "
            f"underscores, a letter first; write: {line}"
        )
    return name


def _summary(given: Any) -> str:
    line = 'summary="What it does, in one line."'
    summary = as_text(given, "summary", line)
    if len(summary) > SUMMARY_LIMIT or not summary.isprintable():
        raise DeclarationError(f"its summary is not one printable line of {SUMMARY_LIMIT} letters; write: {line}")
    return summary


def _model(given: Any) -> type[BaseModel]:
    if not (isinstance(given, type) and issubclass(given, BaseModel)):
        raise DeclarationError("its settings are no model; write: class Settings(FeatureSettings):")
    return given


def _kinds(plugin: Any, what: Literal["payload_kinds", "sent_kinds"]) -> tuple[str, ...]:
    if plugin is None:
        return ()
    if not (isinstance(plugin, type) and issubclass(plugin, DaemonPlugin)):
        called = plugin.__name__ if isinstance(plugin, type) else "Plugin"
        raise DeclarationError(f"its plugin is no DaemonPlugin class; write: class {called}(DaemonPlugin):")
    kinds: Any = plugin.payload_kinds if what == "payload_kinds" else plugin.sent_kinds
    example = kinds if isinstance(kinds, str) else "name.x"
    line = f'{what}: ClassVar[tuple[str, ...]] = ("{example}",)'
    if not isinstance(kinds, tuple) or not all(isinstance(kind, str) for kind in kinds):
        raise DeclarationError(f"{what} of {plugin.__name__} is {kinds!r}, no tuple of texts; write: {line}")
    return tuple(as_text(kind, what, line) for kind in kinds)


def _stream(given: Any) -> EventStream:
    if not isinstance(given, EventStream):
        raise DeclarationError(
            f'events has {given!r}, which is no EventStream; write: events=(EventStream("x.event", X),)'
        )
    name = as_text(given.name, "events", 'EventStream("x.event", X)')
    history: Any = given.history
    if type(history) is not int or history < 0:
        raise DeclarationError(f"history of the stream {name} is {history!r}, no number of events; write: history=0")
    params: Any = given.params
    if not (isinstance(params, type) and issubclass(params, Params)):
        raise DeclarationError(f"params of the stream {name} is no model; write: class Filter(Params):")
    accepts, remembers = _function(given.accepts, "accepts", name), _function(given.remembers, "remembers", name)
    return EventStream(name, given.payload, params, accepts, history, remembers, given.stamped is not False)


def _function(given: Any, what: str, stream: str) -> Callable[..., bool] | None:
    if given is not None and not callable(given):
        raise DeclarationError(
            f"{what} of the stream {stream} is {given!r}, no function; write: def {what}(...) -> bool:"
        )
    return given  # type: ignore[no-any-return]


def _provided(given: Any) -> Provided[Any]:
    line = "provides=(Provided(PEER_DATA),)"
    if not isinstance(given, Provided):
        raise DeclarationError(f"provides has {given!r}, which is no Provided; write: {line}")
    return Provided(_key(given.key, "provides", line), as_text(given.attribute, "provides", line))


def _verb(given: Any) -> Verb:
    """Copy the words, which are compared with those of other features; `verbs_of` checks the rest."""
    if not isinstance(given, Verb) or not isinstance(given.words, tuple):
        return given  # type: ignore[no-any-return]
    given_words: tuple[Any, ...] = given.words
    words = tuple(str.__str__(word) if isinstance(word, str) else word for word in given_words)
    return replace(given, words=words)


def _key(given: Any, what: str, line: str) -> ServiceKey[Any]:
    if not isinstance(given, ServiceKey):
        raise DeclarationError(f"{what} has {given!r}, which is no ServiceKey; write: {line}")
    return ServiceKey(as_text(given.name, what, line))
