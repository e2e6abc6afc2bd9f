"""Everything that others can make a node hold, each thing with its limit."""

from pimd.mesh import cards, flood, payloads, sealing
from pimd.mesh.links import LINK_LIMIT
from pimd.mesh.payloads import PayloadQueue
from pimd.mesh.peer_link import PeerLink
from pimd.net.driver import READ_AT_ONCE, UNREAD_LIMIT, WRITE_BUFFER
from pimd.net.half_open import HALF_OPEN_LIMIT
from pimd.proto import babel, sealed, send_queue, seq_requests
from pimd.proto.traffic import TrafficClass
from pimd.store.forget_listeners import BACKLOG_LIMIT
from tests.mesh.conftest import Running

ONE_RECORD = 2**16
A_FRAME = ONE_RECORD // 26
"""Entries of one Routes frame: what may be over a limit until the next flush."""
Sizes = dict[str, tuple[int, int]]
"""By name: how much is held, and how much may be."""


def held(running: Running) -> Sizes:
    """Measure a node in a moment in which it is at rest."""
    node = running.node
    sizes = {**_of_keystore(running), **_of_routing(running), **_of_mesh(running)}
    for link in node._links.all():
        sizes |= {f"{name} of {link.peer_id.short}": size for name, size in _of_link(link).items()}
    for plugin, (_, queue) in node.payloads._queues.items():
        sizes |= {f"{name} for {plugin}": size for name, size in _of_queue(queue).items()}
    return sizes


def _of_keystore(running: Running) -> Sizes:
    keystore = running.keystore
    return {
        "identities": (len(keystore._identities), keystore._limit),
        "who brought them": (len(keystore._victims.brought_by), keystore._limit),
        "forgotten and aged out": (len(keystore._forgotten) + len(keystore._aged_out), 2 * keystore._gone_limit),
        "plugins to be told of evictions": (len(keystore._listeners._backlog), BACKLOG_LIMIT),
    }


def _of_routing(running: Running) -> Sizes:
    routing = running.node._routing
    destinations = babel.DESTINATION_LIMIT
    return {
        "destinations": (len(routing._kept), destinations),
        "routes": (len(routing.table.selected), destinations),
        "deferred destinations": (len(routing.deferred), destinations),
        "destinations asked about": (len(routing._starving), destinations),
        "updates to be sent": (len(routing._pending), destinations + A_FRAME),
        "lost destinations": (len(routing._lost_at), babel.LOST_LIMIT + destinations),
        "lost destinations nobody was told of": (len(routing._lost_untold), babel.LOST_LIMIT),
        "distances": (len(routing.table._distances), 2 * destinations + babel.LOST_LIMIT),
        "destinations asked for": (len(routing._asked_at), babel.ASKED_LIMIT),
        "request ids": (len(routing._seen._ids), seq_requests.REMEMBERED_IDS),
        "requests passed on": (len(routing._seen._passed_on), seq_requests.REMEMBERED_IDS),
        "what the core wants done": (len(routing._out) + len(routing._wishes) + len(routing._changes), 0),
    }


def _of_mesh(running: Running) -> Sizes:
    node, frames = running.node, running.node._frames._sealed
    assert frames is not None
    return {
        "links": (len(node._links), LINK_LIMIT),
        "connections": (len(node._handshakes._links), LINK_LIMIT + HALF_OPEN_LIMIT),
        "origins sent lately": (len(node._flood._sent_at), flood.ORIGINS_REMEMBERED),
        "cards gathered": (len(node._flood._gathered), flood.WAITING_LIMIT),
        "cards held back": (len(node._flood._held_back), flood.WAITING_LIMIT),
        "clocks logged": (len(node._cards._ahead_logged), cards.ASKED_LIMIT),
        "replay windows": (len(frames._windows), sealing.WINDOW_LIMIT),
        "counters of destinations": (len(frames._counters), sealing.COUNTERS_LIMIT),
        "shared keys": (len(frames._sealer._boxes), sealed.BOX_CACHE),
    }


def _of_link(link: PeerLink) -> Sizes:
    neighbour = link.driver._owner._node._routing._links[link]  # type: ignore[attr-defined]
    sizes = link.driver.link._send_queue._sizes
    transport = link.driver._transport
    return {
        "cards it has": (len(link.cards.has), cards.HAS_LIMIT),
        "cards it was asked for": (len(link.cards.asked), cards.ASKED_LIMIT),
        "cards it was sent back": (len(link.cards.returned), cards.ASKED_LIMIT),
        "destinations not repeated": (len(neighbour.unrepeated or ()), babel.DESTINATION_LIMIT),
        **{
            f"bytes of {kind.name.lower()}s": (queue.waiting.size, queue._limit)
            for kind, queue in zip(TrafficClass, link.driver.link._send_queue.data.by_class, strict=True)
        },
        "bytes of cards": (sizes["cards"], send_queue.CARDS_LIMIT),
        "bytes of answers": (sizes["answers"], send_queue.ANSWERS_LIMIT),
        "bytes of routing": (sizes["routing"], send_queue.ROUTING_LIMIT),
        "bytes unread": (link.driver.link.unread, UNREAD_LIMIT + READ_AT_ONCE),
        "bytes encrypted": (transport.get_write_buffer_size() if transport else 0, WRITE_BUFFER + 2 * ONE_RECORD),
    }


def _of_queue(queue: PayloadQueue) -> Sizes:
    return {
        "payloads": (len(queue), payloads.QUEUE_PAYLOADS),
        "bytes of payloads": (queue._bytes, payloads.QUEUE_BYTES),
        "payloads of one source": (max(queue._of_source.values(), default=0), payloads.QUEUE_OF_ONE_SOURCE),
    }
