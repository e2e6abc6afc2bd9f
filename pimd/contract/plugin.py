"""The in-process half of a feature."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic

from pydantic import BaseModel
from typing_extensions import TypeVar

from pimd.clock import Clock
from pimd.contract.cancellation import CancellationToken
from pimd.contract.control import ControlSender
from pimd.contract.datagrams import Datagrams
from pimd.contract.identity import IdentitySecrets
from pimd.contract.peers import PeerDirectory
from pimd.contract.services import Services
from pimd.contract.work import CallLater, Every, RunBlocking, Spawn
from pimd.ids import NodeId
from pimd.limits import Bites

S_co = TypeVar("S_co", bound=BaseModel, covariant=True, default=BaseModel)
S_contra = TypeVar("S_contra", bound=BaseModel, contravariant=True, default=BaseModel)


@dataclass(frozen=True)
class PluginContext(Generic[S_co]):
    """Everything the daemon offers a plugin, handed over once, at start; its parameter is the model of the settings.

    Ports and core services are views: they have the members of their Protocol, and no others.
    """

    peers: PeerDirectory
    control: ControlSender
    datagrams: Datagrams
    identity: IdentitySecrets
    data_dir: Path
    """The plugin's own directory, mode 0700, created by the daemon."""
    cancel: CancellationToken
    """Cancelled when the plugin is to stop; long-running tasks are tied to it."""
    clock: Clock
    settings: S_co
    """The validated `[features.<name>]` table, an instance of the model that the feature declared; need not be checked again."""
    log: logging.Logger
    services: Services
    """What the feature named in `uses` and `requires`; asking for anything else raises PermissionError."""
    spawn: Spawn
    """The only way to start a task; cancelled after `shutdown` returned or ran out of time, and dropped a second later."""
    call_later: CallLater
    """A timer of the daemon's clock; none fires once `shutdown` returned or ran out of time."""
    every: Every
    """The same, again and again."""
    run_blocking: RunBlocking
    """For files, hashes, libraries: everything that takes over 50 ms without awaiting."""
    bites: Bites = field(default_factory=Bites)
    """Where the feature counts that one of its limits was reached; `Mesh.counters` shows it."""


class DaemonPlugin(Generic[S_contra]):
    """Base of every plugin; each method but `start` has a default that does nothing.

    `DaemonPlugin[EchoSettings]` belongs to a feature whose `settings` are `EchoSettings`: `ctx.settings` is one of those.

    The life of a plugin: constructed without arguments, then `start` once. After that `handle_payload` and
    `on_peer_forgotten` any number of times, and at last `shutdown` once, even when its own `start` failed half-way.

    Containment: an exception of a plugin's code, `SystemExit` and `CancelledError` included, is logged and counted. A
    call over 30 s is cancelled and counted; one that ignores that is left behind. After 5 failures in 60 s, or 3 steps
    that block the daemon for over 0.6 s, the plugin is quarantined until it is enabled again: its payloads are dropped,
    and its methods answer -32601 with the state `quarantined`. This protects against faults, not against malice.
    """

    name: ClassVar[str]
    """`[a-z][a-z0-9_]*`; log field and, by convention, the prefix of the payload kinds."""
    payload_kinds: ClassVar[tuple[str, ...]] = ()
    """The `PluginPayload.kind`s it claims. A kind has one owner, by rank: built-in features first, then distributions by
    name. A later claimant is `failed`."""
    sent_kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds that it sends and does not take, because a feature of another node, or another one here, claims them."""

    async def start(self, ctx: PluginContext[S_contra]) -> None:
        """Return when start-up is complete; long-running work belongs in `ctx.spawn`, `ctx.every` and `ctx.run_blocking`.

        An exception makes the feature, and what requires it, `failed`. After 2 s the daemon opens its listeners without it
        (state `starting`), after 30 s it is `failed`.

        Called by the daemon once, in the task that starts the feature, after those in `requires` run; features that do not need each
        other start at the same time.

        Errors: whatever it raises, and a return after 30 s, is the reason in the row of the feature; `shutdown` is
        called then, too.
        """

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Take one payload of a claimed kind; `src` is proven end to end.

        One call at a time, from a bounded queue (1024 payloads or 16 MiB, at most 64 of one source). Payloads of one
        source come in order of arrival. Those of configured peers and contacts come before those of strangers, who
        could otherwise delay them without end.

        Called by the daemon once `start` has returned, in one task that belongs to this plugin, while nothing else of
        the plugin need be at rest.

        Errors: what it raises is logged and counted, the payload is gone, and the next one comes. Over 30 s it is
        cancelled, which counts as a failure.
        """

    async def on_peer_forgotten(self, peer: NodeId) -> None:
        """Delete the state of a peer whose identity was just removed from the keystore.

        What a user wrote is deleted only on request, through `PEER_DATA`. `peers.forget` answers after every plugin
        returned, or 5 s.

        Called by the daemon in a task for each running plugin, all at the same time, once the identity is gone from the disk;
        also while `handle_payload` runs.

        Errors: what it raises is logged and counted; the others are told all the same, and the peer stays forgotten.
        Over 5 s it is cancelled.
        """

    async def shutdown(self) -> None:
        """Release what `start` took, best effort, within 3 s, exactly once; nothing of the plugin runs after it.

        Before it no new payloads, calls and events come, and what runs has 2 s to end. Features stop before those that they
        require.

        Called by the daemon in the task that stops the feature, for disabling, failure, quarantine and the end of the
        daemon alike, also when `start` failed; `ctx.cancel` is cancelled just before.

        Errors: what it raises is logged, and the stop goes on; after 3 s it is cancelled.
        """
