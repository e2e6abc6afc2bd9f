"""Mailboxes that lie: what they say is believed for nothing but the state `kept`."""

import secrets
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from pimd.contract import DaemonPlugin, Feature, PluginContext, PluginPayload
from pimd.ids import MessageId, NodeId
from pimd.lab import Lab
from pimd.lab.daemon import LabDaemon
from pimd_features.mailbox import wire
from pimd_features.mailbox.wire import Answer, Put
from pimd_features.messaging.sessions.message import Msg2
from tests.features.mailbox.conftest import (
    FEATURES,
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


class LiarPlugin(DaemonPlugin):
    """Says that it keeps everything, and remembers it for the test, which decides what is handed to whom."""

    name: ClassVar[str] = "liar"
    payload_kinds: ClassVar[tuple[str, ...]] = (wire.PUT_KIND, wire.TAKEN_KIND, wire.BUNDLE_KIND)
    daemon: ClassVar[LabDaemon]
    puts: ClassVar[list[tuple[NodeId, Put]]]
    bundles: ClassVar[dict[NodeId, list[bytes]]]

    async def start(self, ctx: PluginContext) -> None:
        """It needs nothing of what the contract offers."""

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        if kind == wire.PUT_KIND:
            put = Put.decode(body)
            self.puts.append((src, put))
            say(src, wire.KEPT_KIND, wire.answer(Answer.KEPT, put.recipient, [put.id]))
        elif kind == wire.BUNDLE_KIND and len(body) > NodeId.SIZE:
            self.bundles.setdefault(src, []).append(body)
            say(src, wire.KEPT_KIND, wire.answer(Answer.KEPT, src))
        elif kind == wire.BUNDLE_KIND and (bundles := self.bundles.get(NodeId(body))):
            say(src, wire.GIVEN_BUNDLE_KIND, bundles[-1])


LIAR = Feature(name="liar", summary="Lies.", plugin=LiarPlugin, default_enabled=False)


def say(dst: NodeId, kind: str, body: bytes) -> None:
    LiarPlugin.daemon.node.send_routed(dst, PluginPayload(kind, body))


def hand(dst: LabDaemon, source: NodeId, put: Put, body: bytes | None = None, id_: MessageId | None = None) -> None:
    say(dst.id, wire.MAIL_KIND, wire.mail(put.sort, source, id_ or put.id, put.body if body is None else body))


def liar(lab: Lab, name: str, people: tuple[LabDaemon, ...]) -> LabDaemon:
    enabled = [*FEATURES[:2], *FEATURES[3:], "liar"]
    LiarPlugin.daemon = lab.add_daemon(name, settings={"features": {"enabled": enabled}})
    LiarPlugin.puts, LiarPlugin.bundles = [], {}
    for one in people:
        lab.connect(one, LiarPlugin.daemon)
    return LiarPlugin.daemon


async def left(lab: Lab, *more: str) -> tuple[LabDaemon, LabDaemon, LabDaemon, NodeId, Put]:
    """Two who talked before, and a message that the liar has of one while the other is away; `more` are texts after it."""
    alice, bob, carol = (person(lab, name, "box") for name in ("alice", "bob", "carol"))
    box = liar(lab, "box", (alice, bob, carol))
    await lab.start()
    for one in (alice, bob, carol):
        await meet(lab, one, box)
    await lab.until(lambda: alice.node.service.route(bob.id) is not None, 90)
    await write(alice, bob, "before")
    await lab.sleep(30)
    await bob.stop()
    for text in ("secret", *more):
        await write(alice, bob, text)
    await lab.sleep(60)
    assert (await states(alice, bob))[-1] == "kept"
    source, put = next((src, put) for src, put in LiarPlugin.puts if put.recipient == bob.id)
    return alice, bob, carol, source, put


def test_forged_acknowledgements_and_resets_change_nothing() -> None:
    async def main(lab: Lab) -> None:
        alice, bob, _, _, put = await left(lab)
        before = list(alice.events)
        msg = Msg2.decode(put.body)
        for kind in (1, 2):
            say(alice.id, "messaging.acks", bytes((kind,)) + put.id)
        reset = msg.session_id + bytes(8) + secrets.token_bytes(64)
        say(alice.id, "messaging.reset", reset)
        hand(alice, bob.id, Put(1, alice.id, MessageId(msg.session_id), reset))
        for flags in (0, 1):
            forged = bytes((1, flags)) + secrets.token_bytes(16) + msg.session_id + bytes(4)
            forged += (msg.header or secrets.token_bytes(1328)) * flags + secrets.token_bytes(12 + 64 + 16)
            hand(alice, bob.id, Put(0, alice.id, MessageId(forged[2:18]), forged))
        say(alice.id, wire.KEPT_KIND, wire.answer(Answer.KEPT, bob.id, [MessageId(bytes(16))]))
        await lab.sleep(30)
        assert await states(alice, bob) == ["delivered", "kept"]
        assert list(alice.events) == before
        assert (await alice.call("messages.session", {"peer_node_id": str(bob.id)}))["resets"] == 0

    play(main, features=[LIAR])


def changed_bytes(put: Put) -> list[bytes]:
    step = max(1, len(put.body) // 60)
    return [put.body[:at] + bytes((put.body[at] ^ 1,)) + put.body[at + 1 :] for at in range(0, len(put.body), step)]


def test_changed_renamed_and_foreign_letters_are_not_shown() -> None:
    async def main(lab: Lab) -> None:
        alice, bob, carol, source, put = await left(lab)
        await bob.start()
        await lab.until(lambda: bob.node.service.route(LiarPlugin.daemon.id) is not None, 90)
        lab.partition([alice])  # what she says herself would be shown
        await lab.sleep(20)
        shown = received(bob)
        hand(carol, source, put)  # another recipient
        hand(bob, carol.id, put)  # another sender
        hand(bob, source, put, id_=MessageId(bytes(16)))
        for body in changed_bytes(put):
            hand(bob, source, put, body, MessageId(body[2:18]))
            await lab.sleep(1)
        assert received(bob) == shown
        assert received(carol) == []
        hand(bob, source, put)
        await lab.sleep(5)
        assert received(bob) == [*shown, *([] if "secret" in shown else ["secret"])]

    play(main, features=[LIAR])


def test_a_number_that_was_used_makes_no_reset_when_a_mailbox_brings_it() -> None:
    """Whether its sender wrote it cannot be told any more, and a mailbox could have sessions begun anew without end."""

    async def main(lab: Lab) -> None:
        alice, bob, _, source, put = await left(lab)
        await bob.start()
        await lab.until(lambda: "secret" in received(bob), 90)
        forged = put.body[:2] + secrets.token_bytes(16) + put.body[18:]
        hand(bob, source, put, forged, MessageId(forged[2:18]))
        await lab.sleep(60)
        for one, other in ((alice, bob), (bob, alice)):
            assert (await one.call("messages.session", {"peer_node_id": str(other.id)}))["resets"] == 0

    play(main, features=[LIAR])


def test_what_is_handed_over_again_and_again_is_shown_once_and_acknowledged_once_a_day() -> None:
    async def main(lab: Lab) -> None:
        alice, bob, _, source, put = await left(lab)
        await only(lab, bob, LiarPlugin.daemon, alice)
        for _ in range(50):
            hand(bob, source, put)
            await lab.sleep(20)
        assert received(bob).count("secret") == 1
        own = [one for src, one in LiarPlugin.puts if src == bob.id and one.recipient == alice.id]
        assert 1 <= len({one.id for one in own}) <= 2  # the acknowledgement, and maybe his bundle
        await days_pass(lab, 1, bob, LiarPlugin.daemon)
        await meet(lab, bob, LiarPlugin.daemon)
        hand(bob, source, put)
        await lab.sleep(60)
        again = [one for src, one in LiarPlugin.puts if src == bob.id and one.recipient == alice.id]
        assert len({one.id for one in again}) > len({one.id for one in own})

    play(main, features=[LIAR])


@pytest.mark.parametrize("meets", [False, True])
def test_what_a_mailbox_drops_comes_by_another_one_or_when_the_two_meet(*, meets: bool) -> None:
    async def main(lab: Lab) -> None:
        boxes = ("box",) if meets else ("box", "good")
        alice, bob = person(lab, "alice", *boxes), person(lab, "bob", *boxes)
        box = liar(lab, "box", (alice, bob))
        good = mailbox(lab, "good", *(() if meets else ("alice", "bob")), people=(alice, bob))
        await lab.start(box, good)
        await only(lab, bob, box)
        await only(lab, alice, box)
        await lab.until(lambda: alice.node.service.route(bob.id) is not None, 90)
        await write(alice, bob, "before")
        await lab.sleep(30)
        await bob.stop()
        await write(alice, bob, "dropped")
        await lab.sleep(60)
        assert await states(alice, bob) == ["delivered", "kept"]
        if not meets:
            await alice.stop()
        await bob.start()
        await lab.until(lambda: received(bob) == ["before", "dropped"], 120)

    play(main, features=[LIAR])


def test_a_bundle_of_another_node_or_an_old_one_is_not_taken() -> None:
    async def main(lab: Lab) -> None:
        alice, bob, carol = (person(lab, name, "box") for name in ("alice", "bob", "carol"))
        box = liar(lab, "box", (alice, bob, carol))
        await lab.start(box)
        await only(lab, carol, box)
        await only(lab, bob, box, carol)
        await lab.sleep(5)
        old = LiarPlugin.bundles[bob.id][-1]
        await bob.stop()
        await days_pass(lab, 29, box)
        await only(lab, alice, box)
        key = {"node_id": str(bob.id), "x25519_pubkey": bob.machine.identity.x25519_pub.hex(), "name": "bob"}
        await alice.call("peers.import_identity", key)
        lies: list[Callable[[], bytes]] = [
            lambda: LiarPlugin.bundles[carol.id][-1],
            lambda: old,
            lambda: old[:100] + bytes((old[100] ^ 1,)) + old[101:],
        ]
        given: list[Any] = []
        await write(alice, bob, "to nobody else")
        for lie in lies:
            LiarPlugin.bundles[bob.id].append(lie())
            given.append(lie())
            await lab.sleep(700)
        assert await states(alice, bob) == ["pending"]
        assert not LiarPlugin.puts

    play(main, features=[LIAR])
