"""People in the lab who use mailboxes, and are never there at the same time unless a test says so."""

from collections.abc import Callable, Coroutine
from typing import Any

from pimd.ids import NodeId
from pimd.lab import Lab, run
from pimd.lab.daemon import LabDaemon, seed_of
from pimd.proto.identity import Identity

SEED = 5
FEATURES = ["peers", "routes", "messaging", "status", "config", "logs", "lab"]
DAY_S = 24 * 3600.0


def id_of(name: str) -> NodeId:
    return Identity.from_seed(seed_of(SEED, name)).node_id


def person(lab: Lab, name: str, *mailboxes: str, **messaging: Any) -> LabDaemon:
    """Set up a daemon whose mailboxes are those of these names."""
    boxes = {"mailboxes": [str(id_of(one)) for one in mailboxes], **messaging}
    return lab.add_daemon(name, settings={"features": {"messaging": boxes}})


def mailbox(lab: Lab, name: str, *served: str, people: tuple[LabDaemon, ...] = (), **more: Any) -> LabDaemon:
    """Set up a mailbox for these names, without messages of its own, that people are linked with."""
    tables = {
        "enabled": [*FEATURES[:2], *FEATURES[3:], "mailbox"],
        "mailbox": {"serve": [str(id_of(s)) for s in served]},
    }
    box = lab.add_daemon(name, settings={"features": tables}, **more)
    for one in people:
        lab.connect(one, box)
    return box


async def meet(lab: Lab, one: LabDaemon, box: LabDaemon) -> None:
    """Wait until a daemon that just started has its route."""
    await lab.until(lambda: one.node.service.route(box.id) is not None, 90, f"a route of {one.name} to {box.name}")


async def only(lab: Lab, here: LabDaemon, box: LabDaemon, *gone: LabDaemon) -> None:
    """Let one come after the others went."""
    for other in gone:
        if other.is_up:
            await other.stop()
    await here.start()
    await meet(lab, here, box)


async def know(one: LabDaemon, other: LabDaemon) -> None:
    key = {"node_id": str(other.id), "x25519_pubkey": other.machine.identity.x25519_pub.hex(), "name": other.name}
    await one.call("peers.import_identity", key)


async def write(source: LabDaemon, destination: LabDaemon, body: str, **more: Any) -> Any:
    return await source.call("messages.send", {"peer_node_id": str(destination.id), "body": body, **more})


async def history(daemon: LabDaemon, other: LabDaemon) -> list[dict[str, Any]]:
    page = await daemon.call("messages.history", {"peer_node_id": str(other.id)})
    return list(reversed(page["messages"]))


async def texts(daemon: LabDaemon, other: LabDaemon) -> list[str]:
    return [one["body"] for one in await history(daemon, other)]


async def states(daemon: LabDaemon, other: LabDaemon) -> list[str]:
    return [one["status"] for one in await history(daemon, other) if one["direction"] == "sent"]


def received(daemon: LabDaemon) -> list[str]:
    """Texts that were announced, in order; each must be announced once."""
    return [
        event["params"]["message"]["body"]
        for event in daemon.events
        if event["params"].get("kind") == "message_received"
    ]


def play(main: Callable[[Lab], Coroutine[Any, Any, Any]], **more: Any) -> Any:
    async def with_lab() -> Any:
        async with Lab(SEED, **more) as lab:
            result = await main(lab)
            assert not lab.crashes
            return result

    return run(with_lab, seed=SEED)


async def days_pass(lab: Lab, days: float, *stopped: LabDaemon) -> None:
    """Let days pass in which these are off, which takes no time here; what they hold ages all the same."""
    for one in stopped:
        await one.stop()
    await lab.sleep(days * DAY_S)
    for one in stopped:
        await one.start()
