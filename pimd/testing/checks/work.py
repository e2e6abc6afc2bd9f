"""Work for a feature: a payload of each kind, a call of each method."""

from collections.abc import Iterator
from typing import Any

from pimd.contract import RpcError
from pimd.ids import NodeId
from pimd.rpc.registry import Method
from pimd.testing.alone import STRANGER, Alone
from pimd.testing.schemas import Draw


def methods_of(alone: Alone) -> list[Method]:
    """Return its methods as the dispatcher calls them, without those of its streams."""
    registry = alone.daemon.running_daemon.rpc.registry
    found = [registry.get(name) for name in alone.feature.marked_names()]
    return [method for method in found if method is not None]


def draw_for(alone: Alone, seed: int) -> Draw:
    """Return what draws values in which ids mean this node, its neighbours and a stranger."""
    return Draw(seed, [str(one) for one in (*alone.lab.by_id, STRANGER)])


def params_for(draw: Draw, method: Method) -> Any:
    """Draw params that fit the method's model, as far as its schema says."""
    schema = method.params.model_json_schema()
    return draw.value(schema, schema.get("$defs", {}))


def calls_of(alone: Alone, seed: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield one call of each method."""
    draw = draw_for(alone, seed)
    for method in methods_of(alone):
        yield method.name, params_for(draw, method)


async def small_work(alone: Alone, src: NodeId = STRANGER) -> None:
    """Deliver a payload of each kind, call each method, deliver again; what comes of it is in the log."""
    kinds = alone.feature.plugin.payload_kinds if alone.feature.plugin is not None else ()
    for kind in kinds:
        await alone.deliver(kind, b"", src)
    for name, params in calls_of(alone):
        try:
            await alone.call(name, params)
        except RpcError:
            continue
    for kind in kinds:
        await alone.deliver(kind, b"\xff\x00rubbish", src)
    await alone.sleep(0.1)
