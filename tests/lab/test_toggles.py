"""Turning a feature off and on under load loses nothing that was accepted."""

import asyncio

import pytest

from pimd.lab import Lab
from pimd.lab.daemon import LabDaemon
from pimd.lab.run import run

TIMES = 200
PAUSE_S = 0.2


async def send(sender: LabDaemon, receiver: LabDaemon, sent: list[str]) -> None:
    """Write to the receiver all the time."""
    while True:
        body = f"{sender.name} {len(sent)}"
        await sender.call("messages.send", {"peer_node_id": str(receiver.id), "body": body})
        sent.append(body)
        await asyncio.sleep(PAUSE_S)


async def history(daemon: LabDaemon, peer: LabDaemon) -> list[str]:
    bodies: list[str] = []
    params: dict[str, object] = {"peer_node_id": str(peer.id), "limit": 500}
    while True:
        page = await daemon.call("messages.history", params)
        bodies += [one["body"] for one in page["messages"]]
        if not page["has_more"]:
            return bodies
        last = page["messages"][-1]
        params |= {"before_ts_ms": last["timestamp_ms"], "before_id": last["id"]}


async def toggled_under_load() -> None:
    async with Lab(seed=11, settings={"features": {"disabled": ["groups"]}}) as lab:  # which needs messaging
        bob, alice, carol = (lab.add_daemon(name) for name in ("bob", "alice", "carol"))
        for one in (alice, carol):
            lab.connect(one, bob)
        await lab.start()
        await lab.converged(limit_s=30)
        for one in (alice, carol):  # of a stranger few messages are kept
            await bob.call("peers.label", {"node_id": str(one.id), "label": one.name})
        sent: dict[str, list[str]] = {"alice": [], "carol": []}
        async with asyncio.TaskGroup() as tasks:
            streams = [tasks.create_task(send(one, bob, sent[one.name])) for one in (alice, carol)]
            for _ in range(TIMES):
                await bob.call("features.disable", {"name": "messaging"})
                await lab.sleep(PAUSE_S / 3)
                await bob.call("features.enable", {"name": "messaging"})
                await lab.sleep(PAUSE_S)
            for stream in streams:
                stream.cancel()
        await asyncio.sleep(120)
        for one in (alice, carol):
            there = await history(bob, one)
            assert len(sent[one.name]) > TIMES
            assert sorted(there) == sorted(sent[one.name])
        told = [
            event["params"]["message"]["body"]
            for event in bob.events
            if event["params"].get("kind") == "message_received"
        ]
        assert sorted(told) == sorted(sent["alice"] + sent["carol"])


@pytest.mark.slow
def test_every_message_is_stored_once_and_told_once_however_often_messaging_is_turned_off() -> None:
    run(toggled_under_load, seed=11)
