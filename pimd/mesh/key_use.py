"""One key, one process: compares those that prove the same key, and decides whether this node may announce itself."""

import asyncio
import logging
from collections.abc import Callable

from pimd.clock import Clock
from pimd.contract import SameKey
from pimd.database import DatabaseError
from pimd.ids import NodeId
from pimd.mesh.contests import Contests
from pimd.mesh.dialler import Dialler
from pimd.mesh.first_look import Announce, FirstLook
from pimd.mesh.links import LinkTable
from pimd.mesh.peer_link import PeerLink
from pimd.mesh.same_key import WAITS, SameKeys
from pimd.proto.cards import BadCard, Card
from pimd.proto.frames import GoodbyeReason, PluginPayload
from pimd.proto.same_key import KIND, SameKeyNote
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.mesh")


class KeyUse:
    """What the node and its handshakes ask about keys that are in use twice, its own and those of peers."""

    def __init__(
        self,
        own_id: NodeId,
        keystore: Keystore,
        clock: Clock,
        links: LinkTable[PeerLink],
        dialler: Dialler,
        parse_card: Callable[[bytes], Card],
        announce: Announce,
    ) -> None:
        self._own_id = own_id
        self._keystore = keystore
        self._links = links
        self._dialler = dialler
        self._parse = parse_card
        self._seq_before = 0
        """The highest number of an own card before this start; a card above it, met before the first announcement, is of
        another process, or of this node before its state was lost."""
        self._group: asyncio.TaskGroup | None = None
        self.contests = Contests(links, clock)
        self.same_keys = SameKeys(own_id, clock, keystore.labels, keystore.bites)
        self.look = FirstLook(own_id, clock, self._is_of_another, announce, self._in_use_beyond, keystore.bites)

    def publish_with(self, publish: Callable[[SameKey], None]) -> None:
        """Tell features of what is found."""
        self.same_keys.publish = publish

    def before_first_card(self) -> None:
        """Read what was known before this start; called before it issues a card."""
        self._seq_before = self._keystore.highest_own_seq
        self.same_keys.waits = self._keystore.waits_for_person

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Dial, unless a person must decide first."""
        self._group = group
        if self.same_keys.waits:
            log.warning("%s", WAITS)
        else:
            self._dialler.start(group)

    def tell_both(self, link: PeerLink, rival: PeerLink) -> bytes:
        """Note that two processes have one key, tell the linked one, and return what to tell the other."""
        known = self._keystore.identity(link.peer_id)
        at, other_at = rival.listens_at.text, link.listens_at.text
        self.same_keys.note(link.peer_id, (at, other_at))
        rival.send(PluginPayload(KIND, SameKeyNote(at, other_at).encode()))
        return SameKeyNote(at, other_at, (known.card if known is not None else None) or b"").encode()

    def told(self, link: PeerLink, note: bytes) -> None:
        """Take the word of a neighbour that another process has the key of this node."""
        try:
            said = SameKeyNote.decode(note)
        except ValueError:
            said = SameKeyNote("", "")
        addresses = [address for address in (said.linked_at, said.other_at) if address]
        self.same_keys.note(self._own_id, addresses, link.peer_id)
        if not self.look.is_over and self._is_of_another(said.card):
            self._wait_for_person()

    def met(self, link: PeerLink) -> None:
        """Note that another process proved the key of this node to it."""
        self.same_keys.note(self._own_id, ("this machine", link.listens_at.text))

    def foreign_card(self, brought_by: NodeId) -> None:
        """Count a card of this node above its newest, which it did not issue."""
        link = self._links.best(brought_by)
        self.same_keys.foreign_card(brought_by, link.listens_at.text if link is not None else str(brought_by))

    async def keep(self) -> None:
        """Go on with this key although another machine has it: a person decided so. `DatabaseError`."""
        await self._keystore.set_waits_for_person(waits=False)
        if self.same_keys.waits and self._group is not None:
            self.same_keys.waits = False
            self.look.end()
            self._dialler.start(self._group)

    async def let_new_key_start(self) -> None:
        """Forget, for the next start only, that this key is in use elsewhere: that start has another one."""
        await self._keystore.set_waits_for_person(waits=False)

    def _in_use_beyond(self, link: PeerLink) -> None:
        self.same_keys.note(self._own_id, ("this machine", f"one behind {link.listens_at.text}"), link.peer_id)
        self._wait_for_person()

    def _is_of_another(self, raw: bytes | int) -> bool:
        if isinstance(raw, int):
            return raw > self._seq_before
        try:
            card = self._parse(raw)
        except BadCard:
            return False
        return card.node_id == self._own_id and card.seq > self._seq_before

    def _wait_for_person(self) -> None:
        """Announce nothing from now on, and link with nobody, also after a restart."""
        if self._group is None or self.same_keys.waits:
            return
        self.same_keys.waits = True
        log.warning("%s", WAITS)
        self._dialler.stop()
        for link in self._links.all():
            link.close(GoodbyeReason.NOT_ADMITTED)
        self._group.create_task(self._mark_waiting(), name="mark of a doubled key")

    async def _mark_waiting(self) -> None:
        try:
            await self._keystore.set_waits_for_person(waits=True)
        except DatabaseError as error:
            log.error("that this node waits is not on disk, and forgotten with a restart: %s", error)
