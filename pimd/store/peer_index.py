"""Implements `contract.PeerIndex` over the tables of the keystore, kept up to date with each change of a row."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping

from pimd.characters import escaped, folded, hidden, reads_as_id
from pimd.contract.services import KnownPeer
from pimd.ids import NodeId
from pimd.store.groups import Groups
from pimd.store.keystore_rows import Note

_Names = Groups[str, bytes]
"""Ids by folded name; like all here as plain bytes, which the garbage collector does not visit."""


class PeerIndex:
    """Made before the tables are read; `identity_changed` and `note_changed` are called behind each change."""

    def __init__(self, identities: Mapping[NodeId, KnownPeer], notes: Mapping[NodeId, Note]) -> None:
        self.gateways: dict[bytes, None] = {}
        """Identities whose card says that they lead out of the mesh."""
        self._identities = identities
        self._notes = notes
        self._ids: list[bytes] = []
        self._labels: _Names = Groups()
        self._contacts: _Names = Groups()
        self._met: _Names = Groups()
        self._configured: dict[NodeId, str] = {}
        self._reserved: frozenset[str] = frozenset()
        """Folded labels of configured addresses, also of those where nobody was met."""

    # --- what changes it

    def identity_changed(self, key: bytes) -> None:
        """Take in a row that was added, replaced or removed."""
        node_id, at = NodeId(key), bisect_left(self._ids, key)
        known, was_known = self._identities.get(node_id), at < len(self._ids) and self._ids[at] == key
        if known is not None and not was_known:
            self._ids.insert(at, key)
        elif known is None and was_known:
            del self._ids[at]
        if known is not None and known.is_gateway:
            self.gateways[key] = None
        else:
            self.gateways.pop(key, None)
        self._rename(node_id, key)

    def note_changed(self, node_id: NodeId, old: Note | None, new: Note | None) -> None:
        """Take in a note that was added, replaced or removed."""
        before, after = (note.label if note is not None else None for note in (old, new))
        if after is None:
            self._labels.remove(node_id)
        elif before != after:
            self._labels.put(folded(after), bytes(node_id))
        self._rename(node_id, bytes(node_id))

    def labels_configured(self, labels: Iterable[tuple[NodeId | None, str]]) -> None:
        """Take in all labels of configured addresses, each with the node known there; empty ones are none."""
        given = [(node_id, label) for node_id, label in labels if label]
        self._configured = {node_id: label for node_id, label in given if node_id is not None}
        self._reserved = frozenset(folded(label) for _, label in given)

    # --- contract.PeerIndex

    def labelled(self, label: str) -> Collection[NodeId]:
        """Return whom the user gave that label."""
        return tuple(NodeId(key) for key in self._labels.members(folded(label)))

    def contacts_called(self, name: str) -> Collection[NodeId]:
        """Return the contacts with that name."""
        return tuple(NodeId(key) for key in self._contacts.members(folded(name)))

    def met_called(self, name: str) -> Collection[NodeId]:
        """Return others with that name, met on a link."""
        return tuple(NodeId(key) for key in self._met.members(folded(name)))

    def starting_with(self, digits: str) -> Iterator[NodeId]:
        """Yield the identities whose id starts so."""
        first = bytes.fromhex(digits.ljust(2 * NodeId.SIZE, "0"))
        start = bisect_left(self._ids, first)
        return itertools.takewhile(
            lambda node_id: node_id.hex().startswith(digits), map(NodeId, itertools.islice(self._ids, start, None))
        )

    def after(self, node_id: NodeId | None) -> Iterator[NodeId]:
        """Yield the identities behind an id."""
        start = bisect_right(self._ids, node_id) if node_id is not None else 0
        return map(NodeId, itertools.islice(self._ids, start, None))

    def shown(self, node_id: NodeId) -> str:
        """Return a label, a name that can stand for the node, a name with its id, or the short id."""
        known, label = self._identities.get(node_id), self.label(node_id)
        if label is not None:
            return label
        if known is None or not known.name:
            return node_id.short
        if is_usable(known.name) and not self._is_of_another(known.name, node_id):
            return known.name
        unseen = set(hidden(known.name))
        plain = "".join(escaped(char) if at in unseen else char for at, char in enumerate(known.name))
        return f"{plain} ({node_id.short})"

    def label(self, node_id: NodeId) -> str | None:
        """Return the user's label, or else that of the configured address where the node was met."""
        note = self._notes.get(node_id)
        return note.label if note is not None and note.label is not None else self._configured.get(node_id)

    # --- how

    def _is_of_another(self, name: str, node_id: NodeId) -> bool:
        """Tell whether a name is a label, or belongs to others of the first kind that `peers.resolve` would find."""
        key = folded(name)
        if key in self._labels or key in self._reserved:
            return True
        names = self._contacts if key in self._contacts else self._met
        return any(bearer != node_id for bearer in names.members(key))

    def _rename(self, node_id: NodeId, key: bytes) -> None:
        known, note = self._identities.get(node_id), self._notes.get(node_id)
        is_contact = note is not None and note.contact
        may_stand = known is not None and (is_contact or known.known == "direct") and is_usable(known.name)
        for names, is_here in ((self._contacts, is_contact), (self._met, not is_contact)):
            if known is not None and may_stand and is_here:
                names.put(folded(known.name), key)
            else:
                names.remove(key)


def is_usable(name: str) -> bool:
    """Tell whether a name that a peer gave itself may stand for its id."""
    return bool(name) and not hidden(name) and not reads_as_id(name)
