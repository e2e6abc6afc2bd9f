"""What the example is tested by: the contract, the plugin alone, and two nodes."""

from collections.abc import Callable

from pim_feature_echo import FEATURE, EchoSettings

from pimd.testing import STRANGER, Alone, DaemonMesh, SentPayload, conformance, virtual_time

test_conformance = conformance(FEATURE)


@virtual_time
async def test_it_answers_a_question(pimd_plugin: Callable[..., Alone]) -> None:
    """One plugin alone: what it sends is kept."""
    async with pimd_plugin(FEATURE, settings=EchoSettings(shout=True)) as echo:
        await echo.deliver("echo.ask", b"hello")
        assert echo.sent == [SentPayload(STRANGER, "echo.answer", b"HELLO")]


@virtual_time
async def test_a_question_is_answered_over_the_mesh(pimd_mesh: Callable[..., DaemonMesh]) -> None:
    """Two whole daemons, linked in memory."""
    async with pimd_mesh([FEATURE], nodes=2) as mesh:
        one, other = mesh
        await one.call("echo.ask", {"node_id": str(other.id), "text": "hello"})
        await mesh.settle()
        assert [event["text"] for event in one.published("echo.event")] == ["hello"]
