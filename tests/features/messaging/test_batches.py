"""What arrives while a batch is dealt with is the next batch, and no more than so much waits."""

import asyncio

import pytest

from pimd.contract import Bites
from pimd.ids import MessageId
from pimd_features.messaging import acknowledged, receiving
from pimd_features.messaging.batches import Batches
from pimd_features.messaging.sessions.message import MSG_KIND
from pimd_features.messaging.wire import ACKS_KIND, AckKind, Acks
from tests.features.messaging.conftest import MakeParty, settle
from tests.features.messaging.test_exchange import pair
from tests.limits import Lower

LIMIT = receiving.STORING


class Slow:
    """Deals with a batch when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Semaphore(0)

    async def __call__(self, batch: list[int]) -> None:
        self.batches.append(batch)
        await self.go.acquire()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_came_meanwhile_is_one_batch_in_order_of_arrival() -> None:
    slow = Slow()
    batches = Batches(LIMIT, Bites(), slow)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(batches.run())
        await batches.drained()  # nothing was put
        await batches.put(0)
        await turns()
        for number in range(1, 6):
            await batches.put(number)
        drained = tasks.create_task(batches.drained())
        slow.go.release()
        await turns()
        assert slow.batches == [[0], [1, 2, 3, 4, 5]]
        assert not drained.done()
        slow.go.release()
        await drained
        running.cancel()


async def test_whoever_puts_into_a_full_queue_waits_until_a_batch_was_taken(lower: Lower) -> None:
    lower(LIMIT, 3)
    slow, bites = Slow(), Bites()
    batches = Batches(LIMIT, bites, slow)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(batches.run())
        await batches.put(0)
        await turns()
        for number in (1, 2, 3):
            await batches.put(number)
        waiting = [tasks.create_task(batches.put(number)) for number in (4, 5)]
        await turns()
        assert not any(task.done() for task in waiting)
        slow.go.release()
        await turns()
        assert all(task.done() for task in waiting)
        slow.go.release()
        await turns()
        assert slow.batches == [[0], [1, 2, 3], [4, 5]]
        running.cancel()
    assert bites[LIMIT] == 2


async def test_one_that_is_cancelled_drops_what_is_queued_and_nobody_waits_for_it() -> None:
    slow = Slow()
    batches = Batches(LIMIT, Bites(), slow)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(batches.run())
        await batches.put(0)
        await turns()
        await batches.put(1)
        drained = tasks.create_task(batches.drained())
        running.cancel()
        await drained
    assert slow.batches == [[0]]


@pytest.mark.limit("messages that wait to be stored", "payloads of acknowledgements that wait to be stored")
async def test_so_many_payloads_wait_for_the_disk_and_none_is_lost(party: MakeParty, lower: Lower) -> None:
    lower(receiving.STORING, 2)
    lower(acknowledged.NOTING, 2)
    alice, bob = await party("alice"), await party("bob")
    ids = [MessageId(bytes([number]) * 16) for number in range(10)]
    sealed = [await alice.sealed(bob, id_, 1, b"x") for id_ in ids]
    async with asyncio.TaskGroup() as tasks:
        for body in sealed:
            tasks.create_task(bob.running.handle_payload(alice.id, MSG_KIND, body))
    await settle(bob.air)
    assert [message.id for message in reversed(await bob.messages(alice))] == ids
    sent = [(await alice.say(bob, str(number))).id for number in range(10)]
    async with asyncio.TaskGroup() as tasks:
        for id_ in sent:
            ack = Acks(AckKind.DELIVERED, (id_,)).encode()
            tasks.create_task(alice.running.handle_payload(bob.id, ACKS_KIND, ack))
    await settle(alice.air)
    assert {message.status for message in await alice.messages(bob)} == {"delivered"}


async def test_one_message_that_cannot_be_stored_holds_back_no_other(party: MakeParty) -> None:
    alice, bob = await pair(party)
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.body = 'bad' BEGIN SELECT RAISE(FAIL, 'no'); END"
    await bob.running._database.write("refuse", lambda connection: connection.execute(refuse))  # type: ignore[union-attr]
    bodies = [
        await alice.sealed(bob, MessageId(bytes([number]) * 16), 1, text)
        for number, text in enumerate((b"one", b"bad", b"two"))
    ]
    for body in bodies:
        await bob.running.handle_payload(alice.id, MSG_KIND, body)
    await bob.take(alice.id, MSG_KIND, bodies[2])
    assert [message.body for message in reversed(await bob.messages(alice))] == ["one", "two"]
    acks = [Acks.decode(payload.body) for _, _, payload in bob.air.waiting if payload.kind == ACKS_KIND]
    acked = [id_[0] for one in acks for id_ in one.message_ids]
    assert sorted(acked) == [0, 2, 2]
