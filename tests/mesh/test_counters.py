"""What a node counts."""

from pimd.mesh.counters import Counters


def test_a_counter_appears_when_it_first_moves() -> None:
    counts = Counters()
    counts.count("dropped_ids_over_rate", 0)
    assert counts.snapshot() == {}
    counts.count("dropped_ids_over_rate", 2)
    assert counts.snapshot() == {"dropped_ids_over_rate": 2}
