"""Who may link (docs/protocol.md)."""

from collections.abc import Callable, Collection
from typing import Literal

from pimd.ids import NodeId

PolicyName = Literal["allow_all", "allow_list", "trust_on_first_use"]


class Policy:
    """Answers with a reason to refuse, or None; `trust_on_first_use` admits as `allow_all` does."""

    def __init__(
        self,
        name: PolicyName,
        authorized: Collection[NodeId],
        is_blocked: Callable[[NodeId], bool],
    ) -> None:
        self._name = name
        self._authorized = frozenset(authorized)
        self._is_blocked = is_blocked

    def refusal(self, peer: NodeId) -> str | None:
        """Return why `peer` must not link, in words for the log."""
        if self._is_blocked(peer):
            return f"{peer} is blocked; `pim call peers.unblock` takes it back"
        if self._name == "allow_list" and peer not in self._authorized:
            return f"{peer} is not in [security] authorized_peers"
        return None
