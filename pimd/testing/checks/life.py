"""Declaration, settings, start, failed start, stop under work, forgetting, services."""

import asyncio
import inspect
import types
from collections.abc import Coroutine, Generator, Mapping
from typing import Any, ClassVar

from pydantic import ValidationError

from pimd.calls import Calls
from pimd.contract import (
    DISCOVERY,
    PARCELS,
    PEER_DATA,
    PEER_SUMMARIES,
    DaemonPlugin,
    Feature,
    PluginContext,
    PluginPayload,
    Provided,
    RpcError,
)
from pimd.faults import text_of
from pimd.ids import NodeId
from pimd.task_scope import task_scope
from pimd.testing.alone import STRANGER, Alone
from pimd.testing.checks.check import Broken, NotMeant, check
from pimd.testing.checks.faults import Faults, stop
from pimd.testing.checks.subject import Subject
from pimd.testing.checks.work import calls_of, small_work
from pimd.testing.schemas import Draw

TIMES = 3
TABLES = 200
CUTS = 25
SILENCE_S = 60.0
OTHER = NodeId(b"\x07" * 16)
ASKED: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    PEER_DATA.name: {"erase": (STRANGER,), "reassign": (STRANGER, OTHER)},
    DISCOVERY.name: {"nodes": ()},
    PARCELS.name: {"arrived": (0, 1), "states": (0, 1), "set_fellows": ([STRANGER],), "drop_states": (0,), "news": ()},
    PEER_SUMMARIES.name: {"neighbours": (), "summary": (STRANGER,)},
}
"""What is called of the services of the contract, and with what."""


@check(
    "a feature is one declaration that can be assembled beside the others: names, namespaces and payload kinds of its "
    "own, methods with models, settings that have values",
    "write what the sentence says; `pimd --check-config` prints the same",
    needs_feature=False,
)
async def declaration(subject: Subject) -> None:
    """Import it and plan with it."""
    subject.refuse_faults()


@check(
    "a wrong value in a feature's table is refused with a sentence; the model of its settings raises nothing else",
    "raise ValueError in validators, and nothing but that",
)
async def settings(subject: Subject) -> None:
    """Read tables that fit the schema of the settings, and tables that nearly do."""
    model = subject.feature().settings
    schema = model.model_json_schema()
    draw, calls = Draw(1), Calls("settings", in_loop=False)
    for number in range(TABLES):
        table = draw.value(schema, schema.get("$defs", {}))
        table = draw.nearly(table) if number % 2 else table
        outcome = calls.call("its settings", model.model_validate, table)
        if outcome.error is not None and not isinstance(outcome.error, ValidationError):
            raise Broken(f"its settings cannot be read: {text_of(outcome.error)} (from {str(table)[:200]})")
        if outcome.error is None and not isinstance(outcome.value, model):
            raise Broken(f"its settings are {type(outcome.value).__name__} (from {str(table)[:200]})")


@check(
    "`start` returns when the feature is ready, at most 30 s later; `shutdown` is called once, ends within 3 s and raises "
    "nothing; a feature can be turned off and on any number of times",
    "keep what `start` takes in the plugin object, and give all of it back in `shutdown`",
)
async def lifecycle(subject: Subject) -> None:
    """Start it, turn it off and on, and stop the daemon."""
    async with subject.alone(must_run=False) as alone:
        await _settled(alone)
        alone.refuse_stopped()
        faults = Faults(alone)
        for number in range(TIMES):
            await stop(alone, faults, f"turning it off, time {number + 1}")
            await _enable(alone, f"turning it on again, time {number + 1}")
        faults.refuse("turning it off and on")
        await alone.daemon.stop()
        lines = faults.new()
        if lines:
            raise Broken(f"{lines[0]} (stopping the daemon)")


@check(
    "`shutdown` is called once also when `start` failed half-way, and then the feature can be started anew",
    "let `shutdown` release only what `start` took: fill an `AsyncExitStack` of `__init__` there, and close that",
)
async def failed_start(subject: Subject) -> None:
    """Let the disk be full at each of the places where `start` awaits."""
    declared = subject.feature().plugin
    if declared is None:
        raise NotMeant("it has no plugin")
    for cut in range(CUTS):
        plugin = cutting(declared, cut)
        async with subject.alone(plugin=plugin, must_run=False) as alone:
            await _settled(alone)
            if not plugin.was_cut:
                return
            await asyncio.sleep(1)
            lines = [line for line in Faults.all(alone) if "injected" not in line]
            where = f"at await {cut} of its start" if cut else "before the first line of its start"
            if lines:
                raise Broken(f"{lines[0]} (after an OSError {where})")
            plugin.cuts = False
            await _enable(alone, f"starting it anew after an OSError {where}")


@check(
    "when a feature stops, what runs has 2 s to end and is then cancelled; it ends on its cancellation, within 6 s in all, "
    "and nothing of it runs afterwards",
    "never swallow CancelledError; start tasks with ctx.spawn and timers with ctx.clock, never with asyncio",
)
async def stopping(subject: Subject) -> None:
    """Stop it while payloads wait, calls run and tasks have begun; then listen for a minute."""
    async with subject.alone() as alone:
        faults = Faults(alone)
        await small_work(alone)
        faults.refuse("working before the stop")
        async with task_scope() as tasks:
            for name, params in calls_of(alone):
                tasks.create_task(_ignored(alone, name, params))
            for kind in alone.feature.plugin.payload_kinds if alone.feature.plugin is not None else ():
                alone.node.payloads.deliver(STRANGER, PluginPayload(kind, b"\0 at the end"))
            await asyncio.sleep(0)
            await stop(alone, faults, "stopping it at work")
        before = len(alone.sent), len(alone.datagrams), len(_own_events(alone))
        await asyncio.sleep(SILENCE_S)
        if (len(alone.sent), len(alone.datagrams), len(_own_events(alone))) != before:
            raise Broken("it went on after its stop: it sent or published something")
        await _enable(alone, "turning it on again after that")


