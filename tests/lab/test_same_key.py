"""Two machines with one key, in meshes where they have no neighbour in common."""

from dataclasses import replace
from typing import Any

from pimd.lab import Lab
from pimd.lab.daemon import LabDaemon
from pimd.mesh.first_look import STALE_S, TABLE_S
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


async def chain(lab: Lab, copied_after_s: float = 60) -> tuple[list[LabDaemon], LabDaemon]:
    """One - a - b, and a copy of `one`, made a while ago, that dials b."""
    one, a, b = lab.add_daemons(3)
    lab.connect(one, a, 0.01)
    lab.connect(a, b, 0.01)
    await lab.start(one, a, b)
    await lab.converged(10)
    one.kill()
    two = copy_of(lab, one)
    await one.start()
    await lab.until(lambda: b.node.service.route(one.id) is not None, 90)
    await lab.sleep(copied_after_s)
    lab.connect(two, b, 0.01)
    return [one, a, b], two


def test_a_copy_elsewhere_in_the_mesh_waits_before_it_announces_itself() -> None:
    async def main(lab: Lab) -> None:
        (one, _, b), two = await chain(lab)
        card = b.node._keystore.learned_seq(one.id)
        await two.start()
        await lab.sleep(STALE_S + 5)
        assert await warnings(two) == ["waits_for_person", "same_key"]
        assert not two.node.service.links()
        assert b.node._keystore.learned_seq(one.id) <= card + 300_000
        await write(b, one, "to the one that runs")
        await lab.sleep(10)
        assert await read(one, b) == ["to the one that runs"]
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
        assert lab.now - started < TABLE_S
        await lab.converged(90)

    play(main)


def test_two_that_run_already_never_yield_and_say_so_and_issue_a_card_a_minute() -> None:
    async def main(lab: Lab) -> None:
        (one, _, b), two = await chain(lab)
        lab.partition([two])
        await two.start()
        two.node.key_use.look.end()  # as after a first link with somebody who knows of nobody
        lab.heal()
        learned = b.node.counts["cards_learned"]
        minutes = 5
        await lab.sleep(60 * minutes)
        assert b.node.counts["cards_learned"] - learned <= 2 * (minutes + 3)
        assert (await warnings(one), await warnings(two)) == (["same_key"], ["same_key"])
        assert one.node.service.links()
        assert two.node.service.links()

    play(main)
