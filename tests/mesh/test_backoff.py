"""When a lost peer is dialled again."""

from hypothesis import given
from hypothesis import strategies as st

from pimd.mesh.backoff import Backoff


def test_one_second_doubling_to_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.delay(0.5) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.floats(0, 1, exclude_max=True))
def test_with_a_quarter_of_jitter(random: float) -> None:
    assert 0.75 <= Backoff().delay(random) <= 1.25


def test_only_a_link_that_lasted_a_minute_starts_anew() -> None:
    backoff = Backoff()
    for _ in range(3):
        backoff.delay(0.5)
    backoff.was_up(59.9)
    assert backoff.delay(0.5) == 8
    backoff.was_up(60.0)
    assert backoff.delay(0.5) == 1
