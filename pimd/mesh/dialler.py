"""Keeps endpoints linked: dial, wait while linked, dial again with backoff (docs/protocol.md)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pimd.addresses import Endpoint
from pimd.clock import Clock
from pimd.contract import DialError, DialInfo, OtherKey, OtherKeyError, PeerEntry
from pimd.ids import NodeId
from pimd.limits import Bites, RecentSet, declare
from pimd.mesh.backoff import Backoff

log = logging.getLogger("pimd.mesh")

LEFT_US = declare(
    "peers remembered because their user hung up", 1024, "peers", "the oldest is forgotten, and may be redialled"
)


@dataclass
class _Kept:
    """One endpoint to keep linked, and the state of its dial."""

    entry: PeerEntry
    configured: bool
    node_id: NodeId | None
    state: Literal["connecting", "waiting", "up", "other_key"] = "connecting"
    last_error: str | None = None
    answers: NodeId | None = None
    refused: bool = False
    backoff: Backoff = field(default_factory=Backoff)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    due: asyncio.Event = field(default_factory=asyncio.Event)

    def info(self) -> DialInfo:
        return DialInfo(
            self.entry, self.node_id, self.state, self.configured, self.last_error, self.answers, self.refused
        )


class Dial(Protocol):
    """How the dialler opens one link; the node passes it in."""

    def __call__(self, entry: PeerEntry, *, configured: bool) -> Awaitable[NodeId]:
        """Return the node that answered; `DialError` otherwise."""


class Dialler:
    """Runs one task for each endpoint, all in the node's TaskGroup."""

    def __init__(
        self,
        dial: Dial,
        linked_since: Callable[[NodeId], float | None],
        clock: Clock,
        random: Callable[[], float],
        bites: Bites,
        pinned: Callable[[Endpoint], NodeId | None] = lambda _: None,
        on_other_key: Callable[[OtherKey], None] = lambda _: None,
    ) -> None:
        self._dial = dial
        self._pinned = pinned
        self._on_other_key = on_other_key
        self.tell_labels: Callable[[Iterable[tuple[NodeId | None, str]]], None] = lambda _: None
        """Called with the labels of all configured endpoints behind each change of them, or of who is known there."""
        self._linked_since = linked_since
        self._clock = clock
        self._random = random
        self._kept: dict[Endpoint, _Kept] = {}
        self.configured: frozenset[NodeId] = frozenset()
        """Nodes that the configuration names, or that answered at a configured endpoint."""
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._hung_up: set[NodeId] = set()
        self._left_us: RecentSet[NodeId] = RecentSet(LEFT_US, bites)
        self._group: asyncio.TaskGroup | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Dial the endpoints entered before; later ones are dialled at once."""
        self._group = group
        for kept in self._kept.values():
            self._run(group, kept)

    def stop(self) -> None:
        """Cancel every dial; links that are up stay, and `keep` dials no more until `start`."""
        self._group = None
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def keep(self, entry: PeerEntry, *, configured: bool) -> None:
        """Keep `entry.endpoint` linked; an entry for the same endpoint is replaced."""
        self.drop(entry.endpoint)
        if entry.node_id is not None:
            self.resume(entry.node_id)
        pinned = self._pinned(entry.endpoint) if configured else None
        kept = self._kept[entry.endpoint] = _Kept(entry, configured, entry.node_id or pinned)
        self._note_configured()
        if self._group is not None:
            self._run(self._group, kept)

    def drop(self, endpoint: Endpoint) -> bool:
        """Keep it linked no longer; False when it was not kept."""
        task = self._tasks.pop(endpoint, None)
        if task is not None:
            task.cancel()
        dropped = self._kept.pop(endpoint, None)
        self._note_configured()
        return dropped is not None

    def infos(self) -> list[DialInfo]:
        """Return all that is kept linked, in order of arrival."""
        return [kept.info() for kept in self._kept.values()]

    def is_configured(self, node_id: NodeId) -> bool:
        """Tell whether a configured entry names this node, or met it before."""
        return node_id in self.configured

    def is_configured_at(self, endpoint: Endpoint) -> bool:
        """Tell whether the configuration names this endpoint."""
        return self.configured_entry(endpoint) is not None

    def configured_entry(self, endpoint: Endpoint) -> PeerEntry | None:
        """Return the entry of the configuration with this endpoint."""
        kept = self._kept.get(endpoint)
        return kept.entry if kept is not None and kept.configured else None

    def links_changed(self) -> None:
        """Let entries whose link went down dial again; called after every change of the links."""
        for kept in self._kept.values():
            kept.changed.set()

    def dial_at_once(self) -> None:
        """End every pause, and leave out the next: what did not answer may now, and a link may end in a moment."""
        for kept in self._kept.values():
            kept.backoff.at_once()
            kept.due.set()

    def pause(self, node_id: NodeId) -> None:
        """Stop redialling this node until `resume` or a restart; called when the user here hangs up."""
        self._hung_up.add(node_id)

    def left_by(self, node_id: NodeId) -> None:
        """Stop redialling this node, unless configured, until it is linked again: the peer's user hung up."""
        self._left_us.add(node_id)

    def linked(self, node_id: NodeId) -> None:
        """Clear the note of `left_by`, since there is a link again."""
        self._left_us.discard(node_id)

    def resume(self, node_id: NodeId) -> None:
        """Clear the notes of `pause` and `left_by`, and dial the node's endpoints at once."""
        self._hung_up.discard(node_id)
        self._left_us.discard(node_id)
        self.links_changed()

    def redial(self, peer: NodeId | None = None) -> None:
        """Dial what is configured and down, or what may lead to `peer`, ahead of its turn; later delays stay as they were."""
        for kept in self._kept.values():
            if kept.configured if peer is None or kept.node_id is None else kept.node_id == peer:
                kept.due.set()

    def is_left_alone(self, node_id: NodeId) -> bool:
        """Tell whether a user at either end hung up, and no link was asked for since."""
        return node_id in self._hung_up or node_id in self._left_us

    def _note_configured(self) -> None:
        """Keep the configured ids as a set, because it is read for every frame."""
        met = (kept.node_id for kept in self._kept.values() if kept.configured)
        self.configured = frozenset(node_id for node_id in met if node_id is not None)
        self.tell_labels((kept.node_id, kept.entry.label) for kept in self._kept.values() if kept.configured)

    def _run(self, group: asyncio.TaskGroup, kept: _Kept) -> None:
        endpoint = kept.entry.endpoint
        self._tasks[endpoint] = group.create_task(self._keep_linked(kept), name=f"dial {endpoint.text}")

    async def _keep_linked(self, kept: _Kept) -> None:
        while True:
            await self._while_linked_or_paused(kept)
            if kept.state != "other_key":  # which lasts until something else is known
                kept.state = "connecting"
            await self._try(kept)
            if self._linked(kept) is None:
                await self._pause(kept, kept.backoff.delay(self._random()))

    async def _try(self, kept: _Kept) -> None:
        try:
            kept.node_id = await self._dial(kept.entry, configured=kept.configured)
        except OtherKeyError as error:
            self._note_other_key(kept, error.found)
        except DialError as error:
            kept.refused = error.refused
            self._note_failure(kept, str(error))
        else:
            self._note_configured()
            kept.last_error = kept.answers = None
            kept.refused = False
            kept.state = "waiting"

    async def _while_linked_or_paused(self, kept: _Kept) -> None:
        while True:
            kept.changed.clear()
            since = self._linked(kept)
            if since is None and not self._is_paused(kept):
                return
            kept.state = "up" if since is not None else "waiting"
            await kept.changed.wait()
            if since is not None and self._linked(kept) is None:
                kept.backoff.was_up(self._clock.now() - since)
                kept.state = "waiting"
                await self._pause(kept, kept.backoff.delay(self._random()))

    async def _pause(self, kept: _Kept, seconds: float) -> None:
        kept.due.clear()
        timer = self._clock.call_at(self._clock.now() + seconds, kept.due.set)
        try:
            await kept.due.wait()
        finally:
            timer.cancel()

    def _is_paused(self, kept: _Kept) -> bool:
        if kept.node_id is None:
            return False
        return kept.node_id in self._hung_up or (not kept.configured and kept.node_id in self._left_us)

    def _linked(self, kept: _Kept) -> float | None:
        return self._linked_since(kept.node_id) if kept.node_id is not None else None

    def _note_other_key(self, kept: _Kept, found: OtherKey) -> None:
        if kept.answers != found.answers:  # told of once, not at every dial
            log.log(logging.WARNING if kept.configured else logging.INFO, "%s", found)
            if kept.configured:
                self._on_other_key(found)
        kept.node_id, kept.answers, kept.refused = found.known, found.answers, True
        kept.last_error = str(found)
        kept.state = "other_key"

    def _note_failure(self, kept: _Kept, text: str) -> None:
        if text != kept.last_error:  # an error that repeats every minute is logged once
            # Anybody on the local network can cause dials that fail, so these are no warnings.
            level, extra = logging.WARNING if kept.configured else logging.INFO, {"peer_id": kept.node_id}
            log.log(level, "%s (trying again until it answers)", text, extra=extra)
        kept.last_error = text
        kept.state = "waiting"
