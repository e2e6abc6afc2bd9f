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
from pimd.mesh.key_questions import KeyQuestions
from pimd.mesh.links import LinkTable
from pimd.mesh.peer_link import PeerLink
from pimd.mesh.same_key import WAITS, SameKeys
from pimd.proto.frames import GoodbyeReason
from pimd.proto.handshake import ABILITY_ANNOUNCED
from pimd.proto.identity import Identity
from pimd.proto.same_key import KeyInUse, SameKeyNote
from pimd.store.keystore import Keystore

log = logging.getLogger("pimd.mesh")


class KeyUse:
    """What the node and its handshakes ask about keys that are in use twice, its own and those of peers."""

    def __init__(
        self,
        identity: Identity,
        question: KeyInUse,
        keystore: Keystore,
        clock: Clock,
        links: LinkTable[PeerLink],
        dialler: Dialler,
        announce: Announce,
    ) -> None:
        self._own_id = identity.node_id
        self._instance = question.instance
        self._keystore = keystore
        self._links = links
        self._dialler = dialler
        self._group: asyncio.TaskGroup | None = None
        self.contests = Contests(links, clock)
        self.same_keys = SameKeys(self._own_id, clock, keystore.index.label, keystore.bites)
        self.same_keys.waits = keystore.waits_for_person
        self.questions = KeyQuestions(identity, question, clock, links, self.same_keys, self, keystore.bites)
        self.look = FirstLook(clock, self.questions.search, announce, keystore.bites)

    def publish_with(self, publish: Callable[[SameKey], None]) -> None:
        """Tell features of what is found."""
        self.same_keys.publish = publish

    def note_start(self) -> None:
        """Keep the instance of this start; called before the first card, with whose number it is on disk."""
        self.questions.own_starts = self._keystore.note_start(self._instance)

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Dial, unless a person must decide first."""
        self._group = group
        if self.same_keys.waits:
            log.warning("%s", WAITS)
        else:
            self._dialler.start(group)

    @property
    def is_announced(self) -> bool:
        """Whether this node announced itself since its start: from then on it never yields."""
        return self.look.is_over and not self.same_keys.waits

    def tell_both(self, link: PeerLink, rival: PeerLink) -> bytes:
        """Note that two processes have one key, and return what to tell the one that is refused."""
        at, other_at = rival.listens_at.text, link.listens_at.text
        self.same_keys.note(link.peer_id, (at, other_at))
        answer = rival.key_answer
        is_its = answer is not None and answer.instance == link.instance
        return SameKeyNote(at, other_at, answer.signature if answer is not None and is_its else b"").encode()

    def told(self, link: PeerLink, note: bytes) -> None:
        """Take the word of a neighbour that another process has the key of this node, and the proof if it has one."""
        try:
            said = SameKeyNote.decode(note)
        except ValueError:
            said = SameKeyNote("", "")
        addresses = [address for address in (said.linked_at, said.other_at) if address]
        self.same_keys.note(self._own_id, addresses, link.peer_id)
        if self.questions.proves(said.signature):
            self.in_use()

    def met(self, link: PeerLink) -> None:
        """Note that another process proved the key of this node to it, which waits if only that one is announced."""
        if self.same_keys.note(self._own_id, (link.own_address, link.listens_at.text)):
            self.questions.tell_neighbours(link.listens_at.text)
        if link.abilities & ABILITY_ANNOUNCED:
            self.in_use()

    def foreign_card(self, brought_by: NodeId) -> None:
        """Count a card of this node above its newest, which it did not issue."""
        link = self._links.best(brought_by)
        behind = f"one behind {link.listens_at.text if link is not None else brought_by}"
        if self.same_keys.foreign_card(brought_by, behind):
            self.questions.tell_neighbours(behind)

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

    def nobody(self, link: PeerLink) -> None:
        """The neighbour on this link knows of no other process."""
        self.look.nobody(link)

    def in_use(self) -> None:
        """Wait for a person, unless this node is announced: link with nobody, also after a restart."""
        if self.look.is_over or self._group is None or self.same_keys.waits:
            return
        self.same_keys.waits = True
        log.warning("%s", WAITS)
        self.look.give_up()
        self._dialler.stop()
        for link in self._links.all():
            link.close(GoodbyeReason.NOT_ADMITTED)
        self._group.create_task(self._mark_waiting(), name="mark of a doubled key")

    async def _mark_waiting(self) -> None:
        try:
            await self._keystore.set_waits_for_person(waits=True)
        except DatabaseError as error:
            log.error("that this node waits is not on disk, and forgotten with a restart: %s", error)
