"""This node's account and bundles among other nodes: asked for, given out, taken, and sessions that end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pimd.contract import (
    Connection,
    Database,
    DatabaseError,
    Limit,
    PluginContext,
    PluginPayload,
    RecentMap,
    RecentSet,
    Sent,
    TokenBucket,
    declare,
    declare_rate,
)
from pimd.ids import MessageId, NodeId
from pimd_features.messaging.absent import age_acks, is_correspondent, lack_bundle
from pimd_features.messaging.lines import add_line
from pimd_features.messaging.models import Restart
from pimd_features.messaging.sessions import giving, kept, sending, taking
from pimd_features.messaging.sessions.account import Account, Moment, issue
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND, Bundle, OwnBundle, make, parse_answer
from pimd_features.messaging.sessions.looking import Both, look
from pimd_features.messaging.sessions.message import MSG_KIND, Kind, Plain
from pimd_features.messaging.sessions.reset import RESET_KIND, Reset
from pimd_features.messaging.strangers import Strangers
from pimd_features.messaging.wire import QUESTION_KIND

FIRST_ASK_S = 2.0
LAST_ASK_S = 600.0
UNANSWERED = 3
"""So many questions for a bundle without an answer mean that the peer speaks no sessions."""
RESET_PAUSE_S = 60.0
CONTACTS_ASKING = declare(
    "contacts whose questions for bundles are counted",
    1000,
    "contacts",
    "the count of the one that asked longest ago begins anew",
)
LOST_SAID = declare(
    "resets that were sent remembered", 1000, "sessions", "the oldest is forgotten, so that it may be sent again"
)
QUESTIONS = declare_rate(
    "questions for bundles of all who are no contacts", 20, "questions", "dropped, not answered", burst=20
)
RESETS = declare_rate("resets to all who are no contacts", 20, "resets", "not sent; asked for again later", burst=20)
RESETS_LEFT = declare_rate(
    "resets left at mailboxes", 10, "resets", "not left; said again when the message comes again", burst=10, period_s=60
)
ASKED_AT_MAILBOXES = declare(
    "questions for bundles that mailboxes have not answered",
    1000,
    "questions",
    "an answer to the oldest is not taken; it is asked again",
)
BUNDLES_ASKED = declare(
    "peers asked for a bundle at a time", 1000, "peers", "the one asked longest ago is asked when it is reached again"
)


@dataclass(frozen=True)
class _Asked:
    """A question for a bundle that was not answered."""

    times: int
    again_at: float


class Keying:
    """Takes `messaging.bundle` and `messaging.reset`; `can_begin` is called when more can be sent."""

    def __init__(
        self,
        ctx: PluginContext,
        database: Database,
        strangers: Strangers,
        *,
        mailboxes: tuple[NodeId, ...] = (),
        can_begin: Callable[[], None],
        restarted: Callable[[NodeId, Restart], None],
        leave_reset: Callable[[NodeId, Reset], None] = lambda peer, reset: None,  # noqa: ARG005
    ) -> None:
        self._ctx = ctx
        self._database = database
        self._strangers = strangers
        self._can_begin = can_begin
        self._restarted = restarted
        self.mailboxes = mailboxes
        self._leave_reset = leave_reset
        self._making = asyncio.Lock()
        self._asked_at: RecentSet[tuple[NodeId, NodeId]] = RecentSet(ASKED_AT_MAILBOXES, ctx.bites)
        """Mailboxes, and the peers whose bundles they were asked for."""
        self._asked: RecentMap[NodeId, _Asked] = RecentMap(BUNDLES_ASKED, ctx.bites)
        self._lacking: set[NodeId] = set()
        self._lost_said: RecentMap[tuple[NodeId, bytes], float] = RecentMap(LOST_SAID, ctx.bites)
        self._contacts: RecentMap[NodeId, TokenBucket] = RecentMap(CONTACTS_ASKING, ctx.bites)
        self._others = TokenBucket(giving.TO_OTHERS, ctx.clock.now(), ctx.bites)
        self._questions = TokenBucket(QUESTIONS, ctx.clock.now(), ctx.bites)
        self._resets = TokenBucket(RESETS, ctx.clock.now(), ctx.bites)
        self._resets_left = TokenBucket(RESETS_LEFT, ctx.clock.now(), ctx.bites)
        self._aged_at = ctx.clock.now()

    async def load(self) -> None:
        """Read the account, or make it at the first start; `DatabaseError`."""
        identity, clock = self._ctx.identity, self._ctx.clock

        def work(connection: Connection) -> tuple[Account | None, int]:
            account = giving.load_account(connection, identity.node_id)
            return account, giving.next_created_ms(connection, 0) if account is not None else 0

        account, newest = await self._database.query(work)
        if account is None:
            account = made = issue(identity, clock.unix_ms())
            await self._database.write("store the account", lambda connection: giving.store_account(connection, made))
        self.account = account
        self._newest_ms = newest

    async def former_mailboxes(self) -> frozenset[NodeId]:
        """Return the mailboxes that this node's lasting bundles name, whose secrets are kept; `DatabaseError`."""
        rows = await self._database.read("SELECT raw FROM own_bundles WHERE raw IS NOT NULL")
        return frozenset(mailbox for row in rows for mailbox in Bundle.parse(row[0]).mailboxes)

    async def contacts_lacking_bundle(self) -> list[NodeId]:
        """Return the contacts that were not given the lasting bundle of now, though a session to them can begin."""
        lasting = await self.lasting()
        lacking = await self._database.query(lambda connection: lack_bundle(connection, lasting.id))
        return [peer for peer in lacking if self._strangers.is_contact(peer)]

    async def is_correspondent(self, peer: NodeId) -> bool:
        """Whether the account of a peer is known, whose card may not be; `DatabaseError`."""
        return await self._database.query(lambda connection: is_correspondent(connection, peer))

    def moment(self) -> Moment:
        """Now, for the sessions."""
        return Moment(self._ctx.clock.lived_ms(), self._ctx.clock.unix_ms())

    async def look(self, peer: NodeId) -> Both:
        """Return the state of the sessions with a peer; `DatabaseError`."""
        return await self._database.query(lambda connection: look(connection, peer))

    # --- asking

    def is_lacking(self, peer: NodeId) -> bool:
        """Whether no session to a peer can begin until it gives a bundle."""
        return peer in self._lacking

    def speaks_no_sessions(self, peer: NodeId) -> bool:
        """Whether a peer left several questions unanswered."""
        asked = self._asked.get(peer)
        return peer in self._lacking and asked is not None and asked.times >= UNANSWERED

    def lacks(self, peer: NodeId) -> None:
        """Send nothing to a peer before it gave a bundle."""
        self._lacking.add(peer)

    def forget(self, peer: NodeId | None) -> None:
        """Nothing waits for a peer any more, or with None for anybody."""
        if peer is None:
            self._lacking.clear()
        else:
            self._lacking.discard(peer)

    def appeared(self, peer: NodeId) -> None:
        """Ask at once: there is another way to a peer."""
        self._asked.pop(peer, None)

    def next_ask(self) -> float:
        """The time of the next question that is not due yet; infinity without any."""
        asked = [self._asked[peer].again_at for peer in self._lacking if peer in self._asked]
        now = self._ctx.clock.now()
        return min((at for at in asked if at > now), default=float("inf"))

    async def ask(self, peer: NodeId) -> Sent:
        """Ask for a bundle, unless that was done lately."""
        now, asked = self._ctx.clock.now(), self._asked.get(peer)
        if asked is not None and now < asked.again_at:
            return Sent.SENT
        sent = await self._ctx.control.send_routed(peer, PluginPayload(BUNDLE_KIND, peer))
        if sent:
            times = asked.times + 1 if asked is not None else 1
            self._asked.put(peer, _Asked(times, now + min(LAST_ASK_S, FIRST_ASK_S * 2 ** min(times - 1, 10))))
        return sent

    async def ask_at(self, mailbox: NodeId, peer: NodeId) -> None:
        """Ask a mailbox for the lasting bundle of a peer that cannot be reached."""
        if await self._ctx.control.send_routed(mailbox, PluginPayload(QUESTION_KIND, peer)):
            self._asked_at.add((mailbox, peer))

    async def take_bundle(self, src: NodeId, body: bytes) -> None:
        """Answer a question, or take an answer; what is neither, or was not asked for, is dropped."""
        if len(body) == NodeId.SIZE:
            if NodeId(body) == self._ctx.identity.node_id:
                await self._give(src)
            return
        if src not in self._asked and all(mailbox != src for mailbox, _ in self._asked_at):
            return
        try:
            bundles = parse_answer(body)
        except ValueError as error:
            self._ctx.log.debug("bundles of %s were dropped: %s", src.abbreviated, error)
            return
        peer = bundles[0].node_id
        if peer == src and src in self._asked:
            await self._keep(peer, bundles, from_itself=True)
        elif (src, peer) in self._asked_at and not any(one.one_time for one in bundles):
            self._asked_at.discard((src, peer))
            await self._keep(peer, bundles, from_itself=False)

    async def _keep(self, peer: NodeId, bundles: list[Bundle], *, from_itself: bool) -> None:
        moment, is_contact = self.moment(), self._strangers.is_expected(peer)

        def work(connection: Connection) -> list[taking.Noted | None]:
            taken = [
                taking.take_bundle(connection, bundle, moment, from_itself=from_itself, is_contact=is_contact)
                for bundle in bundles
            ]
            if any(one is not None and one.changed for one in taken):
                add_line(connection, peer, "account_changed", moment.unix_ms)
                if not from_itself:
                    # Nothing opens the sessions of its other account, and it may never be there to say so.
                    sending.end_all(connection, peer)
            return taken

        try:
            taken = await self._database.write("store bundles of a peer", work)
        except DatabaseError as error:
            self._ctx.log.error("bundles of %s were not stored: %s", peer.abbreviated, error)
            return
        noted = [one for one in taken if one is not None]
        is_of_use = from_itself or bool(noted)
        if is_of_use:
            self._asked.pop(peer, None)
            self._lacking.discard(peer)
        self.tell(
            peer, tuple(limit for one in noted if (limit := one.reached)), changed=any(one.changed for one in noted)
        )
        if is_of_use:
            self._can_begin()

    def tell(self, peer: NodeId, reached: tuple[Limit, ...], *, changed: bool) -> None:
        """Count limits, and say that a peer has another account."""
        for limit in reached:
            self._ctx.bites.count(limit)
        if changed:
            self._restarted(peer, "account_changed")

    # --- giving

    async def _give(self, peer: NodeId) -> None:
        if not self._strangers.is_expected(peer) and not self._questions.take(self._ctx.clock.now()):
            return
        answer: list[bytes] = []
        try:
            if self._may_have_one_time(peer) and (one_time := await self.give_one_time(peer)) is not None:
                answer.append(one_time.raw)
            lasting = await self.lasting()
            answer.append(lasting.raw)
            await self._database.write("note a bundle", lambda connection: _note_given(connection, peer, lasting))
        except DatabaseError as error:
            self._ctx.log.error("no bundle was given to %s: %s", peer.abbreviated, error)
            return
        await self._ctx.control.send_routed(peer, PluginPayload(BUNDLE_KIND, b"".join(answer)))

    def _may_have_one_time(self, peer: NodeId) -> bool:
        now = self._ctx.clock.now()
        if not self._strangers.is_expected(peer):
            return self._others.take(now)
        bucket = self._contacts.use(peer)
        if bucket is None:
            bucket = TokenBucket(giving.TO_CONTACT, now, self._ctx.bites)
            self._contacts.put(peer, bucket)
        return bucket.take(now)

    async def give_one_time(self, peer: NodeId) -> Bundle | None:
        """Make a one-time bundle for a peer; None when it has too many, or all have."""
        own, moment = self._make(one_time=True), self.moment()

        def work(connection: Connection) -> Limit | None:
            limit = giving.full(connection, peer)
            if limit is None:
                giving.store_bundle(connection, own, peer, moment)
            return limit

        limit = await self._database.write("keep a one-time bundle", work)
        if limit is not None:
            self._ctx.bites.count(limit)
        return own.bundle if limit is None else None

    async def lasting(self) -> Bundle:
        """Return the lasting bundle, a new one after seven days and when other mailboxes were set; `DatabaseError`."""
        async with self._making:
            moment = self.moment()
            found = await self._database.query(lambda connection: giving.lasting_bundle(connection, moment))
            if found is not None and found.mailboxes == self.mailboxes:
                return found
            own = self._make(one_time=False)
            await self._database.write(
                "keep a lasting bundle", lambda connection: giving.store_bundle(connection, own, None, moment)
            )
            return own.bundle

    def _make(self, *, one_time: bool) -> OwnBundle:
        created = max(self._ctx.clock.unix_ms(), self._newest_ms + 1)
        self._newest_ms = created
        return make(self._ctx.identity, self.account, one_time=one_time, created_ms=created, mailboxes=self.mailboxes)

    async def session_began(self, peer: NodeId) -> None:
        """Ask for the bundle of the next session, and send the own lasting one in this one, unless the peer has it."""
        await self.ask(peer)
        await self.send_lasting(peer)

    async def send_lasting(self, peer: NodeId) -> None:
        """Send the own lasting bundle to a peer that is reached, unless it has it; `DatabaseError`."""
        lasting, moment = await self.lasting(), self.moment()
        draft = sending.Draft(MessageId(lasting.digest[:16]), Plain(moment.unix_ms, Kind.BUNDLE, lasting.raw))

        def work(connection: Connection) -> bytes | None:
            if not _lacks(connection, peer, lasting):
                return None
            payloads = sending.leave(connection, self.account, peer, [draft], moment).payloads
            sending.forget_outgoing(connection, peer, [draft.id])  # the next answer brings it, if this is lost
            if payloads:
                _note_given(connection, peer, lasting)
            return payloads.get(draft.id)

        payload = await self._database.write("send the lasting bundle", work, forgets=True)
        if payload is not None:
            await self._ctx.control.send_routed(peer, PluginPayload(MSG_KIND, payload))

    # --- resets

    async def say_lost(self, peer: NodeId, session_id: bytes) -> None:
        """Tell a sender that its session cannot be opened, once a minute."""
        now, said = self._ctx.clock.now(), self._lost_said.get((peer, session_id))
        if said is not None and now - said < RESET_PAUSE_S:
            return
        if not self._strangers.is_expected(peer) and not self._resets.take(now):
            return
        self._lost_said.put((peer, session_id), now)
        reset = Reset.issue(self._ctx.identity, session_id, self._ctx.clock.unix_ms())
        sent = await self._ctx.control.send_routed(peer, PluginPayload(RESET_KIND, reset.raw))
        if sent is Sent.NO_ROUTE and self._resets_left.take(now):
            self._leave_reset(peer, reset)

    async def take_reset(self, src: NodeId, body: bytes) -> None:
        """Begin anew with a peer that cannot open a session; what is malformed or not its own changes nothing."""
        try:
            reset = Reset.decode(body)
        except ValueError:
            return
        moment = self.moment()

        def work(connection: Connection) -> bool:
            is_taken = sending.take_reset(connection, src, reset, moment)
            if is_taken:
                add_line(connection, src, "reset", moment.unix_ms)
            return is_taken

        try:
            is_taken = await self._database.write("take a reset", work, forgets=True)
        except DatabaseError as error:
            self._ctx.log.error("a reset of %s was not stored: %s", src.abbreviated, error)
            return
        if is_taken:
            self._restarted(src, "reset")

    # --- ageing

    async def age(self) -> None:
        """Delete what is too old to be of use."""
        moment, now = self.moment(), self._ctx.clock.now()
        ran_ms, self._aged_at = int(1000 * (now - self._aged_at)), now

        def work(connection: Connection) -> None:
            giving.age_bundles(connection, moment, ran_ms)
            kept.age_sessions(connection, moment, ran_ms)
            age_acks(connection, moment)

        await self._database.write("delete old keys", work, forgets=True)


def _note_given(connection: Connection, peer: NodeId, lasting: Bundle) -> None:
    """Note which lasting bundle a peer has, if its account is known."""
    connection.execute("UPDATE correspondents SET given_bundle = ? WHERE peer = ?", (lasting.id, peer))


def _lacks(connection: Connection, peer: NodeId, lasting: Bundle) -> bool:
    """Whether a peer whose account is known was not sent this bundle."""
    row = connection.execute(
        "SELECT 1 FROM correspondents WHERE peer = ? AND given_bundle IS NOT ?", (peer, lasting.id)
    ).fetchone()
    return row is not None
