"""Connections from the first byte to an admitted link: limits of half-open ones, proof, admission."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from pimd.addresses import TCP, Endpoint
from pimd.clock import Clock
from pimd.contract import DialError, OtherKeyError, PeerEntry
from pimd.ids import NodeId
from pimd.mesh.counters import Counters
from pimd.mesh.key_use import KeyUse
from pimd.mesh.link_totals import LinkTotals
from pimd.mesh.peer_link import PeerLink
from pimd.net.driver import LinkDriver
from pimd.net.half_open import HalfOpen
from pimd.net.network import Network
from pimd.net.transport import Listener
from pimd.net.turns import Turns
from pimd.proto.frames import Frame, GoodbyeReason, MeshData, PluginPayload
from pimd.proto.handshake import ABILITY_ANNOUNCED, LinkConfig, LinkPeer
from pimd.proto.identity import Identity
from pimd.proto.link import Link, Role
from pimd.proto.link_states import UNDECIDED, CloseReason
from pimd.proto.traffic import TrafficClass

log = logging.getLogger("pimd.mesh")

LASTING = {GoodbyeReason.NOT_ADMITTED, GoodbyeReason.KEY_IN_USE}
"""Reasons that hold until a person changes something."""


class HandshakeOwner(Protocol):
    """The part of the node that handshakes use."""

    counts: Counters
    key_use: KeyUse

    def admission(self, link: PeerLink, peer: LinkPeer) -> tuple[GoodbyeReason, str] | None:
        """Decide whether a proven peer may link; None admits."""

    def link_up(self, link: PeerLink) -> None:
        """Enter an admitted link."""

    def is_linked(self, node_id: NodeId) -> bool:
        """Tell whether a link with that peer is up."""

    def link_closed(self, link: PeerLink, detail: str) -> None:
        """Remove a link that was up."""

    def receiver(self, link: PeerLink) -> Callable[[Frame], None]:
        """Return the function that takes each frame of a link that is up."""

    def writable(self, link: PeerLink, classes: list[TrafficClass]) -> None:
        """Let senders that wait for room continue."""


class Handshakes:
    """Owns every driver: limits half-open ones, and passes admitted links to the node."""

    def __init__(
        self,
        node: HandshakeOwner,
        identity: Identity,
        link_config: LinkConfig,
        network: Network,
        clock: Clock,
        make_link: Callable[[LinkDriver, float, PeerEntry | None], PeerLink],
    ) -> None:
        self._node = node
        self._make_link = make_link
        self._identity = identity
        self._link_config = link_config
        self._network = network
        self._clock = clock
        self._turns = Turns(clock.now, node.counts.bites)
        self._listen_port: int | None = None
        self._half_open: HalfOpen[LinkDriver] = HalfOpen(self._evict, node.counts.bites)
        self._links: dict[LinkDriver, PeerLink] = {}
        self._gone = LinkTotals()

    async def listen(self, endpoint: Endpoint) -> Listener:
        """Bind and accept; proofs on later TCP links announce the bound port."""
        listener = await self._network.listen(endpoint, lambda: self._driver(Role.ACCEPTOR, endpoint, None))
        if endpoint.scheme == TCP:
            self._listen_port = listener.endpoint.port
        return listener

    async def dial(self, entry: PeerEntry, timeout_s: float) -> NodeId:
        """Connect and wait until the link is up; `DialError` says what happened at which endpoint."""
        outcome: asyncio.Future[tuple[PeerLink, str | None]] = asyncio.get_running_loop().create_future()

        def connected() -> LinkDriver:
            driver = self._driver(Role.DIALLER, entry.endpoint, entry)
            link = self._links[driver]

            def tell(error: str | None) -> None:
                if not outcome.done():
                    outcome.set_result((link, error))

            link.on_outcome = tell
            return driver

        try:
            await self._network.dial(entry.endpoint, connected, timeout_s)
            link, error = await outcome
        finally:
            outcome.cancel()  # after a cancelled dial nobody waits; the link itself may still come up
        if link.other_key is not None:
            raise OtherKeyError(link.other_key)
        if error is not None:
            refused = link.refused_for in LASTING or error.startswith(CloseReason.OTHER_MESH.value)
            raise DialError(f"no link with {entry.endpoint.text}: {error}", refused=refused)
        return link.peer_id

    def abort_all(self) -> None:
        """Drop every connection that is not an admitted link."""
        for driver, link in list(self._links.items()):
            if not link.is_up:
                driver.abort()

    def totals(self) -> LinkTotals:
        """Sums over all connections, including those that never became a link."""
        return sum((LinkTotals.of(driver.link) for driver in self._links), self._gone)

    def compares(self) -> bool:
        """Tell whether a dialled neighbour has this node's proof, and has neither admitted nor refused it."""
        return any(link.dialled and link.is_proven and not link.was_up for link in self._links.values())

    # --- net.LinkOwner

    def connected(self, driver: LinkDriver) -> None:
        """Count an accepted connection as half-open."""
        if not driver.dialled:
            self._half_open.add(driver, driver.source)

    def authenticated(self, driver: LinkDriver, peer: LinkPeer) -> None:
        """Ask the node whether the peer may link."""
        link = self._links[driver]
        link.peer_id = peer.node_id
        refusal = self._node.admission(link, peer)
        rival = (
            self._node.key_use.contests.rival(peer)
            if refusal is None or refusal[0] is GoodbyeReason.DUPLICATE
            else None
        )
        if rival is None:
            self._decide(driver, link, refusal)
        elif self._node.key_use.contests.begin(
            rival, lambda alive: self._decide_after(driver, peer, rival, alive=alive)
        ):
            self._node.key_use.questions.ask_rival(rival, peer, link.listens_at.text)
        else:
            link.refusal = "the same key proved itself from another machine, which is looked into"
            driver.refuse(GoodbyeReason.DUPLICATE)

    def _decide_after(self, driver: LinkDriver, peer: LinkPeer, rival: PeerLink, *, alive: bool) -> None:
        link = self._links.get(driver)
        if link is None or driver.link.state not in UNDECIDED:
            return  # it ended meanwhile
        if alive:
            self._refuse_double(driver, link, rival)
            return
        self._end(rival, "its peer was started again")
        rival.driver.abort()
        self._decide(driver, link, self._node.admission(link, peer))

    def _refuse_double(self, driver: LinkDriver, link: PeerLink, rival: PeerLink) -> None:
        link.refused_for = GoodbyeReason.KEY_IN_USE
        driver.link.goodbye_detail = self._node.key_use.tell_both(link, rival)
        link.refusal = f"two machines use the same key; the other one is at {rival.listens_at.text}"
        self._node.counts.count("links_refused")
        if link.dialled:  # a Goodbye needs a handshake that is complete
            driver.accept()
            driver.close(GoodbyeReason.KEY_IN_USE)
        else:
            driver.refuse(GoodbyeReason.KEY_IN_USE)

    def _decide(self, driver: LinkDriver, link: PeerLink, refusal: tuple[GoodbyeReason, str] | None) -> None:
        if refusal is None:
            driver.accept()
            return
        reason, link.refusal = link.refused_for, _ = refusal
        if reason is GoodbyeReason.DUPLICATE:
            link.tell_outcome(None)  # linked already: the dial counts as a success
        self._node.counts.count("links_refused")
        log.log(
            # Another key is told of by the dialler, once, and by the call of a user.
            logging.DEBUG if reason is GoodbyeReason.DUPLICATE or link.other_key is not None else logging.WARNING,
            "refused a link with %s: %s",
            driver.address,
            link.refusal,
            extra={"peer_id": link.peer_id},
        )
        driver.refuse(reason)

    def up(self, driver: LinkDriver) -> None:
        """Pass an admitted link to the node."""
        self._half_open.discard(driver)
        link = self._links[driver]
        link.is_up = link.was_up = True
        link.up_since = self._clock.now()
        driver.deliver = self._node.receiver(link)
        self._node.link_up(link)
        if link.refusal is None:
            link.tell_outcome(None)

    def writable(self, driver: LinkDriver, classes: list[TrafficClass]) -> None:
        """Called by the driver when refused classes have room again; passed on to the node."""
        self._node.writable(self._links[driver], classes)

    def goodbye(self, driver: LinkDriver, reason: GoodbyeReason) -> None:
        """Note the reason, as the error text for the dial that waits."""
        link = self._links[driver]
        link.goodbye = reason
        if not link.was_up:
            link.refused_for = reason
        link.refusal = f"the peer said goodbye: {reason.name.lower().replace('_', ' ')}"
        if reason is GoodbyeReason.KEY_IN_USE:
            link.refusal = "two machines use the same key, and the other one is linked there"
            self._node.key_use.told(link, driver.link.goodbye_heard)

    def leaving(self, driver: LinkDriver, detail: str) -> None:
        """Remove the link from the node at once: frames sent on it would be lost."""
        self._end(self._links[driver], detail)

    def closed(self, driver: LinkDriver, detail: str) -> None:
        """Drop the connection; a dial that waits for it fails with `detail`."""
        self._half_open.discard(driver)
        link = self._links.pop(driver)
        self._gone += LinkTotals.of(driver.link)
        if not self._end(link, detail) and not link.was_up:
            self._node.counts.count("handshakes_failed")
            if detail.startswith(CloseReason.SAME_KEY.value):
                self._node.key_use.met(link)
            level = logging.WARNING if detail.startswith(CloseReason.OTHER_MESH.value) else logging.DEBUG
            log.log(level, "handshake with %s failed: %s", driver.address, detail)
            if link.dialled and not link.is_proven:
                detail = _advice(detail)
        said_duplicate = link.goodbye is GoodbyeReason.DUPLICATE and self._node.is_linked(link.peer_id)
        link.tell_outcome(None if said_duplicate else link.refusal or detail)

    # --- inside

    def _end(self, link: PeerLink, detail: str) -> bool:
        """Remove a link that was up from the node; False when it was not up."""
        if not link.is_up:
            return False
        link.is_up = False
        link.driver.deliver = self._late_frames(link)
        self._node.link_closed(link, link.refusal or detail)
        return True

    def _late_frames(self, link: PeerLink) -> Callable[[Frame], None]:
        """Return what takes frames after the end: only data of a replaced link counts."""
        receive = self._node.receiver(link)

        def take(frame: Frame) -> None:
            if link.driver.link.is_replaced and isinstance(frame, MeshData | PluginPayload):
                receive(frame)

        return take

    def _driver(self, role: Role, endpoint: Endpoint, entry: PeerEntry | None) -> LinkDriver:
        config = self._link_config.expecting(entry.node_id if entry is not None else None)
        config = replace(config, unix_ms=self._clock.unix_ms)
        if self._node.key_use.look.is_over:
            config = replace(config, abilities=config.abilities | ABILITY_ANNOUNCED)
        if endpoint.scheme == TCP:  # other transports have no host that the port could belong to
            config = replace(config, listen_port=self._listen_port)
        driver = LinkDriver(
            lambda now: Link(role, self._identity, config, os.urandom, now, self._node.counts.bites),
            self,
            self._clock,
            self._turns,
            self._network.transport(endpoint),
            dialled=role is Role.DIALLER,
        )
        link = self._links[driver] = self._make_link(driver, self._clock.now(), entry)
        link.own_listen_port = config.listen_port
        return driver

    def _evict(self, driver: LinkDriver) -> None:
        driver.abort()


def _advice(detail: str) -> str:
    """Explain why a handshake from this side may have ended before the other end was proven."""
    if detail.startswith(CloseReason.LOST.value):
        # A private mesh closes connections of strangers without an answer.
        return "the other end hung up without a word; is it in another mesh? compare `pim mesh status`"
    if detail.startswith(CloseReason.PROTOCOL.value):
        return f"what answers there is no pimd, or one that speaks otherwise; is the address right? ({detail})"
    return detail
