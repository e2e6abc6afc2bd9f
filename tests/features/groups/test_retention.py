"""Messages of groups that are deleted here, by age or by the user, and that leave in a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pimd.clock import ManualClock
from pimd.contract import Database, RpcError
from pimd.lab.daemon import LabDaemon
from pimd.testing import DaemonMesh, virtual_time
from pimd_features.groups import exporting, retaining
from pimd_features.groups.schema import migrations
from tests.features.groups.mesh import grown, messages, of_kind, row, shown, stored, texts, write

DAY_S = 86_400


async def keep(daemon: LabDaemon, group: str, **how: object) -> dict[str, Any]:
    answer: dict[str, Any] = await daemon.call("groups.retention", {"group": group, **how})
    return answer


async def alone(mesh: DaemonMesh) -> tuple[LabDaemon, str]:
    (alice,) = mesh
    return alice, await grown(mesh, alice)


def hold_words(daemon: LabDaemon, word: str) -> list[str]:
    """Tables of the store of groups that hold it."""
    tables = [name for (name,) in stored(daemon, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [one for one in tables if word in str(stored(daemon, f"SELECT * FROM {one}"))]  # noqa: S608 - of the schema


@virtual_time
async def test_messages_are_deleted_after_so_many_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "BATCH", 2)
    monkeypatch.setattr(retaining, "DAY_MS", 600_000)  # a day of whole daemons takes minutes
    async with DaemonMesh(nodes=1) as mesh:
        alice, group = await alone(mesh)
        for number in range(5):
            await write(alice, group, f"old {number}")
        assert await keep(alice, group) == {
            "days": None,
            "in_words": "messages are kept for all time",
            "deleted_messages": 0,
        }
        assert (await keep(alice, group, days=1))["in_words"] == "messages are deleted after 1 day"
        await mesh.sleep(500)
        await write(alice, group, "young")
        await mesh.sleep(200)
        (young,) = await messages(alice, group)
        assert (young["body"], young["parents"], young["missing_parents"]) == ("young", [], 0)
        assert stored(alice, "SELECT messages, bytes FROM usage") == [(1, 5)]
        told = of_kind(alice, "history_deleted")
        assert (sum(one["deleted_messages"] for one in told), told[-1]["up_to_position"]) == (5, 5)
        assert hold_words(alice, "old ") == []
        await keep(alice, group, forever=True)
        await mesh.sleep(800)
        assert (await keep(alice, group, days=1))["deleted_messages"] == 1
        assert (await row(alice, group))["last_message"] is None
        with pytest.raises(RpcError, match="one of them"):
            await keep(alice, group, days=1, forever=True)


@virtual_time
async def test_what_a_member_does_not_have_yet_is_kept_by_retention_and_withdrawn_by_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retaining, "DAY_MS", 600_000)
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "arrived")
        await mesh.settle()
        mesh.cut(alice, bob)
        await mesh.sleep(5)
        await write(alice, group, "waits")
        await mesh.sleep(700)
        assert (await keep(alice, group, days=1))["deleted_messages"] == 1
        assert (await texts(alice, group), await texts(bob, group)) == (["waits"], ["arrived"])
        waiting = "SELECT id FROM parcels_out WHERE substr(body, 1, 1) = x'08'"  # messages
        assert len(alice.machine.disk.rows("messages.db", waiting)) == 1
        deleted = await alice.call("groups.delete_history", {"group": group})
        assert deleted == {"deleted_messages": 1, "deleted_group": False}
        assert hold_words(alice, "waits") == []
        assert alice.machine.disk.rows("messages.db", waiting) == []
        await write(alice, group, "afterwards")
        mesh.heal()
        await mesh.until(lambda: shown(bob) == ["arrived", "afterwards"], 120)
        assert await texts(alice, group) == ["afterwards"]


@virtual_time
async def test_a_group_that_was_left_is_deleted_with_its_messages_and_can_be_joined_anew() -> None:
    async with DaemonMesh(nodes=2) as mesh:
        alice, bob = mesh
        group = await grown(mesh, alice, bob)
        await write(alice, group, "hello")
        await mesh.settle()
        await bob.call("groups.leave", {"group": group})
        deleted = await bob.call("groups.delete_history", {"group": group})
        assert deleted == {"deleted_messages": 1, "deleted_group": True}
        assert (await bob.call("groups.list"))["groups"] == []
        await mesh.settle()
        assert len((await row(alice, group))["members"]) == 1
        raw = bytes.fromhex(group)
        tables = [name for (name,) in stored(bob, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        left = [one for one in tables if str(raw)[2:-1] in str(stored(bob, f"SELECT * FROM {one}"))]  # noqa: S608
        assert left == []
        await alice.call("groups.invite", {"group": group, "node_id": bob.id})
        await mesh.settle()
        await bob.call("groups.join", {"group": group})
        await mesh.settle()
        await write(alice, group, "again")
        await mesh.settle()
        assert await texts(bob, group) == ["again"]


@virtual_time
async def test_an_export_has_each_message_once_with_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE_BYTES", 1)
    async with DaemonMesh(nodes=1) as mesh:
        alice, group = await alone(mesh)
        await alice.call("groups.create", {"name": "others"})
        for number in range(250):
            await write(alice, group if number % 5 else "others", f"höre {number} \u2028\0")
        lines: list[str] = []
        cursor = None
        while True:
            page = await alice.call("groups.export", {"group": group, "cursor": cursor})
            lines, cursor = lines + page["lines"], page["cursor"]
            if cursor is None:
                break
        begin, *held, end = [json.loads(line) for line in lines]
        assert (begin["kind"], begin["group_id"], begin["name"]) == ("begin", group, "friends")
        assert [one["body"] for one in held] == [f"höre {number} \u2028\0" for number in range(250) if number % 5]
        digest = ""
        for one in held:
            digest = hashlib.sha256(f"{digest}{one['sha256']}".encode()).hexdigest()
        assert (end["messages"], end["all_sha256"]) == (200, digest)
        for one in (begin, *held, end):
            sha256 = one.pop("sha256")
            text = json.dumps(one, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            assert hashlib.sha256(text.encode()).hexdigest() == sha256
        with pytest.raises(RpcError, match="begin again without it"):
            await alice.call("groups.export", {"group": group, "cursor": "1.2"})


async def test_messages_of_a_store_of_before_are_kept_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "groups.db"
    async with Database.open(path, migrations(0)[:1], clock=ManualClock()) as database:
        sql = "INSERT INTO messages VALUES (1, x'01', x'02', x'03', 'a', 1, 0, x'04', 0, 0)"
        await database.write("fill", lambda connection: connection.execute(sql).rowcount)
    async with Database.open(path, migrations(77), clock=ManualClock()) as database:
        assert [tuple(one) for one in await database.read("SELECT body, came_lived_ms FROM messages")] == [("a", 77)]
