"""Events are held to the model of their stream."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field, PlainSerializer, TypeAdapter, field_validator

from pimd.assembly.publisher import check_event
from pimd.contract import PUBLISH, DaemonPlugin, EventStream, Feature, Params, PluginContext, Publish, Result
from pimd.rpc.subscriber import Subscriber
from tests.assembly.conftest import Assemble, Assembled


class Inner(Result):
    """Part of an event."""

    size: int = Field(ge=0)


class Moved(Result):
    """One of the two kinds."""

    kind: Literal["moved"] = "moved"
    way: float = Field(default=1.0, alias="Way")
    parts: list[Inner] = Field(default_factory=list)
    by_name: dict[str, Inner] = Field(default_factory=dict)


class Rested(BaseModel):
    """The other one, which can be changed."""

    kind: Literal["rested"] = "rested"
    seconds: int = 0


class Stranger(BaseModel):
    """Looks like `Rested`, and is declared nowhere."""

    kind: Literal["rested"] = "rested"
    seconds: int = 0


def boom(value: int) -> int:
    if value == 13:
        raise SystemExit(3)
    return value


class Trap(Result):
    """An event whose serializer leaves."""

    kind: Literal["trap"] = "trap"
    field: Annotated[int, PlainSerializer(boom)] = 1
    checked: int = 1

    @field_validator("checked")
    @classmethod
    def _check(cls, value: int) -> int:
        if value == 13:
            raise KeyboardInterrupt
        return value


def changed() -> Rested:
    event = Rested()
    event.seconds = "long"  # type: ignore[assignment] # that is the case
    return event


def unchecked(model: Any, **fields: Any) -> Any:
    return model.model_construct(**fields)


WRONG: list[tuple[str, Callable[[], Any], str]] = [
    ("no model", lambda: {"kind": "rested", "seconds": 1}, "no model, but dict"),
    ("nothing", lambda: None, "no model, but NoneType"),
    ("a stranger", Stranger, "it is Stranger, which is another"),
    ("an inner model alone", lambda: Inner(size=1), "it is Inner, which is another"),
    ("a wrong type", lambda: unchecked(Rested, seconds="long"), "seconds: Input should be a valid integer"),
    (
        "digits for a number",
        lambda: unchecked(Rested, seconds="5"),
        "seconds: the model would make another value of it",
    ),
    ("a change afterwards", changed, "seconds: Input should be a valid integer"),
    ("a missing field", lambda: Moved(parts=[unchecked(Inner)]), "size: Field required"),
    ("a bound", lambda: Moved(parts=[unchecked(Inner, size=-1)]), "size: Input should be greater than"),
    (
        "a bound in a dict",
        lambda: Moved(by_name={"a": unchecked(Inner, size=-1)}),
        "size: Input should be greater",
    ),
    ("a wrong kind", lambda: unchecked(Rested, kind="moved"), "kind: Input should be 'rested'"),
    ("no number", lambda: Moved(Way=float("nan")), "JSON"),
    ("a serializer that leaves", lambda: Trap(field=13), "SystemExit: 3"),
    ("a validator that leaves", lambda: unchecked(Trap, checked=13), "KeyboardInterrupt"),
]
STREAM = "teller.event"


class Teller(DaemonPlugin):
    """Publishes what the test makes."""

    name: ClassVar[str] = "teller"

    async def start(self, ctx: PluginContext) -> None:
        self.publish = ctx.services[PUBLISH]


TELLER = Feature(
    "teller",
    "x",
    ("teller",),
    Teller,
    events=(EventStream(STREAM, Moved | Rested | Trap, stamped=False),),
    uses=(PUBLISH,),
)


def publish(all_: Assembled) -> Publish:
    plugin = all_.host("teller").plugin
    assert isinstance(plugin, Teller)
    return plugin.publish


def listen(all_: Assembled) -> Subscriber:
    return all_.rpc.streams.get(STREAM).attach("s", None, lambda: None)


@pytest.mark.parametrize(("make", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_a_wrong_event_is_an_error_in_a_simulation_whether_or_not_somebody_listens(
    assemble: Assemble, make: Callable[[], Any], said: str
) -> None:
    all_ = await assemble(TELLER)
    for number in range(2):
        with pytest.raises(ValueError, match=r"^an event of teller\.event does not fit its declared model: ") as caught:
            publish(all_)(STREAM, make())
        assert said in str(caught.value)
        assert listen(all_).next_text() is None, number


@pytest.mark.parametrize("make", [row[1] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_in_a_daemon_a_wrong_event_is_dropped_counted_and_logged_once(
    assemble: Assemble, caplog: pytest.LogCaptureFixture, make: Callable[[], Any]
) -> None:
    all_ = await assemble(TELLER, strict=False)
    subscriber = listen(all_)
    for _ in range(3):
        publish(all_)(STREAM, make())
    publish(all_)(STREAM, Rested(seconds=1))
    text = subscriber.next_text()
    assert text is not None
    assert '"seconds": 1' in text
    assert '"seq": 1' in text  # no number is missing: nothing was lost on the way
    assert subscriber.next_text() is None
    row = all_.row("teller")
    assert (row.state, row.failures, row.events_dropped) == ("running", 0, 3)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("feature teller: an event of teller.event does not fit its declared model: ")
    assert "\n" not in line
    assert (await all_.assembly.disable("teller")).events_dropped == 0


async def test_a_right_event_passes_with_its_aliases_and_inner_models(assemble: Assemble) -> None:
    all_ = await assemble(TELLER)
    subscriber = listen(all_)
    publish(all_)(STREAM, Moved(Way=2.0, parts=[Inner(size=1)], by_name={"a": Inner(size=2)}))
    text = subscriber.next_text()
    assert text is not None
    assert '"way": 2.0' in text


async def test_the_log_shows_no_values_of_a_wrong_event(assemble: Assemble, caplog: pytest.LogCaptureFixture) -> None:
    all_ = await assemble(TELLER, strict=False)
    publish(all_)(STREAM, unchecked(Rested, seconds="hunter2"))
    assert "hunter2" not in caplog.text
    assert "seconds: Input should be" in caplog.text


async def test_an_undeclared_stream_stays_an_error(assemble: Assemble) -> None:
    all_ = await assemble(TELLER, strict=False)
    with pytest.raises(ValueError, match="did not declare the stream"):
        publish(all_)("other.event", Rested())


def test_an_event_that_fits_a_single_model_passes() -> None:
    check_event(TypeAdapter(Inner), Inner(size=1))


class Filter(Params):
    """What to get."""

    kind: str = ""


class Other:
    """Holds a model that has the name of one above."""

    class Rested(Result):
        """Another one."""

        other: bool = True


async def test_streams_are_described_with_their_models_while_their_feature_runs(assemble: Assemble) -> None:
    """The payloads of two features may have models of one name."""
    streams = (
        EventStream("one.event", Moved | Rested, Filter, history=3),
        EventStream("uno.event", Rested, stamped=False),
    )
    one = Feature("one", "One.", ("one", "uno"), events=streams)
    other = Feature("other", "Other.", ("other",), events=(EventStream("other.event", Other.Rested),))
    all_ = await assemble(one, other)
    document = (await all_.call("rpc.discover"))["result"]
    assert [{**event, "payload": 0} for event in document["x-events"]] == [
        {"name": name, "payload": 0, "subscribe": how, "history": kept, "stamped": stamped, "x-feature": feature}
        for name, how, kept, stamped, feature in (
            ("one.event", "one.subscribe", 3, True, "one"),
            ("uno.event", "uno.subscribe", 0, False, "one"),
            ("other.event", "other.subscribe", 0, True, "other"),
        )
    ]
    for event, good, bad in (
        (document["x-events"][0], Moved(parts=[Inner(size=1)]), {"kind": "moved", "parts": [{"size": -1}]}),
        (document["x-events"][1], Rested(seconds=2), {"kind": "rested", "seconds": "many"}),
        (document["x-events"][2], Other.Rested(), {"kind": "rested", "seconds": 2}),
    ):
        fits = jsonschema.Draft202012Validator({**event["payload"], "components": document["components"]})
        assert fits.is_valid(good.model_dump(mode="json", by_alias=True))
        assert not fits.is_valid(bad)
    await all_.assembly.disable("one")
    assert [event["name"] for event in (await all_.call("rpc.discover"))["result"]["x-events"]] == ["other.event"]
