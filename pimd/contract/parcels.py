"""Parcels: bodies of another feature that messaging delivers to one peer, as it delivers messages.

They are encrypted in the sessions of messages, kept on disk until they are acknowledged or expire, sent over restarts, taken
once, and shown in no conversation.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from pimd.contract.services import ServiceKey
from pimd.events import Subscription
from pimd.ids import MessageId, NodeId

PARCEL_LIMIT: Final = 8192
"""Bytes of one body."""
ParcelStatus = Literal["pending", "sent", "kept", "delivered", "failed"]


@dataclass(frozen=True)
class Parcel:
    """A body to be delivered to a peer."""

    peer: NodeId
    id: MessageId
    """Made by the feature, with random bytes, so that handing over twice delivers once."""
    body: bytes = field(repr=False)
    expires_s: int
    """So long it is tried, in lived time."""


@dataclass(frozen=True)
class ArrivedParcel:
    """A body that a peer sent; the session proves the peer."""

    position: int
    """Of its arrival, from 1; grows."""
    peer: NodeId
    body: bytes = field(repr=False)
    is_stranger: bool
    """Whether it came from somebody who was neither a contact nor a fellow, and takes room of strangers until it is dropped."""


@dataclass(frozen=True)
class ParcelState:
    """How far a parcel came."""

    position: int
    """Of the change; grows."""
    peer: NodeId
    id: MessageId
    status: ParcelStatus
    at_ms: int


@dataclass(frozen=True)
class ParcelNews:
    """Something arrived, or a status changed."""


class Parcels(Protocol):
    """Delivers bodies of one feature; what a method returned for survives SIGKILL. Provided by the feature `messaging`.

    What arrives, and every change of a status, waits here until the feature drops it, which it does once it has it on disk itself.

    Called by the feature that requires the provider, in any of its tasks, calls and timers, from `start` until `shutdown` has
    returned; never in a thread.

    Errors: `DatabaseError` when the disk did not take it, and then nothing was changed. What else is raised counts as a failure of
    the provider; its caller gets `ServiceFailed`.
    """

    async def send(self, parcels: Sequence[Parcel]) -> None:
        """Deliver bodies, in this order to each peer; those whose id was handed over before are passed over.

        To a peer without a card they wait, as without a route. ValueError for a body over `PARCEL_LIMIT`.
        """

    async def withdraw(self, parcels: Collection[tuple[NodeId, MessageId]]) -> None:
        """Send these no more; what was sent may still arrive, and nothing is said of them any more."""

    async def arrived(self, after: int, most: int) -> Sequence[ArrivedParcel]:
        """Return bodies that came after a position, in order of arrival."""

    async def drop_arrived(self, positions: Collection[int]) -> None:
        """Forget bodies; one of a stranger takes room of strangers until then."""

    async def states(self, after: int, most: int) -> Sequence[ParcelState]:
        """Return the status of parcels that changed after a position, the newest status of each."""

    async def drop_states(self, up_to: int) -> None:
        """Forget parcels that were delivered or failed, whose status changed up to a position."""

    async def set_fellows(self, peers: Collection[NodeId]) -> None:
        """Name those whose parcels are welcome as those of contacts are; their texts stay those of strangers. Replaces all."""

    def news(self) -> Subscription[ParcelNews]:
        """Be told when something arrived or a status changed."""


PARCELS: ServiceKey[Parcels] = ServiceKey("parcels")
