"""A judge that is shown what must not be finds it."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pimd.ids import NodeId
from pimd.lab import Lab, run
from pimd.lab.daemon import LabDaemon
from pimd.lab.graph import Convergence, by_cables, by_links, wrong_ways
from pimd.lab.judge import AGAIN_S, Judge
from pimd.lab.node import LabNode
from pimd.lab.topology import line, ring
from pimd.mesh.peer_link import PeerLink
from pimd.proto.cards import issue, parse
from pimd.proto.identity import Identity


class Misled(LabNode):
    """A node whose frames can be sent astray."""

    astray: NodeId | None = None

    def link_towards(self, destination: NodeId) -> PeerLink | None:
        return self._links.best(self.astray) if self.astray is not None else super().link_towards(destination)


def play(main: Callable[[Lab, Judge, Sequence[LabDaemon]], Coroutine[Any, Any, Any]], count: int = 3) -> Any:
    async def with_lab() -> Any:
        async with Lab(1) as lab:
            judge = Judge(lab)
            daemons = lab.build(line(count, lab.random), make_node=Misled)
            await lab.start()
            await lab.converged(10)
            assert not judge.faults
            return await main(lab, judge, daemons)

    return run(with_lab, seed=1)


def misled(daemon: LabDaemon) -> Misled:
    assert isinstance(daemon.node, Misled)
    return daemon.node


def test_a_loop_is_found_at_the_moment_that_a_route_changes() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        one, two, three = daemons
        misled(two).astray = one.id
        judge.routes_changed(misled(one), [three.id])
        assert len(judge.faults) == 1
        assert judge.faults[0].endswith("loop towards n3: n1 -> n2 -> n1")

    play(main)


def test_next_hops_are_not_followed_over_a_link_that_only_one_end_has() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        one, two, three = daemons
        misled(two).astray = one.id
        lab.cut(one, two, (0.0, None))
        await lab.sleep(1)
        judge.routes_changed(misled(two), [three.id])
        assert not judge.faults

    play(main)


def test_the_way_of_a_frame_ends_at_a_liar() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        one, two, three = daemons
        misled(two).astray = one.id
        lying = Judge(lab, [two])
        lying.routes_changed(misled(one), [three.id])
        assert not lying.faults
        judge.routes_changed(misled(one), [three.id])
        assert judge.faults

    play(main)


def test_pairs_that_stay_apart_are_found_after_three_seconds_and_not_before() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        misled(daemons[1]).astray = daemons[0].id
        judge.links_changed(misled(daemons[1]), misled(daemons[1])._links.carrying()[0], up=True)
        judge.faults.clear()
        await lab.sleep(AGAIN_S - 0.1)
        assert not judge.faults
        await lab.sleep(0.2)
        assert "3 s after the last notice 2 pairs are apart" in judge.faults[-1]
        assert "n2 to n3: None of 1 hops" in judge.faults[-1]

    play(main)


def test_how_long_pairs_were_apart_is_measured() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        misled(daemons[1]).astray = daemons[0].id
        judge.links_changed(misled(daemons[1]), misled(daemons[1])._links.carrying()[0], up=True)
        judge.again_s.clear()
        await lab.sleep(1.05)
        misled(daemons[1]).astray = None
        await lab.sleep(1)
        assert judge.again_s == [pytest.approx(1.1)]

    play(main)


def test_a_substituted_key_an_unissued_number_and_an_unsigned_card_are_found() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        keystore = daemons[0].running_daemon.core.keystore
        known = keystore.get(daemons[2].id)
        assert known is not None
        assert known.card is not None
        assert judge.forgeries() == []
        for wrong, words in (
            (replace(known, x25519_pub=bytes(32)), "holds another key for n3 than its own"),
            (replace(known, seq=known.seq + 1), "of n3, which issued only"),
            (replace(known, card=known.card[:-1] + bytes([known.card[-1] ^ 1])), "that n3 did not sign"),
        ):
            keystore._identities.put(wrong)
            assert len(judge.forgeries()) == 1
            assert words in judge.forgeries()[0]

    play(main)


def test_a_card_of_nobody_is_found_where_nobody_lies() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        nobody = parse(issue(Identity.from_seed(bytes(32)), 1, 0, "nobody").raw)
        daemons[0].running_daemon.core.keystore.learn(nobody, direct=False)
        assert ["which is no node of this lab" in forgery for forgery in judge.forgeries()] == [True]
        assert Judge(lab, [daemons[2]]).forgeries() == []

    play(main)


def test_a_probe_that_nobody_sent_and_one_that_comes_twice_are_found() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        one, two, three = daemons
        judge.probe_sent(one, two, "true")
        judge.probed(two, one.id, b"true")
        assert judge.arrived(two, "true")
        assert not judge.faults
        judge.probed(two, one.id, b"true")
        assert "handed the probe b'true' 2 times" in judge.faults.pop()
        for at, source, body in ((two, three.id, b"true"), (three, one.id, b"true"), (two, one.id, b"made up")):
            judge.probed(at, source, body)
            assert any("forged probe" in fault for fault in judge.faults)
            judge.faults.clear()

    play(main)


def test_a_relay_that_reads_what_it_carries_is_found() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        judge.probe_sent(daemons[0], daemons[2], "a secret")
        judge.overheard(misled(daemons[1]), b"sealed well")
        assert not judge.faults
        judge.overheard(misled(daemons[1]), b"not sealed: a secret")
        assert judge.faults[0].endswith("n2 can read what it carries")

    play(main)


def test_a_link_between_the_honest_that_ends_while_all_is_calm_is_found() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        judge = Judge(lab, [daemons[2]])
        judge.is_calm = True
        lab.cut(daemons[1], daemons[2])
        await lab.sleep(1)
        assert not judge.faults
        lab.cut(daemons[0], daemons[1])
        await lab.sleep(1)
        assert all("ended for no honest reason" in fault for fault in judge.faults)
        assert len(judge.faults) == 2

    play(main)


def test_routes_that_are_no_shortest_ones_are_found() -> None:
    async def main(lab: Lab, judge: Judge, daemons: Sequence[LabDaemon]) -> None:
        lab.connect(daemons[0], daemons[4])
        assert not Convergence(lab)()
        assert "n1 to n5: 4 of 1 hops" in wrong_ways(lab, by_cables(lab), shortest=True)
        assert not list(wrong_ways(lab, by_links(lab), shortest=True))
        await lab.converged(10)
        assert len(list(by_links(lab).around[daemons[0].id])) == 2

    play(main, count=5)


def test_a_daemon_that_crashes_is_noted() -> None:
    async def with_lab() -> None:
        async with Lab(1) as lab:
            daemons = lab.build(ring(3, lab.random))
            await lab.start()

            async def fail() -> None:
                raise ValueError("a bug")

            daemons[0].running_daemon.group.create_task(fail())
            await lab.sleep(1)
            assert not daemons[0].is_up
            assert ["n1: ValueError('a bug')" in crash for crash in lab.crashes] == [True]
            assert daemons[1].is_up

    run(with_lab, seed=1)
