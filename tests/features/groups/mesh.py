"""Daemons of the lab in groups, and what a liar among them can do."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pimd.contract import Parcel, PluginContext
from pimd.ids import MessageId
from pimd.lab.daemon import LabDaemon
from pimd.testing import DaemonMesh
from pimd_features.groups.plugin import GroupsPlugin
from pimd_features.groups.records import Record
from pimd_features.groups.wire import Said, records


async def row(daemon: LabDaemon, group: str) -> dict[str, Any]:
    rows = (await daemon.call("groups.list"))["groups"]
    return next(one for one in rows if one["group_id"] == group)


async def state(daemon: LabDaemon, group: str) -> str:
    return str((await row(daemon, group))["state"])


async def members(daemon: LabDaemon, group: str) -> list[str]:
    return [one["node_id"] for one in (await row(daemon, group))["members"]]


async def messages(daemon: LabDaemon, group: str) -> list[dict[str, Any]]:
    """In order of arrival."""
    page = await daemon.call("groups.history", {"group": group, "limit": 500})
    return list(reversed(page["messages"]))


async def texts(daemon: LabDaemon, group: str) -> list[str]:
    return [one["body"] for one in await messages(daemon, group)]


async def write(daemon: LabDaemon, group: str, text: str) -> dict[str, Any]:
    sent: dict[str, Any] = await daemon.call("groups.send", {"group": group, "body": text})
    return sent


async def grown(mesh: DaemonMesh, first: LabDaemon, *others: LabDaemon, name: str = "friends") -> str:
    """A group of all of these."""
    group: str = (await first.call("groups.create", {"name": name}))["group_id"]
    for other in others:
        await add(mesh, first, other, group)
    await mesh.settle()
    return group


async def add(mesh: DaemonMesh, inviter: LabDaemon, other: LabDaemon, group: str, *, may_change: bool = False) -> None:
    await inviter.call("groups.invite", {"group": group, "node_id": str(other.id), "may_change": may_change})
    await mesh.settle()
    assert await state(other, group) == "invited"
    await other.call("groups.join", {"group": group})
    await mesh.settle()
    assert await state(other, group) == "joined"


def of_kind(daemon: LabDaemon, kind: str) -> list[dict[str, Any]]:
    return [event for event in daemon.published("groups.event") if event["kind"] == kind]


def shown(daemon: LabDaemon) -> list[str]:
    """The texts that it told its user of."""
    return [event["message"]["body"] for event in of_kind(daemon, "message_received")]


# --- what a liar can do

_numbers = itertools.count()


def plugin_of(daemon: LabDaemon) -> GroupsPlugin:
    host = daemon.running_daemon.assembly.host("groups")
    assert host is not None
    assert isinstance(host.plugin, GroupsPlugin)
    return host.plugin


def context_of(daemon: LabDaemon) -> PluginContext:
    return plugin_of(daemon)._ctx


async def say(liar: LabDaemon, peer: LabDaemon, bodies: Iterable[Said | bytes]) -> None:
    """Send bodies of the liar's own making, in its sessions."""
    raws = [one.encode() if isinstance(one, Said) else one for one in bodies]
    parcels = [Parcel(peer.id, MessageId(next(_numbers).to_bytes(16)), raw, 86400) for raw in raws]
    await liar.within("lying", lambda: plugin_of(liar)._parcels.send(parcels))


async def say_records(liar: LabDaemon, peer: LabDaemon, chain: Sequence[Record]) -> None:
    await say(liar, peer, records(chain[0].group, [one.raw for one in chain]))


def stored(daemon: LabDaemon, sql: str, *parameters: Any) -> list[Any]:
    return [tuple(one) for one in daemon.machine.disk.rows("groups.db", sql, parameters)]


def chain_of(daemon: LabDaemon, group: str) -> list[Record]:
    rows = stored(
        daemon, "SELECT raw FROM records WHERE group_id = ? AND stands = 1 ORDER BY number", bytes.fromhex(group)
    )
    return [Record.read(one[0]) for one in rows]


def everything(daemon: LabDaemon) -> str:
    """All that its user can see of groups."""
    return json.dumps([event["params"] for event in daemon.events])
