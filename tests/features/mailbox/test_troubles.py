"""Daemons that are killed, lose their files or go back to a backup, while mailboxes carry what they say."""

import random
from collections import Counter
from typing import Any

import pytest

from pimd.lab import Lab
from pimd.lab.daemon import LabDaemon
from pimd_features.mailbox.plugin import MailboxPlugin
from pimd_features.messaging.posting import Posting
from pimd_features.messaging.receiving import Receiver
from tests.features.mailbox.conftest import (
    DAY_S,
    days_pass,
    mailbox,
    meet,
    only,
    person,
    play,
    received,
    states,
    write,
)


async def talked(lab: Lab) -> tuple[LabDaemon, LabDaemon, LabDaemon]:
    """Two who talked both ways, and their mailbox, all running."""
    alice, bob = person(lab, "alice", "box"), person(lab, "bob", "box")
    box = mailbox(lab, "box", "alice", "bob", people=(alice, bob))
    await lab.start()
    await lab.until(lambda: alice.node.service.route(bob.id) is not None, 90)
    await write(alice, bob, "a")
    await write(bob, alice, "b")
    await lab.sleep(30)
    assert await states(alice, bob) == await states(bob, alice) == ["delivered"]
    return alice, bob, box


class Assassin:
    """Kills a daemon right before its first call of a method goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, method: str) -> None:
        self.victim: LabDaemon | None = None
        self.killed = 0
        true = getattr(owner, method)

        async def call(plugin: Any, *args: Any, **more: Any) -> Any:
            victim = self.victim
            if victim is not None and plugin._ctx.identity.node_id == victim.id:
                self.victim = None
                self.killed += 1
                victim.kill()
            return await true(plugin, *args, **more)

        monkeypatch.setattr(owner, method, call)


def test_a_mailbox_that_is_killed_between_keeping_and_answering_keeps_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assassin = Assassin(monkeypatch, MailboxPlugin, "_say")

    async def main(lab: Lab) -> None:
        alice, bob, box = await talked(lab)
        await bob.stop()
        assassin.victim = box
        await write(alice, bob, "kept?")
        await lab.until(lambda: assassin.killed == 1, 60)
        assert box.machine.disk.rows("mailbox.db", "SELECT count(*) FROM kept")[0][0] == 1
        assert await states(alice, bob) == ["delivered", "pending"]
        await box.start()
        await meet(lab, alice, box)
        await lab.sleep(120)
        assert await states(alice, bob) == ["delivered", "kept"]
        assert box.machine.disk.rows("mailbox.db", "SELECT count(*) FROM kept")[0][0] == 1
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        assert received(bob) == ["a", "kept?"]

    play(main)


@pytest.mark.parametrize(
    ("owner", "method", "victim"),
    [
        (Receiver, "answer", "bob"),
        (Posting, "_leave_owed", "bob"),
        (Posting, "_put", "alice"),
        (Posting, "_put", "bob"),
    ],
)
def test_a_kill_on_the_way_loses_nothing_and_doubles_nothing(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str, victim: str
) -> None:
    assassin = Assassin(monkeypatch, owner, method)

    async def main(lab: Lab) -> None:
        alice, bob, box = await talked(lab)
        await bob.stop()
        if victim == "alice":
            assassin.victim = alice
        await write(alice, bob, "c")
        await lab.sleep(60)
        if not alice.is_up:
            await only(lab, alice, box)
            await lab.sleep(60)
        assert await states(alice, bob) == ["delivered", "kept"]
        await alice.stop()
        if victim == "bob":
            assassin.victim = bob
        await bob.start()
        await lab.sleep(120)
        if not bob.is_up:
            await only(lab, bob, box)
            await lab.sleep(120)
        assert received(bob) == ["a", "c"]
        await only(lab, alice, box, bob)
        await lab.sleep(60)
        assert await states(alice, bob) == ["delivered", "delivered"]
        assert assassin.killed == 1

    play(main)


def test_a_recipient_that_dies_while_mail_comes_gets_it_at_once_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assassin = Assassin(monkeypatch, Receiver, "take_letter")

    async def main(lab: Lab) -> None:
        alice, bob, box = await talked(lab)
        await bob.stop()
        await write(alice, bob, "c")
        await lab.sleep(30)
        assert await states(alice, bob) == ["delivered", "kept"]
        await alice.stop()
        assassin.victim = bob
        await bob.start()
        await lab.until(lambda: not bob.is_up, 60)
        await only(lab, bob, box)
        await lab.until(lambda: received(bob) == ["a", "c"], 5)

    play(main)


def test_who_went_back_to_a_backup_says_so_by_the_mailboxes_of_the_sender() -> None:
    """A reset is signed, so a mailbox may carry it."""

    async def main(lab: Lab) -> None:
        alice, bob, box = await talked(lab)
        await bob.stop()
        await write(alice, bob, "c")
        await lab.sleep(60)
        for table in ("sessions_in", "skipped_keys", "own_bundles"):
            bob.machine.disk.rows("messages.db", f"DELETE FROM {table}")  # noqa: S608
        await only(lab, bob, box, alice)
        await lab.sleep(120)
        assert received(bob) == ["a"]
        await only(lab, alice, box, bob)
        await lab.sleep(120)
        assert (await alice.call("messages.session", {"peer_node_id": str(bob.id)}))["resets"] == 1
        assert await states(alice, bob) == ["delivered", "kept"]
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        assert received(bob) == ["a", "c"]

    play(main)


def test_who_lost_all_messages_gets_what_was_left_a_day_later() -> None:
    """The mailbox gives out the bundle of the new account; nothing could be said to the sender, who never was there."""

    async def main(lab: Lab) -> None:
        alice, bob, box = await talked(lab)
        await bob.stop()
        await write(alice, bob, "c")
        await lab.sleep(60)
        bob.machine.disk.lose("messages.db")
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        await bob.stop()
        await days_pass(lab, 1.1, box)
        await only(lab, alice, box)
        await lab.sleep(200)
        assert [
            event["params"]["reason"] for event in alice.events if event["params"].get("kind") == "session_restarted"
        ]
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        assert received(bob) == ["a", "c"]

    play(main)


def test_a_new_lasting_bundle_goes_to_idle_contacts_that_are_here_or_have_mailboxes() -> None:
    async def main(lab: Lab) -> None:
        alice, bob, box = await talked(lab)
        given = "SELECT given_bundle FROM correspondents"
        held = "SELECT created_ms FROM peer_bundles WHERE one_time = 0"
        before = (alice.machine.disk.rows("messages.db", given), bob.machine.disk.rows("messages.db", held))
        await days_pass(lab, 7.1, alice, bob, box)
        await lab.sleep(120)
        assert alice.machine.disk.rows("messages.db", given) != before[0]
        assert bob.machine.disk.rows("messages.db", held) != before[1]
        before = (alice.machine.disk.rows("messages.db", given), bob.machine.disk.rows("messages.db", held))
        await bob.stop()
        await days_pass(lab, 7.1, alice, box)
        await lab.sleep(120)
        assert alice.machine.disk.rows("messages.db", given) != before[0]
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        assert bob.machine.disk.rows("messages.db", held) != before[1]

    play(main)


def seeds(few: range, many: range) -> list[Any]:
    return [seed if seed in few else pytest.param(seed, marks=pytest.mark.slow) for seed in many]


@pytest.mark.parametrize("seed", seeds(range(3), range(40)))
def test_whoever_comes_goes_and_is_killed_all_is_shown_once_and_known_as_delivered(seed: int) -> None:
    async def main(lab: Lab) -> None:
        rng = random.Random(f"mailbox {seed}")
        alice, bob, box = await talked(lab)
        people, written = (alice, bob), Counter[tuple[str, str]]()
        for number in range(30):
            one = rng.choice((*people, *people, box))
            if one.is_up and rng.random() < 0.4:
                one.kill()
            elif one.is_up:
                await one.stop()
            else:
                await one.start()
            for writer, reader in ((alice, bob), (bob, alice)):
                if writer.is_up and rng.random() < 0.7:
                    await write(writer, reader, f"{writer.name} {number}")
                    written[reader.name, f"{writer.name} {number}"] += 1
            await lab.sleep(rng.choice((0.05, 1, 8, 25, 90)))
        for one in (alice, bob, box):
            if not one.is_up:
                await one.start()
        for one in (alice, bob):
            await meet(lab, one, box)
        await lab.sleep(900)
        shown = Counter((one.name, text) for one in people for text in received(one) if " " in text)
        assert shown == written
        assert set(await states(alice, bob)) == set(await states(bob, alice)) == {"delivered"}

    play(main)


@pytest.mark.slow
def test_what_is_not_fetched_for_28_days_is_deleted() -> None:
    async def main(lab: Lab) -> None:
        alice, bob, box = await talked(lab)
        await bob.stop()
        await write(alice, bob, "c")
        await lab.sleep(60)
        await alice.stop()
        await days_pass(lab, 27.9, box)
        assert (await box.call("mailbox.status"))["messages"] == 1
        await lab.sleep(0.2 * DAY_S)
        assert (await box.call("mailbox.status"))["messages"] == 0

    play(main)
