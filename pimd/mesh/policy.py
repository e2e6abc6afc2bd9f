"""Who may link (docs/protocol.md)."""

from collections.abc import Callable, Collection
from typing import Literal

from pimd.addresses import Endpoint
from pimd.ids import NodeId

PolicyName = Literal["allow_all", "allow_list", "trust_on_first_use"]


class Policy:
    """Answers with a reason to refuse, or None."""

    def __init__(
        self,
        name: PolicyName,
        authorized: Collection[NodeId],
        is_blocked: Callable[[NodeId], bool],
        pinned: Callable[[Endpoint], NodeId | None],
    ) -> None:
        self._name = name
        self._authorized = frozenset(authorized)
        self._is_blocked = is_blocked
        self._pinned = pinned

    @property
    def pins(self) -> bool:
        """Whether the first id met at a configured endpoint is to be remembered."""
        return self._name == "trust_on_first_use"

    def refusal(self, peer: NodeId, dialled: Endpoint | None) -> str | None:
        """Return why `peer` must not link, in words for the log; `dialled` is set when this side dialled."""
        if self._is_blocked(peer):
            return f"{peer} is blocked; `pim call peers.unblock` takes it back"
        if self._name == "allow_list" and peer not in self._authorized:
            return f"{peer} is not in [security] authorized_peers"
        if self.pins and dialled is not None:
            expected = self._pinned(dialled)
            if expected is not None and expected != peer:
                return (
                    f"{dialled.text} answered as {peer}, but {expected} was met there first; "
                    f"`pim forget {expected}` accepts the new one"
                )
        return None
