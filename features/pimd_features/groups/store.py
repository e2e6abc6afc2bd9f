"""`groups.db`: every method is one transaction, and returns after its commit. All raise `DatabaseError`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pimd.contract import Connection, Database, Parcel, PluginContext
from pimd.ids import MessageId, NodeId
from pimd_features.groups import models, reading
from pimd_features.groups.keys import end_own_keys
from pimd_features.groups.membership import head_of, publish_record, state_of, wanted_of
from pimd_features.groups.records import Change, Record, apply
from pimd_features.groups.turn import KEPT_MS, Moment, Turn

T = TypeVar("T")
HANDED_AT_ONCE = 256


class GroupStore:
    """The statements."""

    def __init__(self, ctx: PluginContext, database: Database) -> None:
        self._clock = ctx.clock
        self._own = ctx.identity.node_id
        self._database = database

    async def turn(self, name: str, work: Callable[[Turn], T]) -> tuple[T, Turn]:
        """Run a job; return its result, and what is to be told now."""
        moment = Moment(self._clock.lived_ms(), self._clock.unix_ms())

        def job(connection: Connection) -> tuple[T, Turn]:
            turn = Turn(connection, self._own, moment)
            return work(turn), turn

        return await self._database.write(name, job, forgets=True)

    async def query(self, work: Callable[[Connection], T]) -> T:
        """Read."""
        return await self._database.query(work)

    async def begin(self) -> None:
        """Make new sender keys from now on: after a backup was restored, numbers of the old ones would be used twice."""
        await self.turn("begin", end_own_keys)

    # --- parcels

    async def leaving(self) -> tuple[list[Parcel], int]:
        """Return parcels that messaging does not have yet, and the place of the last."""
        rows = await self._database.read(
            "SELECT node_id, parcel, body, place FROM leaving ORDER BY place LIMIT ?", (HANDED_AT_ONCE,)
        )
        parcels = [Parcel(NodeId(row[0]), MessageId(row[1]), row[2], KEPT_MS // 1000) for row in rows]
        return parcels, rows[-1][3] if rows else 0

    async def left(self, last: int) -> None:
        """Forget parcels that messaging has."""
        await self.turn(
            "forget parcels",
            lambda turn: turn.connection.execute("DELETE FROM leaving WHERE place <= ?", (last,)).rowcount,
        )

    async def withdrawn(self) -> list[tuple[NodeId, MessageId]]:
        """Return parcels that messaging may have, and is not to send any more."""
        rows = await self._database.read("SELECT node_id, parcel FROM withdrawn")
        return [(NodeId(row[0]), MessageId(row[1])) for row in rows]

    async def are_withdrawn(self, parcels: Sequence[tuple[NodeId, MessageId]]) -> None:
        """Forget parcels that messaging does not have any more."""

        def work(turn: Turn) -> None:
            turn.connection.executemany("DELETE FROM withdrawn WHERE node_id = ? AND parcel = ?", parcels)

        await self.turn("forget withdrawn parcels", work)

    async def has_waiting(self, node: NodeId) -> bool:
        """Whether a key or a message for a node did not leave yet."""
        sql = "SELECT 1 FROM deliveries WHERE node_id = ? AND status = 'pending' LIMIT 1"
        return bool(await self._database.read(sql, (node,)))

    # --- changes that this node is to make

    async def groups_to_change(self) -> list[bytes]:
        """Return the groups that this node is to sign a record of."""
        rows = await self._database.read("SELECT DISTINCT group_id FROM wanted")
        return [bytes(row[0]) for row in rows]

    async def next_record(self, group: bytes) -> tuple[Record, list[Change]] | None:
        """Return the newest record and what this node may change of it now; without either nothing is wanted any more."""

        def work(turn: Turn) -> tuple[Record, list[Change]] | None:
            head, wanted = head_of(turn, group), wanted_of(turn, group)
            if head is not None and not (head.may_change(turn.own) and state_of(turn, group) == "joined"):
                is_in = turn.own in head.members
                wanted = [one for one in wanted if one.node_id == turn.own and one.yes is None and is_in]
            if head is None or apply(head, wanted) is None:
                turn.connection.execute("DELETE FROM wanted WHERE group_id = ?", (group,))
                return None
            return head, wanted

        found, _ = await self.turn("prepare a record", work)
        return found

    async def publish(self, record: Record, wanted: Sequence[Change]) -> tuple[bool, Turn]:
        """Store a record of this node, and what is sent of it; False when another one came in between."""
        return await self.turn("store a record", lambda turn: publish_record(turn, record, wanted))

    # --- reading

    async def known(self) -> list[reading.Known]:
        """Return all groups and invitations."""
        return await self._database.query(reading.known)

    async def rows(self, name: reading.Name) -> list[models.GroupRow]:
        """Return all groups as they are listed."""
        own = self._own
        return await self._database.query(lambda connection: reading.rows(connection, own, name))

    async def history(self, group: bytes, page: models.GroupHistoryParams, name: reading.Name) -> models.GroupHistory:
        """Return a page of messages."""
        own = self._own
        return await self._database.query(lambda connection: reading.history(connection, own, group, page, name))

    async def fellows(self) -> set[NodeId]:
        """Return whose parcels are awaited: members, those who invited this node, and those whom it invited."""

        def work(turn: Turn) -> set[NodeId]:
            rows = turn.connection.execute("SELECT id, state, inviter FROM groups").fetchall()
            found = {NodeId(row[0]) for row in turn.connection.execute("SELECT node_id FROM invited")}
            for group, state, inviter in rows:
                head = head_of(turn, bytes(group))
                members = head.members.keys() if head is not None else set[NodeId]()
                if state == "joining" and inviter is not None:
                    found |= {NodeId(inviter), *members}
                elif state == "joined" or turn.own in members:
                    found |= members
            return found - {turn.own}

        found, _ = await self.turn("look who is awaited", work)
        return found
