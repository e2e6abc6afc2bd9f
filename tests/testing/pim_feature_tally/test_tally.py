"""What the author of pim-feature-tally tests."""

from collections.abc import Callable

import pytest
from pim_feature_tally import FEATURE, TallySettings

from pimd.contract import PeerNotFound, RpcError, Sent
from pimd.testing import STRANGER, Alone, DaemonMesh, SentPayload, conformance, virtual_time

test_it_keeps_the_contract = conformance(FEATURE)


@virtual_time
async def test_votes_are_counted_alone(pimd_plugin: Callable[..., Alone]) -> None:
    async with pimd_plugin(FEATURE, settings=TallySettings(choices=["tea", "coffee"])) as tally:
        await tally.deliver("tally.vote", b"tea")
        await tally.deliver("tally.vote", b"beer")
        assert await tally.call("tally.count") == {"votes": {"tea": 1, "coffee": 0}}
        assert [event["choice"] for event in tally.published("tally.event")] == ["tea"]
        await tally.know(STRANGER)
        await tally.forget(STRANGER)
        assert await tally.call("tally.count") == {"votes": {"tea": 0, "coffee": 0}}
        await tally.call("tally.vote", {"node_id": str(STRANGER), "choice": "tea"})
        assert tally.sent == [SentPayload(STRANGER, "tally.vote", b"tea")]
        tally.outbox.answer = Sent.NO_ROUTE
        with pytest.raises(RpcError) as refused:
            await tally.call("tally.vote", {"node_id": str(STRANGER), "choice": "tea"})
        assert refused.value.code == PeerNotFound.code


@virtual_time
async def test_two_nodes_vote(pimd_mesh: Callable[..., DaemonMesh]) -> None:
    async with pimd_mesh([FEATURE], nodes=2) as mesh:
        one, other = mesh
        await one.call("tally.vote", {"node_id": str(other.id), "choice": "yes"})
        await mesh.settle()
        assert await other.call("tally.count") == {"votes": {"yes": 1, "no": 0}}
        mesh.cut(one, other)
        await mesh.sleep(5)
        with pytest.raises(RpcError):
            await one.call("tally.vote", {"node_id": str(other.id), "choice": "no"})
        mesh.heal()
        await mesh.converged(60)
        await one.call("tally.vote", {"node_id": str(other.id), "choice": "no"})
        await mesh.settle()
        assert await other.call("tally.count") == {"votes": {"yes": 0, "no": 1}}
