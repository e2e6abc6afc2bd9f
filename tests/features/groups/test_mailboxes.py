"""A group of people who are never there at the same time: invitations, records, keys and messages go through mailboxes."""

import pytest

from pimd.lab import Lab
from pimd.lab.daemon import LabDaemon
from tests.features.groups.mesh import messages, state, texts, write
from tests.features.mailbox.conftest import know, mailbox, only, person, play


@pytest.mark.slow
def test_a_group_is_made_and_talks_through_a_mailbox() -> None:
    async def main(lab: Lab) -> None:
        people = alice, bob, carol = (
            person(lab, "alice", "box"),
            person(lab, "bob", "box"),
            person(lab, "carol", "box"),
        )
        box = mailbox(lab, "box", "alice", "bob", "carol", people=people)
        await lab.start(box)

        async def here(one: LabDaemon) -> None:
            await only(lab, one, box, *(other for other in people if other is not one))
            await lab.sleep(90)

        for one in people:
            await here(one)
        await here(alice)
        group = (await alice.call("groups.create", {"name": "friends"}))["group_id"]
        for other in (bob, carol):
            await know(alice, other)
            await alice.call("groups.invite", {"group": group, "node_id": other.id})
        await lab.sleep(90)
        for other in (bob, carol):
            await here(other)
            assert await state(other, group) == "invited"
            await other.call("groups.join", {"group": group})
            await lab.sleep(90)
        await here(alice)
        await write(alice, group, "one")
        await lab.sleep(90)
        assert {one["status"] for one in (await messages(alice, group))[0]["deliveries"]} == {"kept"}
        for other, text in ((bob, "two"), (carol, "three")):
            await here(other)
            assert await state(other, group) == "joined"
            assert (await texts(other, group))[0] == "one"
            await write(other, group, text)
            await lab.sleep(90)
        for one in (alice, bob, carol, alice):
            await here(one)
            assert sorted(await texts(one, group)) == ["one", "three", "two"]
        (first, *_) = await messages(alice, group)
        assert {one["status"] for one in first["deliveries"]} == {"delivered"}

    play(main)
