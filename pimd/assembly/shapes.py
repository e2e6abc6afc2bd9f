"""What a service answers when it keeps to its contract: who asks many providers is not to fail because of one."""

from collections.abc import Callable, Mapping
from typing import Any

from pimd.contract import DISCOVERY, PEER_DATA, DiscoveredNode, Endpoint, Erased
from pimd.ids import NodeId

COUNT_MOST = 1 << 53
"""The largest number that every reader of JSON has exactly (RFC 8259, 6)."""


def as_it_is(given: Any) -> Any:
    """Return any answer of a service that has one provider, which its asker requires by name."""
    return given


def _count(given: Any) -> int:
    if type(given) is not int or not 0 <= given <= COUNT_MOST:
        raise TypeError(f"it answered {type(given).__name__}, no count")
    return given


def _erased(given: Any) -> Erased:
    if not isinstance(given, Erased):
        raise TypeError(f"it answered {type(given).__name__}, no Erased")
    return Erased(_count(given.messages), given.conversation is True)


def _nodes(given: Any) -> list[DiscoveredNode]:
    if not isinstance(given, list | tuple):
        raise TypeError(f"it answered {type(given).__name__}, no sequence of DiscoveredNode")
    return [_node(one) for one in given]


def _node(given: Any) -> DiscoveredNode:
    if not isinstance(given, DiscoveredNode):
        raise TypeError(f"it answered {type(given).__name__}, no DiscoveredNode")
    for value, kinds in (
        (given.endpoint, Endpoint),
        (given.node_id, NodeId | None),
        (given.name, str | None),
        (given.first_seen, float | int),
        (given.last_seen, float | int),
    ):
        if not isinstance(value, kinds):
            raise TypeError(f"a DiscoveredNode holds {type(value).__name__}, no {getattr(kinds, '__name__', kinds)}")
    return given


SHAPES: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    (PEER_DATA.name, "erase"): _erased,
    (PEER_DATA.name, "reassign"): _count,
    (DISCOVERY.name, "nodes"): _nodes,
}
"""By key and member."""
