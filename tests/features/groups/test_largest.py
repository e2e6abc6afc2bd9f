"""A group of as many members as it may have, in whole daemons."""

import pytest

from pimd.contract import RpcError
from pimd.lab.topology import small_world
from pimd.testing import DaemonMesh, virtual_time
from pimd_features.groups.limits import MEMBERS
from tests.features.groups.mesh import chain_of, members, row, state, texts, write


@pytest.mark.slow
@pytest.mark.timeout(600)
@virtual_time
async def test_64_join_at_once_and_all_read_what_each_writes() -> None:
    async with DaemonMesh(nodes=MEMBERS.value + 1, shape=small_world) as mesh:
        first, *others, one_more = mesh
        group: str = (await first.call("groups.create", {"name": "all"}))["group_id"]
        for other in others:
            await first.call("groups.invite", {"group": group, "node_id": other.id})
        with pytest.raises(RpcError, match="at most 64 members"):
            await first.call("groups.invite", {"group": group, "node_id": one_more.id})
        await mesh.sleep(30)
        for other in others:
            await other.call("groups.join", {"group": group})
        await mesh.sleep(120)
        assert [await state(other, group) for other in others] == ["joined"] * 63
        assert len(await members(others[-1], group)) == 64
        assert len({chain_of(one, group)[-1].hash for one in (first, *others)}) == 1
        written = [f"from {one.name}" for one in others[::8]]
        for one, text in zip(others[::8], written, strict=True):
            assert (await write(one, group, text))["members"] == 63
        await mesh.sleep(120)
        for one in (first, *others):
            assert sorted(await texts(one, group)) == sorted(written)
            assert (await row(one, group))["members_agree"]
