"""The sender's end of mailboxes: what waits for a peer without a route is left at those that its bundle names."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from pimd.contract import MESH, Database, DatabaseError, PluginContext, PluginPayload, Sent, TimerHandle
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import absent, due
from pimd_features.messaging.absent import Boxes, Owed
from pimd_features.messaging.keying import Keying
from pimd_features.messaging.models import MessagingSettings
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.sending import Sender
from pimd_features.messaging.sessions.reset import Reset
from pimd_features.messaging.wire import (
    ACKED_AT_ONCE,
    PUT_KIND,
    AckKind,
    Acks,
    Answer,
    Kept,
    Letter,
    Sort,
)

LOOK_S = 2.0
ABSENT_S = 10.0
"""So long a peer has no route before mailboxes keep what waits for it."""
AT_ONCE = 16
"""Letters under way to one mailbox, for one peer."""
PATIENCE_S = 20.0
PEERS_AT_ONCE = 8
FIRST_PAUSE_S = 30.0
LAST_PAUSE_S = 600.0
REFUSED_S: Mapping[Answer, float] = {Answer.NO_ROOM: 600.0, Answer.NOT_SERVED: 6 * 3600.0}


@dataclass
class _Absent:
    """A peer that something waits for, and that has no route."""

    since: float
    next_at: float
    pause_s: float = FIRST_PAUSE_S
    asked_at: float = float("-inf")
    """When mailboxes were last asked for its bundle; an answer that is of no use must not be asked for at once again."""
    is_busy: bool = False
    lacks_bundle: bool = False


class Posting:
    """While something waits, looks every two seconds who has been away for long enough; one task a peer leaves what waits."""

    def __init__(
        self,
        ctx: PluginContext[MessagingSettings],
        database: Database,
        keying: Keying,
        sender: Sender,
        outbox: Outbox,
    ) -> None:
        self._ctx = ctx
        self._signer = ctx.identity if ctx.settings.receipts else None
        self._database = database
        self._keying = keying
        self._sender = sender
        self._outbox = outbox
        self._mesh = ctx.services[MESH]
        self._next_look: TimerHandle | None = None
        self._absent: dict[NodeId, _Absent] = {}
        self._owing: dict[NodeId, None] = {}
        """Those to whom more may be owed than messages: acknowledgements, receipts, or this node's bundle."""
        self._unreached: dict[NodeId, dict[NodeId, None]] = {}
        """Mailboxes that could not be reached, or were asked for a bundle, and the peers whose they may be."""
        self._refused: dict[tuple[NodeId, NodeId], float] = {}
        """Mailboxes and peers for whom they keep nothing now, and until when they are left alone."""
        self._answers: dict[tuple[NodeId, NodeId, MessageId], asyncio.Future[Answer]] = {}
        """Of mailboxes, for a peer, about a letter."""

    async def load(self) -> None:
        """Read to whom something is owed, or is to be left again; `DatabaseError`."""
        moment = self._keying.moment()
        self._owing |= dict.fromkeys(await self._database.query(partial(absent.owed_to, moment=moment)))
        self.look_soon()

    def owe(self, peer: NodeId) -> None:
        """Note that more than messages is owed to a peer."""
        self._owing[peer] = None
        self.look_soon()
        self.wake(peer)

    def wake(self, peer: NodeId) -> None:
        """Leave what waits for a peer without further delay, if it is away."""
        if (away := self._absent.get(peer)) is not None:
            away.next_at, away.pause_s = 0.0, FIRST_PAUSE_S

    def got_bundle(self) -> None:
        """Leave what could not be encrypted before."""
        for peer, away in self._absent.items():
            if away.lacks_bundle:
                self.wake(peer)

    def reached(self, node: NodeId) -> None:
        """Leave what waited for a mailbox that can be reached now, and ask it again: it may have died before it answered."""
        for peer in self._unreached.pop(node, ()):
            self.wake(peer)
            if (away := self._absent.get(peer)) is not None:
                away.asked_at = float("-inf")
        for (mailbox, peer, _), answer in self._answers.items():
            if mailbox == node:  # what was under way when the route was lost is not answered
                answer.cancel()
                self.wake(peer)

    def look_soon(self) -> None:
        """Called when something begins to wait for a peer; looks go on until nothing does."""
        if self._next_look is None:
            self._next_look = self._ctx.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Begin with those who have been away for long enough, and with what is owed to those who are not."""
        self._next_look = None
        now, busy = self._ctx.clock.now(), sum(away.is_busy for away in self._absent.values())
        waited_for = dict.fromkeys((*self._owing, *self._outbox.waits_for()))
        if waited_for or self._absent:
            self.look_soon()
        for peer in [peer for peer, away in self._absent.items() if peer not in waited_for and not away.is_busy]:
            del self._absent[peer]
        for peer in waited_for:
            away = self._absent.setdefault(peer, _Absent(now, now))
            if self._is_reached(peer):
                away.since = now
                if peer not in self._owing:
                    continue
            elif now - away.since < ABSENT_S:
                continue
            if away.next_at <= now and not away.is_busy and busy < PEERS_AT_ONCE:
                away.is_busy, busy = True, busy + 1
                self._ctx.spawn(f"mail to {peer.short}", self._serve(peer, away))

    def take_answer(self, mailbox: NodeId, kept: Kept) -> None:
        """Take what a mailbox says of letters that it was sent; of any other it is not believed."""
        for id_ in kept.ids:
            waiting = self._answers.get((mailbox, kept.recipient, id_))
            if waiting is not None and not waiting.done():
                waiting.set_result(kept.answer)

    def leave_reset(self, peer: NodeId, reset: Reset) -> None:
        """Leave a reset at the mailboxes of a peer, once."""

        async def leave() -> None:
            try:
                for mailbox in (await self._boxes(peer)).named:
                    if self._is_reached(mailbox):
                        await self._put(peer, mailbox, {MessageId(reset.session_id): reset.raw}, Sort.RESET)
            except DatabaseError as error:
                self._ctx.log.error("a reset for %s was not left: %s", peer.abbreviated, error)

        self._ctx.spawn(f"reset for {peer.short}", leave())

    # --- one peer

    async def _serve(self, peer: NodeId, away: _Absent) -> None:
        away.next_at = self._ctx.clock.now() + away.pause_s
        away.pause_s = min(LAST_PAUSE_S, 2 * away.pause_s)
        try:
            if self._is_reached(peer):
                self._owing.pop(peer, None)  # before the database is read: what comes meanwhile enters the peer again
                if not await self._acknowledge(peer):
                    self._owing[peer] = None
            else:
                await self._leave(peer, away)
        except DatabaseError as error:
            self._owing[peer] = None
            self._ctx.log.error("nothing was left for %s: %s", peer.abbreviated, error)
        finally:
            away.is_busy = False

    async def _leave(self, peer: NodeId, away: _Absent) -> None:
        boxes = await self._boxes(peer)
        waits = self._outbox.waits(peer)
        away.lacks_bundle = waits and not boxes.named and (not boxes.is_known or bool(boxes.asked))
        usable = [mailbox for mailbox in boxes.named if self._is_usable(peer, mailbox)]
        if usable and (waits or peer in self._owing) and await self._leave_owed(peer, usable):
            self._owing.pop(peer, None)
        for mailbox in usable:
            away.lacks_bundle |= not await self._leave_messages(peer, mailbox)
        now = self._ctx.clock.now()
        if (away.lacks_bundle or boxes.are_doubtful) and now - away.asked_at >= FIRST_PAUSE_S:
            away.asked_at = now
            await self._ask(peer, boxes)

    def _is_reached(self, node: NodeId) -> bool:
        return node in self._mesh.destinations()

    def _is_usable(self, peer: NodeId, mailbox: NodeId) -> bool:
        if mailbox == self._ctx.identity.node_id or self._refused.get((mailbox, peer), 0.0) > self._ctx.clock.now():
            return False
        if self._is_reached(mailbox):
            return True
        self._unreached.setdefault(mailbox, {})[peer] = None
        return False

    async def _boxes(self, peer: NodeId) -> Boxes:
        return await self._database.query(partial(absent.boxes, peer=peer, moment=self._keying.moment()))

    async def _ask(self, peer: NodeId, boxes: Boxes) -> None:
        """Ask for the bundle of a peer where it may be: at its mailboxes, at those the user named, and at the own ones."""
        for mailbox in dict.fromkeys((*boxes.named, *boxes.asked, *self._keying.mailboxes)):
            self._unreached.setdefault(mailbox, {})[peer] = None
            if self._is_reached(mailbox):
                await self._keying.ask_at(mailbox, peer)

    async def _leave_messages(self, peer: NodeId, mailbox: NodeId) -> bool:
        """Leave all messages that the mailbox has not; False when some could not be encrypted."""
        while True:
            moment = self._keying.moment()
            find = partial(absent.next_to_put, peer=peer, mailbox=mailbox, moment=moment, most=AT_ONCE)
            ids = await self._database.query(find)
            if not ids:
                return True
            payloads, lacks_bundle = await self._sender.encrypted(peer, ids)
            kept = await self._put(peer, mailbox, payloads, Sort.MESSAGE)
            if kept:
                await self._sender.note(peer, kept, "kept")
                note = partial(absent.note_kept, peer=peer, ids=kept, mailbox=mailbox, moment=moment)
                await self._database.write("note what a mailbox keeps", note)
            if lacks_bundle:
                return False
            if len(kept) < len(payloads):
                return True  # no room, or no answer: the rest is left later

    async def _put(
        self, peer: NodeId, mailbox: NodeId, payloads: Mapping[MessageId, bytes], sort: Sort
    ) -> list[MessageId]:
        """Send letters for a peer to a mailbox; return the ids of those that it says it keeps."""
        loop = asyncio.get_running_loop()
        waiting = {id_: loop.create_future() for id_ in payloads}
        self._answers |= {(mailbox, peer, id_): one for id_, one in waiting.items()}
        timer = self._ctx.call_later(PATIENCE_S, lambda: [one.cancel() for one in waiting.values()])
        try:
            for id_, payload in payloads.items():
                if not await self._send(mailbox, Letter(sort, peer, id_, payload)):
                    break
            else:
                await asyncio.wait(waiting.values()) if waiting else None
        finally:
            timer.cancel()
            for id_ in waiting:
                self._answers.pop((mailbox, peer, id_), None)
        answers = {id_: one.result() for id_, one in waiting.items() if one.done() and not one.cancelled()}
        for answer in set(answers.values()) & REFUSED_S.keys():
            self._refused[mailbox, peer] = self._ctx.clock.now() + REFUSED_S[answer]
        return [id_ for id_, answer in answers.items() if answer is Answer.KEPT]

    async def _send(self, mailbox: NodeId, letter: Letter) -> bool:
        payload = PluginPayload(PUT_KIND, letter.encode())
        while (sent := await self._ctx.control.send_routed(mailbox, payload)) is Sent.CONGESTED:
            if not await self._ctx.control.ready(mailbox):
                return False
        return bool(sent)

    # --- what is owed beside messages

    async def _leave_owed(self, peer: NodeId, mailboxes: list[NodeId]) -> bool:
        """Leave acknowledgements, receipts and the own bundle, each in a message of a session; True when all is kept."""
        author = due.Author(self._keying.account, self._signer)
        while True:
            moment, lasting = self._keying.moment(), await self._keying.lasting()
            letters = await self._database.write(
                "encrypt what is owed",
                partial(due.encrypt, author, peer, lasting, moment),
                forgets=True,
            )
            if letters is None:
                return True
            kept: set[MessageId] = set()
            for mailbox in mailboxes:
                kept.update(await self._put(peer, mailbox, letters.payloads, Sort.MESSAGE))
            if not letters.payloads or len(kept) < len(letters.payloads):
                return False
            await self._database.write("note what mailboxes keep", partial(due.note, peer, letters, moment))

    async def _acknowledge(self, peer: NodeId) -> bool:
        """Acknowledge directly what mailboxes brought, since the peer is reached now, and give it the own bundle.

        False when that found no room, or there is no card.
        """
        while True:
            moment = self._keying.moment()
            owed = await self._database.query(partial(absent.owed, peer=peer, moment=moment, most=ACKED_AT_ONCE))
            if owed.delivered:
                if not await self._sender.acknowledge(peer, Acks(AckKind.DELIVERED, owed.delivered)):
                    return False
                acked = Owed(owed.delivered, ())
                note = partial(absent.note_acked, peer=peer, acked=acked, moment=moment)
                await self._database.write("note acknowledgements", note)
            if len(owed.delivered) < ACKED_AT_ONCE:
                await self._keying.send_lasting(peer)
                return True
