"""Delivers parcels of another feature (`PARCELS`), through the outbox and the sessions of messages."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from pimd.contract import (
    PARCEL_LIMIT,
    ArrivedParcel,
    Connection,
    Database,
    Parcel,
    ParcelNews,
    ParcelState,
    PluginContext,
    Subscription,
    Topic,
)
from pimd.ids import MessageId, NodeId
from pimd_features.messaging import parcel_rows
from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.sessions.account import Moment
from pimd_features.messaging.sessions.limits import PARCELS_HELD
from pimd_features.messaging.sessions.sending import forget_outgoing
from pimd_features.messaging.store import Outgoing
from pimd_features.messaging.strangers import Strangers

Key = tuple[NodeId, MessageId]


class ParcelService:
    """Implements `contract.Parcels`; `wake` lets what was added be sent."""

    def __init__(
        self, ctx: PluginContext, database: Database, outbox: Outbox, strangers: Strangers, wake: Callable[[], None]
    ) -> None:
        self._clock = ctx.clock
        self._database = database
        self._outbox = outbox
        self._strangers = strangers
        self._wake = wake
        self._waiting: set[Key] = set()
        self._held: Counter[NodeId] = Counter()
        """Parcels that wait to be taken."""
        self._topic: Topic[ParcelNews] = Topic(ctx.bites)

    async def load(self) -> None:
        """Put what was not acknowledged into the outbox, and read who the fellows are; `DatabaseError`."""
        rows = await self._database.read("SELECT peer FROM fellows")
        self._strangers.fellows = frozenset(NodeId(row[0]) for row in rows)
        held = await self._database.read("SELECT peer, count(*) FROM parcels_in GROUP BY peer")
        self._held = Counter({NodeId(row[0]): row[1] for row in held})
        await self.queue_again()

    async def queue_again(self) -> None:
        """Put into the outbox what was taken out of it together with messages; `DatabaseError`."""
        rows = await self._database.read(
            "SELECT peer, id, timestamp_ms, expires_lived_ms FROM parcels_out ORDER BY position"
        )
        for row in rows:
            message = Outgoing(NodeId(row[0]), MessageId(row[1]), row[2], row[3])
            self._waiting.add((message.peer, message.id))
            if not self._outbox.holds(message.peer, message.id):
                self._outbox.add(message)

    def changed(self, peer: NodeId, id_: MessageId, status: str) -> bool:
        """Tell of a new status; False when it is that of a message."""
        if (peer, id_) not in self._waiting:
            return False
        if status in {"delivered", "read", "failed"}:
            self._waiting.discard((peer, id_))
        self._topic.publish(ParcelNews())
        return True

    def has_room(self, peer: NodeId) -> bool:
        """Whether a peer holds fewer parcels here than it may; a stranger's need a feature that will drop them."""
        is_dropped = self._topic.is_heard or self._strangers.is_expected(peer)
        return is_dropped and self._held[peer] < PARCELS_HELD.value

    def came(self, peer: NodeId) -> None:
        """Tell that a parcel is on disk."""
        self._held[peer] += 1
        self._topic.publish(ParcelNews())

    # --- Parcels

    async def send(self, parcels: Sequence[Parcel]) -> None:
        """Store, queue and send; ValueError for a body that is too large."""
        if any(len(one.body) > PARCEL_LIMIT for one in parcels):
            raise ValueError(f"a parcel has at most {PARCEL_LIMIT} bytes")
        moment = Moment(self._clock.lived_ms(), self._clock.unix_ms())
        added = await self._database.write(
            "store parcels to send", lambda connection: parcel_rows.add(connection, parcels, moment)
        )
        for one, expires in added:
            self._waiting.add((one.peer, one.id))
            self._outbox.add(Outgoing(one.peer, one.id, moment.unix_ms, expires))
        self._wake()

    async def withdraw(self, parcels: Collection[Key]) -> None:
        """Delete bodies and ciphertexts."""

        def work(connection: Connection) -> None:
            parcel_rows.remove(connection, parcels)
            for peer, id_ in parcels:
                forget_outgoing(connection, peer, [id_])
                connection.execute("DELETE FROM parcel_states WHERE peer = ? AND id = ?", (peer, id_))

        await self._database.write("withdraw parcels", work, forgets=True)
        for peer, id_ in parcels:
            self._waiting.discard((peer, id_))
            self._outbox.remove(peer, id_)

    async def arrived(self, after: int, most: int) -> Sequence[ArrivedParcel]:
        """Read bodies in order of arrival."""
        rows = await self._database.read(
            "SELECT position, peer, body, is_stranger FROM parcels_in WHERE position > ? ORDER BY position LIMIT ?",
            (after, most),
        )
        return [ArrivedParcel(row[0], NodeId(row[1]), row[2], bool(row[3])) for row in rows]

    async def drop_arrived(self, positions: Collection[int]) -> None:
        """Delete bodies, which may hold keys."""
        if not positions:
            return

        def work(connection: Connection) -> Counter[NodeId]:
            gone: Counter[NodeId] = Counter()
            for one in positions:
                rows = connection.execute("DELETE FROM parcels_in WHERE position = ? RETURNING peer", (one,))
                gone.update(NodeId(row[0]) for row in rows.fetchall())
            return gone

        self._held -= await self._database.write("drop parcels", work, forgets=True)

    async def states(self, after: int, most: int) -> Sequence[ParcelState]:
        """Read the newest status of parcels."""
        rows = await self._database.read(
            "SELECT position, peer, id, status, at_ms FROM parcel_states WHERE position > ? ORDER BY position LIMIT ?",
            (after, most),
        )
        return [ParcelState(row[0], NodeId(row[1]), MessageId(row[2]), row[3], row[4]) for row in rows]

    async def drop_states(self, up_to: int) -> None:
        """Delete the rows of what is done."""
        await self._database.write(
            "drop states of parcels",
            lambda connection: (
                connection.execute(
                    "DELETE FROM parcel_states WHERE position <= ? AND status IN ('delivered', 'failed')", (up_to,)
                ).rowcount
            ),
        )

    async def set_fellows(self, peers: Collection[NodeId]) -> None:
        """Store who they are, since sessions of theirs are kept as those of contacts also before the feature starts."""
        fellows = frozenset(peers)
        if fellows == self._strangers.fellows:
            return

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM fellows")
            connection.executemany("INSERT INTO fellows VALUES (?)", [(one,) for one in fellows])

        await self._database.write("store fellows", work)
        self._strangers.fellows = fellows

    def news(self) -> Subscription[ParcelNews]:
        """Subscribe."""
        return self._topic.subscribe()
