"""One end of conversations on a real SQLite file: the sessions with the simplest outbox, and a commit at which it can die."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pimd.assembly.services import PluginIdentity
from pimd.contract import Bites, Feature
from pimd.database.migrations import statements_of
from pimd.ids import MessageId, NodeId
from pimd.proto.identity import Identity
from pimd_features.messaging.sessions import account, giving, receiving, sending, taking
from pimd_features.messaging.sessions.account import Account, Moment
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND, OwnBundle, make, parse_answer
from pimd_features.messaging.sessions.message import MSG_KIND, Kind, Msg2, Plain
from pimd_features.messaging.sessions.receiving import Arrived, What
from pimd_features.messaging.sessions.reset import RESET_KIND, Reset
from pimd_features.messaging.sessions.schema import MAILBOX_COLUMNS, TABLES
from pimd_features.messaging.sessions.sending import Draft
from pimd_features.messaging.wire import ACKS_KIND, AckKind, Acks

MESSAGING = Feature("messaging", "x")
OUTBOX = """
CREATE TABLE written (peer BLOB, id BLOB, body TEXT, delivered INTEGER DEFAULT 0, attempts INTEGER DEFAULT 0);
CREATE TABLE shown (peer BLOB, id BLOB, body TEXT);
"""
REPETITIONS = 4

Send = Callable[[NodeId, str, bytes], None]
"""Takes the destination, the kind and the body of a payload."""


class Killed(Exception):  # noqa: N818 - what happened
    """The process ended here."""


class Endpoint:
    """A node whose user writes and reads; `send` takes what it sends."""

    secure_delete = "ON"

    def __init__(self, seed: bytes, path: Path, send: Send) -> None:
        self.seed = seed.ljust(32, b"\0")
        self.identity = PluginIdentity(MESSAGING, Identity.from_seed(self.seed))
        self.id = self.identity.node_id
        self.path = path
        self.send = send
        self.moment = Moment(0, 1_800_000_000_000)
        self.bites = Bites()
        self.contacts: set[NodeId] | None = None
        """None: all are."""
        self.lost_said: dict[bytes, int] = {}
        self.seen: Counter[str] = Counter()
        self.dies: Callable[[], bool] = lambda: False
        self.start()

    def start(self) -> None:
        """Open the file as a daemon would."""
        is_new = not self.path.exists()
        self.connection = connection = sqlite3.connect(self.path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = OFF", f"secure_delete = {self.secure_delete}"):
            connection.execute(f"PRAGMA {pragma}")
        if is_new:
            for statement in statements_of(TABLES + MAILBOX_COLUMNS + OUTBOX):
                connection.execute(statement)
        loaded = giving.load_account(connection, self.id)
        self.account: Account = loaded or account.issue(self.identity, self.moment.unix_ms)
        if loaded is None:
            with self.transaction():
                giving.store_account(connection, self.account)

    def stop(self) -> None:
        self.connection.close()

    def kill(self) -> None:
        """Lose what is not committed, and start again."""
        self.connection.close()
        self.start()

    def truncate(self) -> None:
        """What is deleted must leave the write-ahead log, too."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def files(self) -> list[bytes]:
        """All that lies on the disk."""
        return [path.read_bytes() for path in sorted(self.path.parent.glob(self.path.name + "*"))]

    def backup(self, to: Path) -> None:
        with sqlite3.connect(to) as copy:
            self.connection.backup(copy)
        copy.close()

    def restore(self, backup: Path) -> None:
        self.connection.close()
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(backup, self.path)
        self.start()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit at the end, or die right before or right after."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            if self.dies():
                raise Killed  # noqa: TRY301
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        if self.dies():
            raise Killed

    def is_contact(self, peer: NodeId) -> bool:
        return self.contacts is None or peer in self.contacts

    # --- the user

    def write(self, peer: NodeId, id_: MessageId, body: str) -> None:
        with self.transaction() as db:
            db.execute("INSERT INTO written (peer, id, body) VALUES (?, ?, ?)", (peer, id_, body))

    def shown(self) -> list[tuple[NodeId, str]]:
        return [(NodeId(row[0]), row[1]) for row in self.connection.execute("SELECT peer, body FROM shown")]

    def waiting(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM written WHERE NOT delivered").fetchone()[0])

    # --- sending

    def pump(self) -> None:
        """Send everything that is not acknowledged, again."""
        peers = self.connection.execute("SELECT DISTINCT peer FROM written WHERE NOT delivered").fetchall()
        for row in peers:
            self.pump_to(NodeId(row[0]))

    def pump_to(self, peer: NodeId, limit: int = 32) -> None:
        rows = self.connection.execute(
            "SELECT id, body, attempts FROM written WHERE peer = ? AND NOT delivered ORDER BY rowid LIMIT ?",
            (peer, limit),
        ).fetchall()
        drafts = [Draft(MessageId(r["id"]), Plain(0, Kind.TEXT, r["body"].encode())) for r in rows]
        with self.transaction() as db:
            if any(r["attempts"] and r["attempts"] % (REPETITIONS + 1) == 0 for r in rows):
                session = sending.session_of(db, peer, MessageId(rows[0]["id"]))
                if session is not None and sending.renew(db, peer, session, self.moment):
                    self.seen["gave up"] += 1
            leaving = sending.leave(db, self.account, peer, drafts, self.moment)
            db.executemany(
                "UPDATE written SET attempts = attempts + 1 WHERE peer = ? AND id = ?",
                [(peer, id_) for id_ in leaving.payloads],
            )
        if leaving.began or leaving.lacks_bundle:
            self.seen["began"] += leaving.began
            self.send(peer, BUNDLE_KIND, peer)
        for payload in leaving.payloads.values():
            self.send(peer, MSG_KIND, payload)

    # --- receiving

    def take(self, src: NodeId, kind: str, body: bytes) -> None:
        match kind:
            case "messaging.msg2":
                self.take_messages(src, [Msg2.decode(body)])
            case "messaging.acks":
                self._take_acks(src, body)
            case "messaging.reset":
                with self.transaction() as db:
                    is_taken = sending.take_reset(db, src, Reset.decode(body), self.moment)
                if is_taken:
                    self.seen["reset taken"] += 1
                    self.pump_to(src)
            case "messaging.bundle" if len(body) == NodeId.SIZE:
                self._give(src)
            case "messaging.bundle":
                self._take_bundles(src, body)

    def _take_bundles(self, src: NodeId, body: bytes) -> None:
        with self.transaction() as db:
            for bundle in parse_answer(body):
                if bundle.node_id == src:
                    taking.take_bundle(db, bundle, self.moment, from_itself=True, is_contact=self.is_contact(src))
        rest = "SELECT 1 FROM written WHERE NOT delivered AND peer = ? AND id NOT IN (SELECT id FROM outgoing)"
        if self.connection.execute(rest, (src,)).fetchone():
            self.pump_to(src)

    def take_messages(self, src: NodeId, msgs: Sequence[Msg2]) -> list[receiving.Outcome]:
        outcomes: list[receiving.Outcome] = []
        with self.transaction() as db:
            for msg in msgs:
                arrived = Arrived(src, self.is_contact(src), msg)
                outcome = receiving.receive(db, self.account, arrived, self.moment)
                outcomes.append(outcome)
                if outcome.plain is not None and outcome.plain.kind == Kind.TEXT:
                    db.execute("INSERT INTO shown VALUES (?, ?, ?)", (src, msg.message_id, outcome.plain.body.decode()))
        acks: list[MessageId] = []
        for msg, outcome in zip(msgs, outcomes, strict=True):
            self.seen[outcome.what.name] += 1
            self.seen["account changed"] += outcome.account_changed
            for limit in outcome.reached:
                self.bites.count(limit)
            if outcome.what in {What.OPENED, What.KNOWN}:
                acks.append(msg.message_id)
            elif outcome.what is What.LOST:
                self._say_lost(src, msg.session_id)
        if acks:
            self.send(src, ACKS_KIND, Acks(AckKind.DELIVERED, tuple(acks)).encode())
        return outcomes

    def _take_acks(self, src: NodeId, body: bytes) -> None:
        acks = Acks.decode(body)
        with self.transaction() as db:
            sending.acknowledged(db, src, acks.message_ids)
            db.executemany(
                "UPDATE written SET delivered = 1 WHERE peer = ? AND id = ?", [(src, id_) for id_ in acks.message_ids]
            )

    def _say_lost(self, src: NodeId, session_id: bytes) -> None:
        """Once a minute for a session."""
        if self.moment.lived_ms - self.lost_said.get(session_id, -60_000) >= 60_000:
            self.lost_said[session_id] = self.moment.lived_ms
            self.send(src, RESET_KIND, Reset.issue(self.identity, session_id, self.moment.unix_ms).raw)

    def _give(self, peer: NodeId) -> None:
        answer: list[bytes] = []
        with self.transaction() as db:
            limit = giving.full(db, peer)
            if limit is not None:
                self.bites.count(limit)
            else:
                made = self.make_bundle(one_time=True)
                giving.store_bundle(db, made, peer, self.moment)
                answer.append(made.bundle.raw)
            lasting = giving.lasting_bundle(db, self.moment)
            if lasting is None:
                made = self.make_bundle(one_time=False)
                giving.store_bundle(db, made, None, self.moment)
                lasting = made.bundle
            answer.append(lasting.raw)
        self.send(peer, BUNDLE_KIND, b"".join(answer))

    def make_bundle(self, *, one_time: bool) -> OwnBundle:
        created = giving.next_created_ms(self.connection, self.moment.unix_ms)
        return make(self.identity, self.account, one_time=one_time, created_ms=created)
