"""Two machines with one key, in meshes where they have no neighbour in common."""

from dataclasses import replace
from typing import Any

import pytest

from pimd.contract import PluginPayload, Sent
from pimd.lab import Lab
from pimd.lab.daemon import LabDaemon
from pimd.mesh.first_look import ANSWER_S
from pimd.proto.same_key import QUESTION
from tests.lab.test_lab import play, read, write


def copy_of(lab: Lab, one: LabDaemon) -> LabDaemon:
    """A stopped daemon on a copy of another one's disk and key."""
    two = lab.add_daemon(f"{one.name}-copy")
    disk = one.machine.disk.copied(one.machine.data_dir, two.machine.data_dir)
    two.machine = replace(two.machine, identity=one.machine.identity, disk=disk)
    lab.by_id[one.id] = one
    return two


async def warnings(daemon: LabDaemon) -> list[str]:
    status: dict[str, Any] = await daemon.call("status")
    return [warning["kind"] for warning in status["warnings"]]


async def chain(lab: Lab, runs_s: float = 0) -> tuple[list[LabDaemon], LabDaemon]:
    """One - a - b, and a copy of `one` that dials b; `one` started again after the copy was made, or it ran on."""
    one, a, b = lab.add_daemons(3)
    lab.connect(one, a, 0.01)
    lab.connect(a, b, 0.01)
    await lab.start(one, a, b)
    await lab.converged(10)
    if runs_s:
        one.kill()
    two = copy_of(lab, one)
    if runs_s:
        await one.start()
        await lab.until(lambda: b.node.service.route(one.id) is not None, 90)
        await lab.sleep(runs_s)
    lab.connect(two, b, 0.01)
    return [one, a, b], two


@pytest.mark.parametrize("runs_s", [0, 60], ids=["copied while it ran", "started again since"])
def test_a_copy_elsewhere_in_the_mesh_waits_before_it_announces_itself(runs_s: float) -> None:
    """Both of them and the neighbours of both, who have no link in common, say where the two are."""

    async def main(lab: Lab) -> None:
        (one, a, b), two = await chain(lab, runs_s)
        card = b.node._keystore.learned_seq(one.id)
        await two.start()
        await lab.sleep(ANSWER_S)
        assert await warnings(two) == ["waits_for_person", "same_key"]
        for each in (one, two, a, b):
            text = (await each.call("status"))["warnings"][-1]["text"]
            assert all(daemon.endpoint.text in text for daemon in (one, two)), text
        assert not two.node.service.links()
        assert b.node._keystore.learned_seq(one.id) == card
        await write(b, one, "to the one that runs")
        await lab.sleep(10)
        assert await read(one, b) == ["to the one that runs"]

    play(main)


def test_a_question_of_an_earlier_start_is_not_taken_for_that_of_another_machine() -> None:
    async def main(lab: Lab) -> None:
        one, a, b = lab.add_daemons(3)
        lab.connect(one, a, 0.01)
        lab.connect(a, b, 0.01)
        await lab.start()
        await lab.converged(10)
        kept = [one.node.key_use.questions._own]
        for _ in range(2):
            one.kill()
            await one.start()
            await lab.until(lambda: b.node.service.route(one.id) is not None and one.node.key_use.look.is_over, 90)
            kept.append(one.node.key_use.questions._own)
        for question in kept:
            assert b.node.send_routed(one.id, PluginPayload(QUESTION, question.encode())) is Sent.SENT
        await lab.sleep(5)
        assert await warnings(one) == []

    play(main)


def test_a_restart_whose_old_way_is_still_known_does_not_wait() -> None:
    async def main(lab: Lab) -> None:
        one, a, b = lab.add_daemons(3)
        for x, y in ((one, a), (a, b), (one, b)):
            lab.connect(x, y, 0.01)
        await lab.start()
        await lab.converged(10)
        one.kill()
        started = lab.now
        await one.start()
        await lab.until(lambda: one.node.key_use.look.is_over and bool(one.node.service.links()), 90)
        assert lab.now - started < ANSWER_S
        await lab.converged(90)

    play(main)


def test_two_that_run_already_never_yield_and_say_so_and_issue_a_card_a_minute() -> None:
    async def main(lab: Lab) -> None:
        (one, a, b), two = await chain(lab)
        lab.partition([two])
        await two.start()
        two.node.key_use.look.end()  # as after a first link with somebody who knows of nobody
        lab.heal()
        await lab.sleep(60)  # each answers its first one at once: that may be of lost state
        cards: set[int] = set()
        minutes = 10
        for _ in range(60 * minutes):
            await lab.sleep(1)
            cards.add(b.node._keystore.learned_seq(one.id))
        assert minutes - 1 <= len(cards) <= minutes + 1
        assert [await warnings(each) for each in (one, two, a, b)] == [["same_key"]] * 4
        assert one.node.service.links()
        assert two.node.service.links()

    play(main)
