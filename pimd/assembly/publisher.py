"""What a feature publishes: on declared streams only, and only what fits the declared model."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from pimd.assembly.guard import Guard
from pimd.calls import Stopped
from pimd.contract import Feature
from pimd.faults import text_of, without_values
from pimd.rpc.streams import Streams

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


class FeaturePublisher:
    """Implements `contract.Publish` for one feature; with `raises` a wrong event is an error, else it is dropped and counted."""

    def __init__(self, feature: Feature, streams: Streams, guard: Guard, *, raises: bool = False) -> None:
        self._feature = feature.name
        self._guard = guard
        self._raises = raises
        self._models: Mapping[str, TypeAdapter[Any]] = {one.name: TypeAdapter(one.payload) for one in feature.events}
        self._streams = streams

    def __call__(self, stream: str, payload: BaseModel) -> None:
        """Publish on a declared stream."""
        model = self._model(stream)
        outcome = self._guard.calls.call(f"the model of {stream}", self._checked, stream, model, payload)
        if outcome.error is None:
            return
        what = f"an event of {stream} does not fit its declared model: {_reason(outcome.error)}"
        if self._raises:
            raise ValueError(what) from outcome.error
        self._guard.drop_event(stream, what)

    def missed(self, stream: str, count: int) -> None:
        """Tell of a gap on a declared stream."""
        self._model(stream)
        self._streams.skip(stream, count)

    def _model(self, stream: str) -> TypeAdapter[Any]:
        model = self._models.get(stream)
        if model is None:
            declared = ", ".join(self._models) or "none"
            raise ValueError(
                f"feature {self._feature} did not declare the stream {stream!r}; its events are: {declared}"
            )
        if self._guard.calls.closed:
            raise Stopped(f"feature {self._feature} was stopped; it publishes nothing any more")
        return model

    def _checked(self, stream: str, model: TypeAdapter[Any], payload: BaseModel) -> None:
        check_event(model, payload)
        self._streams.publish(stream, payload)


def check_event(model: TypeAdapter[Any], payload: object) -> None:
    """Raise what is wrong with an event; one that was copied or made without validation may hold anything."""
    if not isinstance(payload, BaseModel):
        raise TypeError(f"it is no model, but {type(payload).__name__}")
    try:
        model.validate_python(payload, from_attributes=False)
    except ValidationError:
        raise TypeError(f"it is {type(payload).__name__}, which is another model") from None
    for one in _models_in([payload]):
        held = vars(one)
        right = vars(type(one).__pydantic_validator__.validate_python(dict(held), by_name=True, by_alias=False))
        if right != held:
            changed = ", ".join(name for name in held if right.get(name) != held[name])
            raise TypeError(f"{changed}: the model would make another value of it")


def _models_in(values: Iterable[Any]) -> Iterator[BaseModel]:
    for value in values:
        if type(value) in _PLAIN:
            continue
        if isinstance(value, BaseModel):
            yield value
            yield from _models_in(vars(value).values())
        elif isinstance(value, dict):
            yield from _models_in(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            yield from _models_in(value)


def _reason(error: BaseException) -> str:
    return without_values(error) if isinstance(error, ValidationError) else text_of(error)
