"""Groups of whole daemons, under the virtual clock."""

from typing import Any

from pimd.lab.daemon import LabDaemon
from pimd.testing import DaemonMesh, virtual_time

TABLES: dict[str, Any] = {}


async def row(daemon: LabDaemon, group: str) -> dict[str, Any]:
    rows = (await daemon.call("groups.list"))["groups"]
    return next(one for one in rows if one["group_id"] == group)


async def texts(daemon: LabDaemon, group: str) -> list[str]:
    page = await daemon.call("groups.history", {"group": group})
    return [one["body"] for one in reversed(page["messages"])]


async def grown(mesh: DaemonMesh, first: LabDaemon, *others: LabDaemon, name: str = "friends") -> str:
    """A group of all of these."""
    group: str = (await first.call("groups.create", {"name": name}))["group_id"]
    for other in others:
        await add(mesh, first, other, group)
    return group


async def add(mesh: DaemonMesh, inviter: LabDaemon, other: LabDaemon, group: str, **more: Any) -> None:
    await inviter.call("groups.invite", {"group": group, "node_id": str(other.id), **more})
    await mesh.settle()
    assert (await row(other, group))["state"] == "invited"
    await other.call("groups.join", {"group": group})
    await mesh.settle()
    assert (await row(other, group))["state"] == "joined"


@virtual_time
async def test_all_members_get_what_one_writes() -> None:
    async with DaemonMesh(nodes=3) as mesh:
        alice, bob, carol = mesh
        group = await grown(mesh, alice, bob, carol)
        for who, text in ((alice, "one"), (bob, "two"), (carol, "three")):
            sent = await who.call("groups.send", {"group": group, "body": text})
            assert sent["members"] == 2
            await mesh.settle()
        for who in mesh:
            assert await texts(who, group) == ["one", "two", "three"]
            assert (await row(who, group))["members_agree"]
        newest, *_ = (await carol.call("groups.history", {"group": group}))["messages"]
        assert {one["status"] for one in newest["deliveries"]} == {"delivered"}
        assert newest["state_text"] == "delivered to 2 of 2"
