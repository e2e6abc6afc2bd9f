"""Two connections of one pair are settled to one, whatever happens first; places are kept for preferred peers."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.clock import ManualClock
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.links import LINKS, PREFERRED_PLACES, PROBE_S, UNDECIDED_S, LinkTable
from pimd.proto.frames import GoodbyeReason

LOW, HIGH = NodeId(bytes(16)), NodeId(bytes([1]) * 16)


@dataclass(eq=False)
class End:
    """One end of a connection; both ends share a `Wire`."""

    peer_id: NodeId
    dialled: bool
    wire: "Wire"
    full_table_read: bool = False
    last_heard: float = 0.0
    closed: GoodbyeReason | None = None

    def probe(self) -> None:
        self.wire.probe(self)

    def close(self, reason: GoodbyeReason) -> None:
        if self.closed is None:
            self.closed = reason
            self.wire.closing.append(self)


@dataclass(eq=False)
class Wire:
    """A connection between two tables; dead ones carry nothing."""

    clock: ManualClock
    alive: bool = True
    ends: list[End] = field(default_factory=list)
    closing: list[End] = field(default_factory=list)
    probed: bool = False

    def probe(self, end: End) -> None:
        self.probed = True
        if self.alive:
            end.last_heard = self.clock.now() + 0.001


class Two:
    """Both nodes' tables."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tables: dict[NodeId, LinkTable[End]] = {
            LOW: LinkTable(LOW, self.clock, Bites()),
            HIGH: LinkTable(HIGH, self.clock, Bites()),
        }
        self.wires: list[Wire] = []

    def connect(self, dialler: NodeId, *, alive: bool = True) -> Wire:
        wire = Wire(self.clock, alive)
        wire.ends = [End(HIGH, dialler == LOW, wire), End(LOW, dialler == HIGH, wire)]
        self.wires.append(wire)
        return wire

    def up(self, wire: Wire, at: NodeId) -> None:
        end = wire.ends[0 if at == LOW else 1]
        if end.closed is None:
            end.last_heard = self.clock.now()
            self.tables[at].add(end)

    def settle(self) -> None:
        """Carry Goodbyes to the other end until nothing moves."""
        for wire in self.wires:
            while wire.closing:
                wire.closing.pop()
                for end in wire.ends:
                    end.closed = end.closed or GoodbyeReason.DUPLICATE
                    self.tables[LOW if end.peer_id == HIGH else HIGH].remove(end)

    def read_tables(self) -> None:
        for table in self.tables.values():
            for end in table.all():
                if end.wire.alive and not end.full_table_read:
                    end.full_table_read = True
                    table.full_table_arrived(end)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.1)):
            self.clock.advance(0.1)
            self.settle()

    def left(self) -> tuple[list[Wire], list[Wire]]:
        low, high = ([end.wire for end in self.tables[node].all()] for node in (LOW, HIGH))
        return low, high


@settings(max_examples=300, deadline=None)
@given(
    diallers=st.lists(st.sampled_from([LOW, HIGH]), min_size=1, max_size=2),
    order=st.permutations([(wire, node) for wire in (0, 1) for node in (LOW, HIGH)]),
    gaps=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    tables_at=st.integers(0, 4),
)
def test_two_nodes_end_with_exactly_one_link_and_the_same(
    diallers: list[NodeId], order: list[tuple[int, NodeId]], gaps: list[float], tables_at: int
) -> None:
    two = Two()
    wires = [two.connect(dialler) for dialler in diallers]
    for step, ((number, node), gap) in enumerate(zip(order, gaps, strict=True)):
        if number < len(wires):
            two.up(wires[number], node)
        two.settle()
        two.pass_time(gap)
        if step == tables_at:
            two.read_tables()
    two.read_tables()
    two.pass_time(UNDECIDED_S + PROBE_S + 1)
    low, high = two.left()
    assert len(low) == len(high) == 1
    assert low == high


def test_of_two_that_one_side_dialled_the_older_goes_at_once() -> None:
    two = Two()
    older, newer = two.connect(LOW), two.connect(LOW)
    for wire in (older, newer):
        for node in (LOW, HIGH):
            two.up(wire, node)
    two.settle()
    assert two.left() == ([newer], [newer])


def test_the_newest_carries_the_traffic_until_it_is_settled() -> None:
    two = Two()
    first, second = two.connect(LOW), two.connect(HIGH)
    two.up(first, LOW)
    two.up(second, LOW)
    assert two.tables[LOW].best(HIGH) is second.ends[0]
    assert len(two.tables[LOW].carrying()) == 1


def test_a_preferred_older_link_that_is_dead_gives_way() -> None:
    two = Two()
    dead, fresh = two.connect(LOW, alive=False), two.connect(HIGH)
    for wire in (dead, fresh):
        for node in (LOW, HIGH):
            two.up(wire, node)
    assert dead.probed
    two.pass_time(PROBE_S + 0.2)
    assert two.left() == ([fresh], [fresh])


def test_a_third_link_of_one_peer_is_closed() -> None:
    two = Two()
    wires = [two.connect(HIGH), two.connect(LOW), two.connect(LOW)]
    added = [two.tables[HIGH].add(wire.ends[1]) for wire in wires]
    assert added == [True, True, False]
    assert wires[2].ends[1].closed is GoodbyeReason.DUPLICATE


@pytest.mark.limit("links", "links kept for configured peers and contacts")
def test_places_for_links() -> None:
    clock = ManualClock()
    table: LinkTable[End] = LinkTable(LOW, clock, Bites())

    def add(number: int) -> None:
        table.add(End(NodeId(number.to_bytes(16)), dialled=False, wire=Wire(clock)))

    for number in range(1, LINKS.value - PREFERRED_PLACES.value + 1):
        assert table.has_place_for(preferred_peer=False)
        add(number)
    assert not table.has_place_for(preferred_peer=False)
    for number in range(LINKS.value - PREFERRED_PLACES.value + 1, LINKS.value + 1):
        assert table.has_place_for(preferred_peer=True)
        add(number)
    assert not table.has_place_for(preferred_peer=True)


@pytest.mark.parametrize("known", [False, True])
def test_removing_what_is_not_there_is_no_error(known: bool) -> None:  # noqa: FBT001
    two = Two()
    wire = two.connect(LOW)
    if known:
        two.up(wire, LOW)
    assert two.tables[LOW].remove(wire.ends[0]) is known
    assert two.tables[LOW].remove(wire.ends[0]) is False
