"""Values that forms write for a key that is not set."""

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Path = tuple[str, ...]

ALSO_UNSET: Mapping[Path, Any] = {("interface", "mtu"): 0, ("interface", "mesh_ip"): ""}
"""Besides the empty text for a number."""


def unset_keys(table: Mapping[str, Any], model: type[BaseModel], at: Path = ()) -> Iterator[Path]:
    """Yield the path of each key whose value means that it is not set."""
    for key, value in table.items():
        path, field = (*at, key), model.model_fields.get(key)
        inner = field.annotation if field is not None else None
        empty = value == "" and (_is_number(inner) or _is_of_unknown_type(model, key))
        if empty or (path in ALSO_UNSET and value == ALSO_UNSET[path] and not isinstance(value, bool)):
            yield path
        elif isinstance(value, Mapping) and (below := _model_of(inner)) is not None:
            yield from unset_keys(value, below, path)


def without_unset(table: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the table without them."""
    result = dict(table)
    for path in unset_keys(table, model):
        inner: Any = result
        for part in path[:-1]:
            inner[part] = dict(inner[part])
            inner = inner[part]
        del inner[path[-1]]
    return result


def _is_of_unknown_type(model: type[BaseModel], key: str) -> bool:
    """Tell whether a feature knows the type of this key, which stands at the old place of its table."""
    return bool(getattr(model, "keys_of_feature", False)) and key not in model.model_fields


def _is_number(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_number(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        members = [one for one in get_args(annotation) if one is not types.NoneType]
        return bool(members) and all(map(_is_number, members))
    return annotation in {int, float}


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) in {Union, types.UnionType}:
        return next((found for one in get_args(annotation) if (found := _model_of(one)) is not None), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
