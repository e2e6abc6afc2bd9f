"""Everything that others can make a node hold, each thing with its limit."""

from pimd.mesh import cards, flood, payloads, sealing
from pimd.mesh.links import LINKS
from pimd.mesh.payloads import PayloadQueue
from pimd.mesh.peer_link import PeerLink
from pimd.net.driver import READ_AT_ONCE, UNREAD, WRITE_BUFFER
from pimd.net.half_open import HALF_OPEN
from pimd.proto import babel, sealed, send_queue, seq_requests
from pimd.proto.traffic import TrafficClass
from pimd.store.forget_listeners import BACKLOG
from tests.mesh.conftest import Running

ONE_RECORD = 2**16
Sizes = dict[str, tuple[int, int]]
"""By name: how much is held, and how much may be."""


def held(running: Running) -> Sizes:
    """Measure a node in a moment in which it is at rest."""
    node = running.node
    sizes = {**_of_keystore(running), **_of_routing(running), **_of_mesh(running)}
    for link in node._links.all():
        sizes |= {f"{name} of {link.peer_id.short}": size for name, size in _of_link(link).items()}
    for plugin, queue in set(node.payloads._queues.values()):
        sizes |= {f"{name} for {plugin}": size for name, size in _of_queue(queue).items()}
    return sizes


def _of_keystore(running: Running) -> Sizes:
    keystore = running.keystore
    return {
        "identities": (len(keystore._identities), keystore._limit),
        "who brought them": (len(keystore._sources.table), keystore._limit),
        "candidates for eviction": (len(keystore._sources.victims), keystore._limit),
        "forgotten and aged out": (len(keystore._forgotten) + len(keystore._aged_out), 2 * keystore._gone_limit),
        "plugins to be told of evictions": (len(keystore._listeners._backlog), BACKLOG.value),
    }


def _of_routing(running: Running) -> Sizes:
    routing = running.node._routing
    destinations = babel.DESTINATIONS.value
    return {
        "destinations": (len(routing._kept), destinations),
        "routes": (len(routing.table.selected), destinations),
        "deferred destinations": (len(routing.deferred), destinations),
        "destinations asked about": (len(routing._starving), destinations),
        "updates to be sent": (len(routing._updates), 2 * destinations + babel.LOST.value),
        "lost destinations": (len(routing._lost_at), babel.LOST.value + destinations),
        "lost destinations nobody was told of": (len(routing._lost_untold), babel.LOST_UNTOLD.value),
        "distances": (len(routing.table._distances), 2 * destinations + babel.LOST.value),
        "destinations asked for": (len(routing._asked_at), babel.ASKED.value),
        "request ids": (len(routing._seen._ids), seq_requests.IDS.value),
        "requests passed on": (len(routing._seen._passed_on), seq_requests.PASSED_ON.value),
        "what the core wants done": (len(routing._out) + len(routing.deferred._wishes) + len(routing._changes), 0),
    }


def _of_mesh(running: Running) -> Sizes:
    node, frames = running.node, running.node._frames._sealed
    assert frames is not None
    return {
        "links": (len(node._links), LINKS.value),
        "connections": (len(node._handshakes._links), LINKS.value + HALF_OPEN.value),
        "origins sent lately": (len(node._flood._sent_at), flood.ORIGINS.value),
        "cards gathered": (len(node._flood._gathered), flood.GATHERED.value),
        "cards held back": (len(node._flood._held_back), flood.HELD_BACK.value),
        "clocks logged": (len(node._cards._ahead_logged), cards.AHEAD.value),
        "replay windows": (len(frames._windows), sealing.WINDOWS.value),
        "counters of destinations": (len(frames._counters), sealing.COUNTERS.value),
        "shared keys": (len(frames._sealer._boxes), sealed.SHARED_KEYS.value),
    }


def _of_link(link: PeerLink) -> Sizes:
    neighbour = link.driver._owner._node._routing._links[link]  # type: ignore[attr-defined]
    sizes = link.driver.link._send_queue._sizes
    transport = link.driver._transport
    return {
        "cards it has": (len(link.cards.has), cards.HAS.value),
        "cards it was asked for": (len(link.cards.asked), cards.ASKED.value),
        "cards it was sent back": (len(link.cards.returned), cards.RETURNED.value),
        "destinations not repeated": (len(neighbour.unrepeated or ()), babel.DESTINATIONS.value),
        **{
            f"bytes of {kind.name.lower()}s": (queue.waiting.size, queue.limits.limit.value)
            for kind, queue in zip(TrafficClass, link.driver.link._send_queue.data.by_class, strict=True)
        },
        "bytes of cards": (sizes["cards"], send_queue.CARDS.value),
        "bytes of answers": (sizes["answers"], send_queue.ANSWERS.value),
        "bytes of routing": (sizes["routing"], send_queue.ROUTING.value),
        "bytes unread": (link.driver.link.unread, UNREAD.value + READ_AT_ONCE.value),
        "bytes encrypted": (transport.get_write_buffer_size() if transport else 0, WRITE_BUFFER + 2 * ONE_RECORD),
    }


def _of_queue(queue: PayloadQueue) -> Sizes:
    return {
        "payloads": (len(queue), payloads.PAYLOADS.value),
        "bytes of payloads": (queue._bytes.held, payloads.BYTES.value),
        "payloads of one source": (max(queue._of_source.values(), default=0), payloads.OF_ONE_SOURCE.value),
    }
