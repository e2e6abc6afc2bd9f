"""What features are handed: objects with the members of a contract and no others, through which nobody gets at the daemon."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, NoReturn, get_args, get_type_hints

from pydantic import BaseModel
from typing_extensions import is_protocol

BY_SYNTAX = frozenset({"__call__", "__getitem__"})
"""Members without a name of their own; Python looks them up on the class."""


def view(contract: type, service: object, **fixed: object) -> Any:
    """Return a view of `service` with the members that the Protocol `contract` declares.

    Its methods are bound once, and its properties read at each access, but for those that `fixed` gives.
    """
    functions = {name: _passing_on(service, name, of) for name, of in members_of(contract).items() if name not in fixed}
    return made_of(contract, functions | {name: _always(value) for name, value in fixed.items()})


def made_of(contract: type, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Return a view that calls these functions: for each method itself, for each property what reads it."""
    made = _class_of(contract)()
    for name, of in members_of(contract).items():
        function = functions[name]
        function.__name__, function.__doc__ = name, of.__doc__
        object.__setattr__(made, _slot(name, of), function)
    return made


@functools.cache
def members_of(contract: type) -> Mapping[str, Any]:
    """Return what a Protocol declares by name, in order, that of its bases first."""
    declared = {name: of for base in reversed(contract.__mro__) for name, of in vars(base).items()}
    return {
        name: of
        for name, of in declared.items()
        if isinstance(of, property) or (inspect.isfunction(of) and (name in BY_SYNTAX or not name.startswith("_")))
    }


def _passing_on(service: object, name: str, declared: Any) -> Callable[..., Any]:
    """Return a plain function, since a bound method leads back to its object."""
    if isinstance(declared, property):
        return lambda: getattr(service, name)
    function, check = getattr(service, name), _check_of(declared)

    async def pass_on(*args: Any, **named: Any) -> Any:
        check(args, named)
        return await function(*args, **named)

    def pass_on_now(*args: Any, **named: Any) -> Any:
        check(args, named)
        return function(*args, **named)

    return pass_on if inspect.iscoroutinefunction(declared) else pass_on_now


@functools.cache
def _check_of(declared: Any) -> Callable[[tuple[Any, ...], Mapping[str, Any]], None]:
    """Return what raises TypeError for an argument of another type than the declared one, where that is plain.

    What the daemon keeps of such an argument would fail whoever reads it later.
    """
    hints = get_type_hints(declared)
    names = list(inspect.signature(declared).parameters)[1:]
    types = {name: found for name in names if (found := _plain_types(hints.get(name))) is not None}

    def check(args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        for name, value in (*zip(names, args, strict=False), *named.items()):
            if name in types and not isinstance(value, types[name]):
                wanted = " or ".join(one.__name__ for one in types[name])
                raise TypeError(f"{declared.__name__} takes {name} as {wanted}, not {type(value).__name__}")

    return check if types else lambda *_: None


def _plain_types(hint: Any) -> tuple[type, ...] | None:
    """Return the classes that a hint names; None where it names anything else, such as a Protocol or a Sequence.

    A published payload is not looked at here: it may be dropped instead.
    """
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if hint is BaseModel or not all(
        isinstance(one, type) and not get_args(one) and not is_protocol(one) for one in parts
    ):
        return None
    return (*parts, int) if float in parts else parts


def _always(value: object) -> Callable[[], object]:
    return lambda: value


def _slot(name: str, declared: Any) -> str:
    return f"_{name.strip('_')}" if isinstance(declared, property) or name in BY_SYNTAX else name


@functools.cache
def _class_of(contract: type) -> type:
    members = members_of(contract)
    body: dict[str, Any] = {
        "__slots__": [_slot(name, of) for name, of in members.items()],
        "__doc__": contract.__doc__,
        "__module__": contract.__module__,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
    }
    for name, of in members.items():
        if isinstance(of, property):
            body[name] = property(_reading(_slot(name, of)), doc=of.__doc__)
        elif name in BY_SYNTAX:
            body[name] = _calling(_slot(name, of), of.__doc__)
    return type(contract.__name__, (), body)


def _reading(slot: str) -> Callable[[Any], Any]:
    return lambda view: getattr(view, slot)()


def _calling(slot: str, doc: str | None) -> Callable[..., Any]:
    def call(view: Any, *args: Any, **named: Any) -> Any:
        return getattr(view, slot)(*args, **named)

    call.__doc__ = doc
    return call


def _refuse(view: object, name: str, *_: object) -> NoReturn:
    raise AttributeError(f"{type(view).__name__} is a view: its member {name!r} cannot be replaced")
