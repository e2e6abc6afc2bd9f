"""What features are handed in a running daemon: the members of the contract, and no way behind them."""

import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar, get_type_hints

import pytest

from pimd.contract import (
    ASSEMBLY,
    CONFIG,
    CORE_KEYS,
    DEFAULT_ROUTE,
    KEYSTORE,
    LOG_RING,
    MESH,
    PUBLISH,
    Assembly,
    Bites,
    CancellationToken,
    Config,
    DaemonPlugin,
    DefaultRoute,
    Feature,
    Keystore,
    LogRing,
    Mesh,
    PeerIndex,
    PluginContext,
    Publish,
    ServiceKey,
)
from pimd.ids import NodeId
from pimd.lab import Lab, run

PLAIN = {"data_dir", "settings", "log"}
"""A path, a model, and a logger of the standard library."""
PORTS: dict[str, type] = {name: of for name, of in get_type_hints(PluginContext).items() if name not in PLAIN}
KEYS: dict[ServiceKey[Any], type] = {
    MESH: Mesh,
    KEYSTORE: Keystore,
    CONFIG: Config,
    DEFAULT_ROUTE: DefaultRoute,
    LOG_RING: LogRing,
    ASSEMBLY: Assembly,
    PUBLISH: Publish,
}
INSIDE = ("pimd.app", "pimd.assembly", "pimd.mesh", "pimd.net", "pimd.proto", "pimd.rpc", "pimd.store", "pimd.lab")
SOMEBODY = NodeId(bytes(16))


class Probe(DaemonPlugin):
    """Keeps its context for the test."""

    name: ClassVar[str] = "probe"
    contexts: ClassVar[list[PluginContext]] = []

    async def start(self, ctx: PluginContext) -> None:
        self.contexts.append(ctx)


PROBE = Feature("probe", "x", plugin=Probe, uses=tuple(KEYS))


def in_a_daemon(look: Any) -> None:
    async def main() -> None:
        async with Lab(1, features=[PROBE]) as lab:
            daemon = lab.add_daemon()
            await daemon.start()
            await look(Probe.contexts[-1])

    run(main, seed=1)


def handed_over(ctx: PluginContext) -> Iterator[tuple[str, Any, type]]:
    for name, contract in PORTS.items():
        yield f"ctx.{name}", getattr(ctx, name), contract
    for key, contract in KEYS.items():
        yield key.name, ctx.services[key], contract
    yield "keystore.index", ctx.services[KEYSTORE].index, PeerIndex


def public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_core_service_is_looked_at() -> None:
    assert {key.name for key in KEYS} == CORE_KEYS


def test_what_is_handed_over_has_the_members_of_the_contract_and_no_others() -> None:
    async def look(ctx: PluginContext) -> None:
        for name, thing, contract in handed_over(ctx):
            assert public(thing) == public(contract), name
            if not public(contract):
                assert callable(thing), name
        assert public(ctx) == {one.name for one in fields(PluginContext)}

    in_a_daemon(look)


def leading_back(thing: Any) -> Iterator[str]:
    """Name the attributes of a thing, and those of its methods, that are parts of the daemon."""
    for name in dir(thing):
        if name.startswith("__") and name not in {"__self__", "__wrapped__", "__func__", "__dict__"}:
            continue
        value = getattr(thing, name, None)
        for found in (value, getattr(value, "__self__", None), getattr(value, "__wrapped__", None)):
            if type(found).__module__.startswith(INSIDE) and type(found) is not type(thing):
                yield name
        if isinstance(value, dict | list | tuple):
            parts = value.values() if isinstance(value, dict) else value
            if any(type(part).__module__.startswith(INSIDE) for part in parts):
                yield name


def test_no_attribute_of_it_leads_to_what_does_the_work() -> None:
    async def look(ctx: PluginContext) -> None:
        found = {name: sorted(set(leading_back(thing))) for name, thing, _ in handed_over(ctx)}
        # The index is a member of the contract, and looked at by itself.
        assert {name: names for name, names in found.items() if names and names != ["index"]} == {}

    in_a_daemon(look)


def test_nothing_of_it_can_be_replaced() -> None:
    async def look(ctx: PluginContext) -> None:
        for view, member in ((ctx.peers, "subscribe"), (ctx.control, "send_routed"), (ctx.services[MESH], "relays")):
            with pytest.raises(AttributeError, match=member):
                setattr(view, member, None)
            with pytest.raises(AttributeError):
                view.other = None  # type: ignore[union-attr]

    in_a_daemon(look)


def test_what_a_service_returns_cannot_be_used_to_change_it() -> None:
    async def look(ctx: PluginContext) -> None:
        keystore, mesh = ctx.services[KEYSTORE], ctx.services[MESH]
        for found in (keystore.gateways(), mesh.destinations(), keystore.index.labelled("x")):
            assert not hasattr(found, "add")
            assert not hasattr(found, "append")
        for read in (lambda: mesh.listen_endpoints, ctx.services[CONFIG].peers, keystore.list, mesh.routes, mesh.dials):
            assert isinstance(read(), tuple) or read() is not read()

    in_a_daemon(look)


def test_the_members_do_what_the_contract_says() -> None:
    async def look(ctx: PluginContext) -> None:
        keystore, mesh = ctx.services[KEYSTORE], ctx.services[MESH]
        with ctx.peers.subscribe() as events:
            assert await keystore.import_identity(SOMEBODY, ctx.identity.x25519_pub, "somebody")
            assert await ctx.peers.lookup_name(SOMEBODY) == "somebody"
            seen = await anext(events)
            assert getattr(seen, "node_id", None) == SOMEBODY
        await keystore.set_label(SOMEBODY, "a friend")
        assert keystore.index.shown(SOMEBODY) == "a friend"
        assert [row.name for row in ctx.services[ASSEMBLY].rows() if row.name == "probe"] == ["probe"]
        assert (mesh.relays, mesh.membership.mode) == (True, "open")
        assert ctx.clock.lived_ms() >= 0

    in_a_daemon(look)


def test_members_explain_themselves() -> None:
    async def look(ctx: PluginContext) -> None:
        for name, thing, contract in handed_over(ctx):
            for member in public(thing) if not isinstance(thing, Bites | CancellationToken) else ():
                shown = (
                    inspect.getattr_static(thing, member)
                    if isinstance(inspect.getattr_static(contract, member), property)
                    else getattr(thing, member)
                )
                assert inspect.getdoc(shown) == inspect.getdoc(getattr(contract, member)), (name, member)

    in_a_daemon(look)
