"""Whole daemons whose wall clocks jump while they run, at restarts and at boots: nothing is lost, nothing changes places."""

import pytest

from pimd.lab import Lab
from pimd.lab.topology import line
from tests.lab.test_lab import play, read, write

DAY_MS = 24 * 3600 * 1000
TO_1970_MS = -1_800_000_000_000
TO_2046_MS = 20 * 365 * DAY_MS


@pytest.mark.slow
@pytest.mark.parametrize("error_ms", [TO_2046_MS, TO_1970_MS, -3_600_000])
def test_what_waits_outlives_jumps_kills_and_boots(error_ms: int) -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        await other.stop()
        said = [str(number) for number in range(5)]
        for body in said:
            await write(one, other, body)
        for boots in (0, 1, 0, 1):
            one.set_clock(error_ms)
            await lab.sleep(130)
            one.kill()
            one.boots += boots
            await one.start()
            await lab.sleep(130)
            one.set_clock(0)
        statuses = await one.call("messages.history", {"peer_node_id": str(other.id)})
        assert {message["status"] for message in statuses["messages"]} <= {"pending", "sent"}
        await other.start()
        await lab.converged(150)
        await lab.until(lambda: sum(e["params"]["kind"] == "message_received" for e in other.events) == 5, 60)
        assert list(reversed(await read(other, one))) == said

    play(main)


def test_a_question_and_its_answer_stand_in_order_whatever_the_clocks_do_meanwhile() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        said = []
        for number, error_ms in enumerate((0, TO_2046_MS, TO_1970_MS, 600_000, 0)):
            one.set_clock(error_ms)
            for source, target in ((one, other), (other, one)):
                said.append(f"{source.name} {number}")
                await write(source, target, said[-1])
                await lab.sleep(1)
        for source, target in ((one, other), (other, one)):
            assert list(reversed(await read(source, target))) == said

    play(main)


def test_a_message_expires_when_it_has_waited_for_its_time_and_not_before() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        await other.stop()
        began = lab.now
        params = {"peer_node_id": str(other.id), "body": "nobody comes", "expires_s": 7200}
        await one.call("messages.send", params)
        for waited_s, error_ms, status in ((7100, TO_2046_MS, "pending"), (7300, 0, "failed")):
            one.set_clock(error_ms)
            await lab.sleep(began + waited_s - lab.now)
            history = await one.call("messages.history", {"peer_node_id": str(other.id)})
            assert history["messages"][0]["status"] == status

    play(main)
