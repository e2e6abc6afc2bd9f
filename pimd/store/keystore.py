"""All known identities: read from memory, every change on disk before it is announced."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from pimd.addresses import Endpoint
from pimd.clock import LivedClock
from pimd.contract.peers import Forgotten, PeerDirectoryEvent, PeerInfoSource, Seen
from pimd.contract.services import KeyConflict, KnownPeer
from pimd.database import Database
from pimd.events import Subscription, Topic
from pimd.ids import NodeId
from pimd.limits import Bites, Limit, declare
from pimd.proto.cards import Card
from pimd.proto.identity import KEY_SIZE, is_low_order_x25519
from pimd.store import lived_rows
from pimd.store.eviction import NONE_IN_USE, InUse
from pimd.store.forget_listeners import ForgetListener, ForgetListeners
from pimd.store.identities import Identities, card_ed25519
from pimd.store.keystore_rows import (
    AGED_OUT,
    FORGOTTEN,
    MIGRATIONS,
    NOTES,
    OWN,
    PINS,
    SEEN,
    Gone,
    Note,
)
from pimd.store.learned import Learned
from pimd.store.mirror import Mirror, MirrorTable
from pimd.store.own_key import OwnKey
from pimd.store.peer_index import PeerIndex
from pimd.store.sources import Sources
from pimd.task_scope import task_scope

log = logging.getLogger(__name__)

IDENTITIES_KEPT = declare(
    "identities",
    100_000,
    "identities",
    "of the source that brought the most the oldest is evicted, without a route first; "
    "contacts, configured and linked peers stay, and those with stored messages",
)
FORGOTTEN_KEPT = declare("marks of forgotten identities", 100_000, "pairs of id and seq", "the oldest mark is dropped")
AGED_OUT_KEPT = declare("marks of aged out identities", 100_000, "pairs of id and seq", "the oldest mark is dropped")


class Keystore(OwnKey):
    """The contract's `PeerDirectory` and `Keystore`, and what the mesh needs besides.

    Changes are made in memory at once. What the user asks for is awaited until it is on disk, and raises
    `DatabaseError`, with nothing changed, when that fails; cards are not awaited. Events follow the commit, in order.
    """

    def __init__(
        self,
        database: Database,
        clock: LivedClock,
        tasks: asyncio.TaskGroup,
        in_use: InUse,
        *,
        limit: int,
        gone_limit: int,
    ) -> None:
        self.counters: Counter[str] = Counter()
        """`cards_of_other_keys`, `cards_without_room`, `identities_evicted`, `identities_aged_out`."""
        self.bites = Bites()
        """The counts of the whole daemon, made here because the keystore is its first part with limits."""
        self.damaged = database.damaged
        """Where a damaged `peers.db` was moved at this start; None as a rule."""
        self._database = database
        self._clock = clock
        self._in_use = in_use
        self._limit = limit
        self._gone_limit = gone_limit
        self._mirror = Mirror(database, "keystore")
        self._identities = Identities(self._mirror)
        self._seen = self._mirror.table(SEEN)
        self._notes = self._mirror.table(NOTES)
        self._forgotten = self._mirror.table(FORGOTTEN)
        self._aged_out = self._mirror.table(AGED_OUT)
        self._pins = self._mirror.table(PINS)
        self._own = self._mirror.table(OWN)
        self.index = PeerIndex(self._identities, self._notes)
        """Names, labels and ids."""
        self._identities.changed, self._notes.changed = self.index.identity_changed, self.index.note_changed
        self._sources = Sources(self._mirror, self._identities, in_use.has_route, self._who_may_go)
        self._needed_by: list[Callable[[NodeId], bool]] = []
        self._listeners = ForgetListeners(clock, tasks, self.bites)
        self._topic: Topic[PeerDirectoryEvent] = Topic(self.bites)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        clock: LivedClock,
        in_use: InUse = NONE_IN_USE,
        *,
        limit: int = IDENTITIES_KEPT.value,
        gone_limit: int = FORGOTTEN_KEPT.value,
    ) -> AsyncIterator[Self]:
        """Own the file until the end of the block; by then everything is on disk. The clock's lived time continues from it.

        Raises `DatabaseError`. `in_use` is called only when identities have to be evicted or aged out.
        """
        async with Database.open(path, MIGRATIONS, clock=clock) as database, task_scope() as tasks:
            await lived_rows.resume(database, clock)
            keystore = cls(database, clock, tasks, in_use, limit=limit, gone_limit=gone_limit)
            await keystore._load()
            try:
                yield keystore
                await keystore.keep_lived_time()
            finally:
                keystore._listeners.stop()

    # --- PeerDirectory

    async def lookup_x25519(self, peer: NodeId) -> bytes | None:
        """Return the 32-byte public key, imported or from a card; None for a stranger."""
        known = self._identities.get(peer)
        return known.x25519_pub if known is not None else None

    async def lookup_name(self, peer: NodeId) -> str | None:
        """Return what the peer calls itself; None for a stranger."""
        known = self._identities.get(peer)
        return known.name if known is not None else None

    def subscribe(self) -> Subscription[PeerDirectoryEvent]:
        """Receive every event from now on, each after it is on disk."""
        return self._topic.subscribe()

    # --- what the mesh brings

    def learn(self, card: Card, *, direct: bool, brought_by: str = "") -> Learned:
        """Take a valid card of another node; in memory at once, on disk with `durable`.

        `direct` means on a link authenticated with that very peer, which also brings back a forgotten one; `brought_by`
        is the source of the link that it came on.
        """
        held = self._identities.get(card.node_id)
        if held is None:
            refused = self._refuse_stranger(card, direct=direct)
            if refused is not None:
                return refused
        elif not self.accepts_keys(card.node_id, card.ed25519_pub, card.x25519_pub):
            return Learned.OTHER_KEYS
        elif held.card is not None and card.seq <= held.seq:
            self._met_again(held, direct=direct, brought_by=brought_by)
            return Learned.OLD
        self._sources.note(card.node_id, brought_by, anew=held is None or direct)
        self._store(card, held, direct=direct)
        return Learned.NEW

    def accepts_keys(self, node_id: NodeId, ed25519_pub: bytes, x25519_pub: bytes) -> bool:
        """Tell whether the keys are those of the first valid card of that id; a mismatch is counted."""
        held = self._identities.get(node_id)
        if held is None or held.card is None:
            return True
        if (card_ed25519(held.card), held.x25519_pub) == (ed25519_pub, x25519_pub):
            return True
        self.counters["cards_of_other_keys"] += 1
        return False

    def met(self, node_id: NodeId, *, direct: bool, brought_by: str = "") -> None:
        """Note that the card held was received again; on a link of its own the peer becomes a direct one."""
        held = self._identities.get(node_id)
        if held is not None:
            self._met_again(held, direct=direct, brought_by=brought_by)

    def learned_seq(self, node_id: NodeId) -> int:
        """Return the seq of the card held; -1 without one."""
        held = self._identities.get(node_id)
        return held.seq if held is not None and held.card is not None else -1

    def age_out(self, unseen_since_lived_ms: int, most: int) -> int:
        """Remove up to `most` identities without a relation to the user and not seen since; return their number.

        Identities that may not be evicted stay, and so do blocked ones and those with a route. (id, seq) of each is
        kept, so that the same card is not learned again. A newer card, or a link, makes it a stranger anew.
        """
        may_go, now_ms = self._who_may_go(), self._clock.lived_ms()
        stale = (
            node_id
            for key in self._identities.table.rows
            if self._seen.rows.get(key, now_ms) < unseen_since_lived_ms
            and may_go(node_id := NodeId(key))
            and self._is_out_of_reach(node_id)
        )
        going = list(itertools.islice(stale, most))
        for node_id in going:
            self.counters["identities_aged_out"] += 1
            self._leave(self._identities[node_id], self._aged_out, AGED_OUT_KEPT)
            self._tell_later(node_id)
        return len(going)

    def take_back(self, node_id: NodeId) -> None:
        """Let the card of a forgotten or aged out identity be learned again."""
        self._forgotten.remove(node_id)
        self._aged_out.remove(node_id)

    def durable(self) -> Awaitable[None]:
        """Wait until every change so far is on disk; `DatabaseError` when the newest could not be, and was undone."""
        return self._mirror.durable()

    async def keep_lived_time(self) -> None:
        """Write how long this data directory has lived; a failure is logged."""
        await lived_rows.keep(self._database, self._clock)

    @property
    def on_forgotten(self) -> "list[ForgetListener]":
        """Async callables that are called for each removed identity; add and remove as needed."""
        return self._listeners.listeners

    # --- Keystore

    def identity(self, node_id: NodeId) -> KnownPeer | None:
        """Return an identity without the user's notes; called for every frame."""
        return self._identities.find(node_id)

    def get(self, node_id: NodeId) -> KnownPeer | None:
        """Return an identity with the user's notes, or None."""
        peer = self._identities.get(node_id)
        note = self._notes.get(node_id)
        if peer is None or note is None:
            return peer
        return replace(peer, label=note.label, contact=note.contact, blocked=note.blocked)

    def list(self) -> Sequence[KnownPeer]:
        """Return all identities in order of node id."""
        return [peer for node_id in sorted(self._identities) if (peer := self.get(node_id)) is not None]

    def is_blocked(self, node_id: NodeId) -> bool:
        """Tell whether links and payloads of this id are refused, known or not."""
        note = self._notes.rows.get(node_id)
        return note is not None and note.blocked

    def is_contact(self, node_id: NodeId) -> bool:
        """Tell whether the user imported, labelled or wrote to this id."""
        note = self._notes.rows.get(node_id)
        return note is not None and note.contact

    def brought_by(self, node_id: NodeId) -> str:
        """Return the source of the link on which its card first came, or of its own last link; empty when unknown."""
        return self._sources.of(node_id)

    def keep(self, is_needed: Callable[[NodeId], bool]) -> Callable[[], None]:
        """Neither evict nor age out those that `is_needed` is true for; the returned function ends that."""
        self._needed_by.append(is_needed)
        return lambda: self._needed_by.remove(is_needed)

    def labels(self) -> Mapping[NodeId, str]:
        """All labels, also of ids without an identity."""
        return {node_id: note.label for node_id, note in self._notes.items() if note.label is not None}

    def label(self, node_id: NodeId) -> str | None:
        """Return the user's name for an id, known or not."""
        return self._note_of(node_id).label

    def gateways(self) -> Collection[NodeId]:
        """Return the identities whose card says that they lead out of the mesh."""
        return tuple(NodeId(key) for key in self.index.gateways)

    def is_forgotten(self, node_id: NodeId) -> bool:
        """Tell whether the user forgot it and it was not learned again."""
        return node_id in self._forgotten and node_id not in self._identities

    def count(self) -> int:
        """Return the number of identities."""
        return len(self._identities)

    async def import_identity(self, node_id: NodeId, x25519_pub: bytes, name: str) -> bool:
        """Store a key given by the user and make it a contact; True when the key was new. An empty name keeps the one held.

        Raises `KeyConflict` when a signed card holds another, ValueError for a key that is none.
        """
        if len(x25519_pub) != KEY_SIZE or is_low_order_x25519(x25519_pub):
            raise ValueError("an X25519 public key has 32 bytes and is not of low order")
        held = self._identities.get(node_id)
        if held is not None and held.card is not None and held.x25519_pub != x25519_pub:
            raise KeyConflict(node_id, x25519_pub, held.x25519_pub)
        if held is None or held.card is None:
            self._store_import(node_id, x25519_pub, name, held)
        self._set_note(node_id, replace(self._note_of(node_id), contact=True))
        await self.durable()
        return held is None or held.x25519_pub != x25519_pub

    async def forget(self, node_id: NodeId) -> bool:
        """Delete contact, label, pin, import and card, keep (id, seq) so that this card is not learned again.

        A block stays. Returns after every listener was told, or 5 s; False when nothing was known.
        """
        peer, note = self._identities.get(node_id), self._note_of(node_id)
        pins = [address for address, pinned in self._pins.items() if pinned == node_id]
        if peer is None and not pins and note == Note(blocked=note.blocked):
            return False
        self._set_note(node_id, Note(blocked=note.blocked))
        for address in pins:
            self._pins.remove(address)
        if peer is not None:
            self._leave(peer, self._forgotten, FORGOTTEN_KEPT)
        await self.durable()
        if peer is not None:
            await self._listeners.tell(node_id)
        return True

    async def set_label(self, node_id: NodeId, label: str | None) -> None:
        """Name a peer and make it a contact; None removes the label only."""
        note = self._note_of(node_id)
        self._set_note(node_id, replace(note, label=label, contact=note.contact or label is not None))
        await self.durable()

    async def set_contact(self, node_id: NodeId, *, contact: bool) -> None:
        """Mark an id as a contact, or no longer."""
        self._set_note(node_id, replace(self._note_of(node_id), contact=contact))
        await self.durable()

    async def set_blocked(self, node_id: NodeId, *, blocked: bool) -> None:
        """Refuse, or accept again, links and payloads of this id; survives forget."""
        self._set_note(node_id, replace(self._note_of(node_id), blocked=blocked))
        await self.durable()

    async def replace_key(self, old: NodeId, new: NodeId, but: Collection[Endpoint] = ()) -> None:
        """Move label, contact mark and pins, but those of some endpoints, in one transaction; a block stays."""
        stay = {endpoint.text for endpoint in but}
        before, mine = self._note_of(old), self._note_of(new)
        for address, pinned in tuple(self._pins.items()):
            if pinned == old and address not in stay:
                self._pins.put(address, new)
        label = before.label if before.label is not None else mine.label
        self._set_note(new, replace(mine, label=label, contact=mine.contact or before.contact))
        self._set_note(old, Note(blocked=before.blocked))
        await self.durable()

    def pinned(self, endpoint: Endpoint) -> NodeId | None:
        """Return the id that was first met at a configured endpoint, if any."""
        return self._pins.get(endpoint.text)

    async def pin(self, endpoint: Endpoint, node_id: NodeId) -> None:
        """Store which node answers at an endpoint."""
        self._pins.put(endpoint.text, node_id)
        await self.durable()

    async def unpin(self, *, endpoint: Endpoint | None = None, node_id: NodeId | None = None) -> None:
        """Forget the pin of an endpoint, all pins of an id, or, with both, all of these."""
        text = endpoint.text if endpoint is not None else None
        for pinned_address, pinned_id in tuple(self._pins.items()):
            if pinned_address == text or pinned_id == node_id:
                self._pins.remove(pinned_address)
        await self.durable()

    # --- how

    def _refuse_stranger(self, card: Card, *, direct: bool) -> Learned | None:
        if not direct and any(
            card.seq <= gone[card.node_id][0] for gone in (self._forgotten, self._aged_out) if card.node_id in gone
        ):
            return Learned.FORGOTTEN
        # As with an import, a user's request is stored even when no identity may be evicted for it.
        if not self._make_room() and not self._is_wished_for(card.node_id):
            self.counters["cards_without_room"] += 1
            return Learned.FULL
        return None

    async def _load(self) -> None:
        await self._mirror.load()
        self._sources.begin(self._seen)
        self._identities.changed = self._identity_changed

    def _identity_changed(self, key: bytes) -> None:
        self.index.identity_changed(key)
        self._sources.changed(key)

    def _met_again(self, held: KnownPeer, *, direct: bool, brought_by: str) -> None:
        if direct:
            self._sources.note(held.node_id, brought_by, anew=True)
        if direct and held.known != "direct":
            self._put(replace(held, known="direct", last_seen_ms=self._clock.unix_ms()))

    def _store(self, card: Card, held: KnownPeer | None, *, direct: bool) -> None:
        if held is not None and held.x25519_pub != card.x25519_pub:
            log.warning("%s signed another key than the one imported: the signed one counts", held.node_id.abbreviated)
        now = self._clock.unix_ms()
        peer = KnownPeer(
            node_id=card.node_id,
            x25519_pub=card.x25519_pub,
            name=card.name,
            known="direct" if direct or (held is not None and held.known == "direct") else "signed",
            card=card.raw,
            seq=card.seq,
            flags=card.flags,
            label=None,
            contact=False,
            blocked=False,
            first_seen_ms=now if held is None else held.first_seen_ms,
            last_seen_ms=now,
        )
        self._forgotten.remove(card.node_id)
        self._aged_out.remove(card.node_id)
        self._put(peer)
        self._publish_seen(peer, PeerInfoSource.DIRECT if direct else PeerInfoSource.ROUTED)

    def _store_import(self, node_id: NodeId, x25519_pub: bytes, name: str, held: KnownPeer | None) -> None:
        # A user's request is stored even when no identity may be evicted for it.
        if held is None:
            self._make_room()
        now = self._clock.unix_ms()
        peer = KnownPeer(
            node_id=node_id,
            x25519_pub=x25519_pub,
            name=name or (held.name if held is not None else ""),
            known="imported",
            card=None,
            seq=0,
            flags=0,
            label=None,
            contact=False,
            blocked=False,
            first_seen_ms=now if held is None else held.first_seen_ms,
            last_seen_ms=now,
        )
        self._put(peer)
        self._publish_seen(peer, PeerInfoSource.ROUTED)

    def _put(self, peer: KnownPeer) -> None:
        self._identities.put(peer)
        self._seen.put(bytes(peer.node_id), self._clock.lived_ms())

    def _publish_seen(self, peer: KnownPeer, via: PeerInfoSource) -> None:
        self._publish(Seen(peer.node_id, peer.x25519_pub, peer.name, via))

    def _leave(self, peer: KnownPeer, marks: MirrorTable[bytes, Gone], limit: Limit) -> None:
        """Remove an identity, and mark its card as not to be learned again."""
        if peer.card is not None:
            marks.remove(peer.node_id)  # the newest mark is the last one
            marks.put(bytes(peer.node_id), (peer.seq, self._clock.lived_ms()))
            while len(marks) > self._gone_limit:
                self.bites.count(limit)
                marks.remove(next(iter(marks)))
        self._drop(peer.node_id)

    def _drop(self, node_id: NodeId) -> None:
        self._sources.table.remove(node_id)
        self._identities.remove(node_id)
        self._seen.remove(node_id)
        self._publish(Forgotten(node_id))

    def _publish(self, event: PeerDirectoryEvent) -> None:
        self._mirror.after_commit(lambda: self._topic.publish(event))

    def _note_of(self, node_id: NodeId) -> Note:
        return self._notes.get(node_id, Note())

    def _set_note(self, node_id: NodeId, note: Note) -> None:
        if note == Note():
            self._notes.remove(node_id)
        else:
            self._notes.put(node_id, note)

    def _make_room(self) -> bool:
        while len(self._identities) >= self._limit:
            self.bites.count(IDENTITIES_KEPT)
            victim = self._sources.victims.next()
            if victim is None:
                return False
            self._evict(victim)
        return True

    def _is_wished_for(self, node_id: NodeId) -> bool:
        return self._note_of(node_id).contact or self._in_use.is_configured(node_id)

    def _evict(self, node_id: NodeId) -> None:
        self.counters["identities_evicted"] += 1
        self._drop(node_id)
        self._tell_later(node_id)

    def _tell_later(self, node_id: NodeId) -> None:
        self._mirror.after_commit(lambda: self._listeners.tell_later(node_id))

    def _is_out_of_reach(self, node_id: NodeId) -> bool:
        return not self._note_of(node_id).blocked and not self._in_use.has_route(node_id)

    def _who_may_go(self) -> Callable[[NodeId], bool]:
        pinned = set(self._pins.values())
        reasons = (self.is_contact, self._in_use.is_configured, self._in_use.is_linked, *self._needed_by)
        return lambda node_id: node_id not in pinned and not any(is_kept(node_id) for is_kept in reasons)
