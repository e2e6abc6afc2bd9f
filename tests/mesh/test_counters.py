"""What a node counts."""

from pimd.mesh.counters import Counters


def test_a_counter_appears_when_it_first_moves() -> None:
    tally = Counters()
    tally.count("dropped_ids_over_rate", 0)
    assert tally.snapshot() == {}
    tally.count("dropped_ids_over_rate", 2)
    assert tally.snapshot() == {"dropped_ids_over_rate": 2}
