"""The identities by name, label and id: look-ups that do not read all of them."""

from collections.abc import Collection, Iterator
from typing import Protocol

from pimd.ids import NodeId


class PeerIndex(Protocol):
    """Names and labels are compared in NFC, without case, and with one space between words.

    A name that a peer gave itself is in no look-up when it reads as an id, or holds letters that are not seen.

    Called by the plugin, in any of its tasks, calls and timers, from `start` until `shutdown` has returned; never in
    a thread.

    Errors: none; nobody found is an empty answer.
    """

    def label(self, node_id: NodeId) -> str | None:
        """Return the user's label of an id, or else that of the configured address where it was met."""

    def labelled(self, label: str) -> Collection[NodeId]:
        """Return whom the user gave that label, known or not."""

    def contacts_called(self, name: str) -> Collection[NodeId]:
        """Return the contacts that call themselves so, or were imported under that name."""

    def met_called(self, name: str) -> Collection[NodeId]:
        """Return who calls itself so, was met on a link, and is no contact."""

    def starting_with(self, digits: str) -> Iterator[NodeId]:
        """Yield the identities whose id starts with these lowercase hexadecimal digits, in order."""

    def after(self, node_id: NodeId | None) -> Iterator[NodeId]:
        """Yield the identities behind that id in order, all of them for None; the keystore must not change meanwhile."""

    def shown(self, node_id: NodeId) -> str:
        """Return the label; else the peer's own name, with its id where that name cannot stand for it; else the short id."""
