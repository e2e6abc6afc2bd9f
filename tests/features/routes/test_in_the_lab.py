"""Traces between whole daemons under virtual time, with hops that are silent or lie."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from pimd.contract import DaemonPlugin, Feature, PluginContext, PluginPayload
from pimd.ids import NodeId
from pimd.lab import Lab, run
from pimd.lab.daemon import LabDaemon
from pimd_features.routes.wire import ANSWER_KIND, ASK_KIND, Answer, Ask

WITHOUT = {"features": {"disabled": ["routes"]}}


class LiarPlugin(DaemonPlugin):
    """Answers each question with the same lie."""

    name: ClassVar[str] = "liar"
    payload_kinds: ClassVar[tuple[str, ...]] = (ASK_KIND,)
    next_hop: ClassVar[NodeId]
    daemon: ClassVar[LabDaemon]
    """Its own, since the contract lets no plugin send a kind that it did not claim."""

    async def start(self, ctx: PluginContext) -> None:
        """It needs nothing of what the contract offers."""

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        answer = Answer(Ask.decode(body).id, self.next_hop, "honest")
        frame = PluginPayload(ANSWER_KIND, answer.encode())
        self.daemon.node.send_routed(src, frame)


LIAR = Feature(name="liar", summary="Lies.", plugin=LiarPlugin, default_enabled=False)
LYING = {"features": {"enabled": ["peers", "lab", "liar"]}}


async def line(lab: Lab, count: int, special: Mapping[int, Any] | None = None) -> list[LabDaemon]:
    """Daemons n1, n2 and so on in a row, `special` ones with settings of their own; all have routes to all."""
    made = [lab.add_daemon(settings=(special or {}).get(number)) for number in range(1, count + 1)]
    for one, other in itertools.pairwise(made):
        lab.connect(one, other)
    await lab.start()
    await lab.until(lambda: all(len(one.node.service.routes()) == count - 1 for one in made), 30)
    return made


def names(hops: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, str]]:
    return [(hop["hop"], hop["name"], hop["state"]) for hop in hops]


def test_a_trace_over_nine_hops_names_them_all() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            first, *others = await line(lab, 10)
            found = await first.call("route.trace", {"node_id": str(others[-1].id)})
        assert names(found["hops"]) == [(number, f"n{number + 1}", "answered") for number in range(1, 10)]
        assert [hop["next_hop"] for hop in found["hops"]] == [str(one.id) for one in (*others[1:], others[-1])]
        assert found["reached"]
        assert found["note"] == ""
        times = [hop["time_ms"] for hop in found["hops"]]
        assert 0 < times[0] <= max(times)
        assert times == [round(time, 1) for time in times]
        times = [hop["time_ms"] for hop in found["hops"]]
        assert times == sorted(times)
        assert times[0] < times[-1]

    run(main, seed=1)


def test_a_relay_without_the_feature_is_silent_after_two_seconds() -> None:
    async def main() -> None:
        async with Lab(2) as lab:
            first, *_, last = await line(lab, 5, {3: WITHOUT})
            began = lab.now
            found = await first.call("route.trace", {"node_id": str(last.id)})
            assert 2.0 <= lab.now - began < 3.0
        assert names(found["hops"]) == [(1, "n2", "answered"), (2, "n3", "silent"), (4, "n5", "answered")]
        assert found["reached"]

    run(main, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["back", "oneself", "nobody", "far"])
def test_a_hop_that_lies_about_its_next_hop_ends_or_bends_the_trace_and_hurts_nobody(whom: str) -> None:
    async def main() -> None:
        async with Lab(3, features=[LIAR]) as lab:
            first, second, liar, _, last = await line(lab, 5, {3: LYING})
            claims = {"back": second.id, "oneself": liar.id, "nobody": NodeId(bytes([7]) * 16), "far": last.id}
            LiarPlugin.daemon, LiarPlugin.next_hop = liar, claims[whom]
            found = await first.call("route.trace", {"node_id": str(last.id)})
            assert await first.call("lab.probe", {"node_id": str(last.id), "body": "still reached"}) == {"sent": True}
            assert not lab.crashes
        assert names(found["hops"][:2]) == [(1, "n2", "answered"), (2, "honest", "answered")]
        if whom in ("back", "oneself"):
            assert len(found["hops"]) == 2
            assert not found["reached"]
            assert f"{liar.id} passes on to {claims[whom]}, which was passed already" in found["note"]
        else:
            assert found["hops"][-1]["node_id"] == str(last.id)
            assert found["reached"]
            assert [hop["state"] for hop in found["hops"][2:-1]] == ["silent"] * (whom == "nobody")

    run(main, seed=3)
