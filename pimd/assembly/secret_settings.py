"""Which keys of a feature's settings are secrets, read from its model."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.types import Secret

ANY = "*"
"""Stands for any key of a mapping."""


def secret_paths(model: type[BaseModel], _within: tuple[type, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the keys from the top of a table to each secret; lists add nothing."""
    for name, field in model.model_fields.items():
        aliases = {name, *(alias for alias in (field.alias, field.validation_alias) if isinstance(alias, str))}
        for rest in _below(field.annotation, (*_within, model)):
            yield from ((alias, *rest) for alias in aliases)


def _below(annotation: Any, within: tuple[type, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes | Secret):
        yield ()
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in within:
        yield from secret_paths(annotation, within)
    arguments = get_args(annotation)
    is_mapping = isinstance(origin := getattr(annotation, "__origin__", None), type) and hasattr(origin, "keys")
    for argument in arguments:
        for rest in _below(argument, within):
            yield (ANY, *rest) if is_mapping else rest
