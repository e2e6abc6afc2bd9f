"""Signed receipts between two who are never there at the same time: they go as acknowledgements do, through mailboxes."""

from pimd.cli.receipt import verify
from pimd.lab import Lab
from pimd.lab.daemon import LabDaemon
from tests.features.mailbox.conftest import history, know, mailbox, only, person, play, states, write


def owed(daemon: LabDaemon) -> list[tuple[object, ...]]:
    return daemon.machine.disk.rows("messages.db", "SELECT id, letter, kept_lived_ms FROM receipts_owed")


async def receipts(daemon: LabDaemon, other: LabDaemon) -> list[str | None]:
    return [one["receipt"] for one in await history(daemon, other) if one["direction"] == "sent"]


def test_two_who_are_never_there_together_get_their_proof() -> None:
    async def main(lab: Lab) -> None:
        alice, bob = person(lab, "alice", "box"), person(lab, "bob", "box", receipts=True)
        box = mailbox(lab, "box", "alice", "bob", people=(alice, bob))
        await lab.start(box)
        await only(lab, bob, box)
        await lab.sleep(5)
        await only(lab, alice, box, bob)
        await know(alice, bob)
        sent = await write(alice, bob, "höre", receipt=True)
        await lab.sleep(60)
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        ((id_, letter, kept_ms),) = owed(bob)
        assert (id_, letter is not None, kept_ms is not None) == (bytes.fromhex(sent["id"]), True, True)
        await only(lab, alice, box, bob)
        await lab.sleep(60)
        assert (await states(alice, bob), await receipts(alice, bob)) == (["delivered"], ["had"])
        found = verify((await alice.call("messages.proof", {"message_id": sent["id"]}))["file"].encode())
        assert (found["body"], found["recipient"]) == ("höre", str(bob.id))
        await only(lab, bob, box, alice)
        await lab.sleep(60)
        assert owed(bob) == []  # her acknowledgement of the letter
        assert (await box.call("mailbox.status"))["messages"] == 0

    play(main)
