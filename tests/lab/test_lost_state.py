"""A daemon whose keystore is lost, with a clock that may be anywhere."""

import pytest

from pimd.lab import Lab
from pimd.lab.clock import EPOCH_MS
from pimd.lab.daemon import LabDaemon
from pimd.lab.topology import line
from tests.lab.test_lab import play, read, write
from tests.repeats import one_in

HOUR_MS = 3_600_000


def loses_its_keystore(daemon: LabDaemon, clock_error_ms: int) -> None:
    daemon.kill()
    daemon.machine.disk.lose("peers.db")
    daemon.clock_error_ms = clock_error_ms


@pytest.mark.parametrize("nodes", one_in(2, [3, 2]))
@pytest.mark.parametrize("clock_error_ms", one_in(4, [-EPOCH_MS, -HOUR_MS, -1, 0, HOUR_MS]))
def test_messages_go_both_ways_after_the_keystore_is_lost(nodes: int, clock_error_ms: int) -> None:
    async def main(lab: Lab) -> None:
        one, *_, far = lab.build(line(nodes, lab.random))
        await lab.start()
        await lab.converged(10)
        await write(one, far, "1")
        await write(far, one, "2")
        await lab.sleep(400)  # so that the newest card is not that of the start
        loses_its_keystore(far, clock_error_ms)
        await far.start()
        await lab.until(lambda: one.node.service.route(far.id) is not None, 90)
        await lab.until(lambda: far.node.service.route(one.id) is not None, 30)
        await write(one, far, "3")
        await lab.until(lambda: far.node.counts["payloads_delivered"] > 0, 30)
        await write(far, one, "4")
        await lab.sleep(20)
        assert sorted(await read(one, far)) == ["1", "2", "3", "4"]
        assert sorted(await read(far, one)) == ["1", "2", "3", "4"]
        counters = one.node.service.counters()
        assert counters.get("dropped_replayed", 0) <= 1  # what was sent before the higher card was met

    play(main)


def test_state_that_is_lost_costs_one_card_more() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        learned = one.node.counts["cards_learned"]
        loses_its_keystore(other, -EPOCH_MS)
        await other.start()
        await lab.until(lambda: other.node.is_linked(one.id), 90)
        await lab.sleep(60)
        assert one.node.counts["cards_learned"] - learned == 1

    play(main)