@check(
    "`on_peer_forgotten` returns within 5 s, raises nothing, whether the plugin knew the peer or not",
    "delete with pop(peer, None), and catch what your store raises",
)
async def forgetting(subject: Subject) -> None:
    """Forget peers that it met and peers that it did not."""
    async with subject.alone() as alone:
        if alone.feature.plugin is None:
            raise NotMeant("it has no plugin")
        faults = Faults(alone)
        for number in range(3):
            peer = NodeId(bytes([number + 1]) * 16)
            await alone.know(peer, "somebody")
            if number:
                await small_work(alone, peer)
            await alone.forget(peer)
            faults.refuse("forgetting a peer")
        await small_work(alone)
        faults.refuse("working after that")


@check(
    "what a feature names in `provides` is an attribute of its plugin, and keeps to the protocol of its key within 30 s",
    "name an attribute that exists after `start`; let `erase` return Erased",
)
async def services(subject: Subject) -> None:
    """Take each service as another feature would, and erase and move the data of a peer."""
    provided = subject.feature().provides
    if not provided:
        raise NotMeant("it provides nothing")
    async with subject.alone(beside=[asking(subject.feature())]) as alone:
        faults = Faults(alone)
        for offered in provided:
            service = await _taken(alone, offered, faults)
            for name, given in ASKED.get(offered.key.name, {}).items():
                await _call(alone, service, name, given, faults)


class Asker(DaemonPlugin):
    """Takes what the feature under test provides."""

    name: ClassVar[str] = "kit_asker"

    async def start(self, ctx: PluginContext) -> None:
        """Keep the services."""
        self.services = ctx.services


def asking(feature: Feature) -> Feature:
    """Return a feature that requires the one under test."""
    return Feature(Asker.name, "Asks for services.", plugin=Asker, requires=(feature.name,))


async def _taken(alone: Alone, offered: Provided[Any], faults: Faults) -> Any:
    host = alone.daemon.running_daemon.assembly.host(Asker.name)
    if host is None or not isinstance(host.plugin, Asker):
        raise RuntimeError("the asking feature does not run")
    services, what = host.plugin.services, offered.attribute or "the plugin itself"

    async def take() -> Any:
        return services[offered.key]

    try:
        return await alone.daemon.within("a service", take)
    except LookupError as error:
        faults.refuse(f"taking {what} for {offered.key.name}")
        raise Broken(f"{what} cannot be had for {offered.key.name}: {text_of(error)}") from None


async def _call(alone: Alone, service: Any, name: str, given: tuple[NodeId, ...], faults: Faults) -> None:
    async def call() -> Any:
        answer = getattr(service, name)(*given)
        return await answer if inspect.isawaitable(answer) else answer

    try:
        await alone.daemon.within(name, call)
    # The guard has logged it; the line says more.
    except Exception as error:  # noqa: BLE001
        faults.refuse(f"calling its service's {name}")
        raise Broken(f"its service's {name} raised {text_of(error)}") from None


# --- cutting a start


class Cutting(DaemonPlugin):
    """Base of a plugin whose start fails at one of its awaits."""

    cuts: bool
    was_cut: bool


def cutting(plugin: type[DaemonPlugin], at: int) -> type[Cutting]:
    """Return the plugin with an OSError at await number `at` of its start; 0 is before its first line."""

    async def start(self: Any, ctx: PluginContext) -> None:
        began = plugin.start(self, ctx)
        await (_cut(made, began, at) if made.cuts else began)

    made: Any = type(plugin.__name__, (plugin,), {"start": start, "cuts": True, "was_cut": False})
    return made  # type: ignore[no-any-return]


@types.coroutine
def _cut(plugin: type[Cutting], work: Coroutine[Any, Any, None], at: int) -> Generator[Any, Any, None]:
    sent: Any = None
    for number in range(at + 1):
        try:
            if number == at:
                plugin.was_cut = True
                waits_for = work.throw(OSError(28, "No space left on device (injected by the conformance kit)"))
            else:
                waits_for = work.send(sent)
        except StopIteration:
            return
        sent = yield waits_for
    yield from work.__await__()  # it took the error, and goes on


# --- inside


async def _settled(alone: Alone) -> None:
    """Wait until the start is over, at most as long as the daemon waits."""
    await alone.lab.until(lambda: alone.row.state != "starting", 35, "the start")


async def _enable(alone: Alone, doing: str) -> None:
    try:
        await alone.enable()
    except RpcError as error:
        raise Broken(f"{error.message} ({doing})") from None


async def _ignored(alone: Alone, name: str, params: Any) -> None:
    try:
        await alone.call(name, params)
    except RpcError:
        return


def _own_events(alone: Alone) -> list[Any]:
    names = {stream.name for stream in alone.feature.events}
    return [event for event in alone.daemon.events if event["method"] in names]
