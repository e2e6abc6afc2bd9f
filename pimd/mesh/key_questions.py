"""Asks, before the first announcement, for a living proof that another process has this node's key (docs/protocol.md)."""

from collections.abc import Callable
from typing import Protocol

from pimd.clock import Clock
from pimd.contract.control import Sent
from pimd.ids import NodeId
from pimd.limits import Bites, TokenBucket, declare_rate
from pimd.mesh.links import LinkTable
from pimd.mesh.peer_link import PeerLink
from pimd.mesh.same_key import SameKeys
from pimd.proto.frames import PluginPayload
from pimd.proto.handshake import LinkPeer
from pimd.proto.identity import Identity
from pimd.proto.same_key import ANSWER, DOUBLED, INSTANCE_SIZE, QUESTION, SEARCH, KeyInUse

ANSWERS = declare_rate(
    "answers that a key is in use",
    1,
    "answers",
    "not answered: the process that asks does not wait",
    burst=16,
)

SendRouted = Callable[[NodeId, PluginPayload], Sent]


class Asker(Protocol):
    """What a process does with answers about its own key."""

    @property
    def is_announced(self) -> bool:
        """Whether this process announced itself since its start; only such a one answers, and it never yields."""

    def nobody(self, link: PeerLink) -> None:
        """The neighbour on this link knows of no other process."""

    def in_use(self) -> None:
        """Another process that has the key answered."""


class KeyQuestions:
    """The three parts: who asks, the neighbour who passes it on, and the process that has the key.

    The answer is a signature over random bytes of the start that asks. So no neighbour can answer, and none can keep an
    answer for the next start.
    """

    def __init__(
        self,
        identity: Identity,
        own: KeyInUse,
        clock: Clock,
        links: LinkTable[PeerLink],
        same_keys: SameKeys,
        asker: Asker,
        bites: Bites,
    ) -> None:
        self._identity = identity
        self._own = own
        self._clock = clock
        self._links = links
        self._same_keys = same_keys
        self._asker = asker
        self._answers = TokenBucket(ANSWERS, clock.now(), bites)
        self.own_starts = frozenset((own.instance,))
        """The instances of this node's last starts: anybody may keep a question of one, and bring it again."""
        self.send_routed: SendRouted = lambda *_: Sent.NO_ROUTE

    def search(self, link: PeerLink) -> None:
        """Ask a neighbour; the question is also the first frame, with which its end of the link is up."""
        link.send(PluginPayload(SEARCH, self._own.encode()))

    def ask_rival(self, rival: PeerLink, peer: LinkPeer, address: str) -> None:
        """Ask the linked process on behalf of `peer`, who proved the same key at `address`."""
        if peer.instance is not None and peer.question:
            rival.send(PluginPayload(QUESTION, KeyInUse(peer.instance, address, peer.question).encode()))

    def on_link(self, link: PeerLink, kind: str, body: bytes) -> None:
        """Take what a neighbour sent for itself or about its own key."""
        said = _decoded(body)
        if said is None:
            return
        if kind == SEARCH:
            self._pass_on(link, said)
        elif kind == QUESTION:
            self._answer(link.peer_id, said, link)
        elif kind == ANSWER:
            self._take_answer(link, said)
        elif kind == DOUBLED:
            self._same_keys.note(link.peer_id, (link.listens_at.text, said.address), link.peer_id)

    def routed(self, kind: str, src: NodeId, body: bytes) -> None:
        """Take a question of a node elsewhere in the mesh, or the answer to one that was passed on."""
        said = _decoded(body)
        if said is None:
            return
        if kind == QUESTION:
            self._answer(src, said, None)
        elif kind == ANSWER and said.signature:
            for link in self._links.of(src):
                self._same_keys.note(src, (said.address, link.listens_at.text))
                link.send(PluginPayload(ANSWER, body))

    def proves(self, signature: bytes) -> bool:
        """Tell whether it answers the question of this start."""
        return KeyInUse(self._own.instance, "", signature).is_answer_of(self._identity.ed25519_pub)

    def tell_neighbours(self, address: str, but: NodeId | None = None) -> None:
        """Say to every neighbour that another process has the key of this node, and where."""
        note = PluginPayload(DOUBLED, KeyInUse(self._own.instance, address).encode())
        for link in self._links.carrying():
            if link.peer_id != but:
                link.send(note)

    def _pass_on(self, link: PeerLink, said: KeyInUse) -> None:
        question = PluginPayload(QUESTION, said.seen_at(link.listens_at.text).encode())
        if self.send_routed(link.peer_id, question) is not Sent.SENT:
            link.send(PluginPayload(ANSWER, KeyInUse(said.instance).encode()))

    def _answer(self, asked_by: NodeId, said: KeyInUse, link: PeerLink | None) -> None:
        """Prove that this process runs, and take note of the other."""
        if not self._asker.is_announced or said.instance in self.own_starts:
            return
        if not said.is_question_of(self._identity.ed25519_pub) or not self._answers.take(self._clock.now()):
            return
        way = link or self._links.best(asked_by) or next(iter(self._links.carrying()), None)
        own_address = way.own_address if way is not None else "this machine"
        answer = PluginPayload(ANSWER, said.answered(self._identity, own_address).encode())
        if link is not None:
            link.send(answer)
        else:
            self.send_routed(asked_by, answer)
        if self._same_keys.note(self._identity.node_id, (own_address, said.address), asked_by):
            self.tell_neighbours(said.address, asked_by)

    def _take_answer(self, link: PeerLink, said: KeyInUse) -> None:
        if said.instance != self._own.instance:
            link.key_answer = said  # to a question that was asked for another process
        elif not said.signature:
            self._asker.nobody(link)
        elif said.is_answer_of(self._identity.ed25519_pub):
            self._same_keys.note(self._identity.node_id, (link.own_address, said.address), link.peer_id)
            self._asker.in_use()


def _decoded(body: bytes) -> KeyInUse | None:
    try:
        said = KeyInUse.decode(body)
    except ValueError:
        return None
    return said if len(said.instance) == INSTANCE_SIZE else None
