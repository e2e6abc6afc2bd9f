"""The order of what came at once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pimd.ids import MessageId
from pimd_features.groups.causal import arranged


def id_(number: int) -> MessageId:
    return MessageId(number.to_bytes(16))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[MessageId, list[MessageId]]]:
    """Messages whose parents are earlier ones, or unknown."""
    count = draw(st.integers(0, 20))
    return [
        (
            id_(n),
            [id_(p) for p in draw(st.lists(st.integers(-5, n - 1).map(lambda p: p % 1000), unique=True, max_size=4))],
        )
        for n in range(count)
    ]


@given(histories(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_parents_come_first_and_nothing_is_lost(
    history: list[tuple[MessageId, list[MessageId]]], random: object
) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    order = arranged(shuffled)
    place = {one: at for at, one in enumerate(order)}
    assert sorted(order) == sorted(one for one, _ in history)
    assert all(place[parent] < place[one] for one, parents in history for parent in parents if parent in place)
    assert arranged(history) == [one for one, _ in history]  # in order already


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=4)), max_size=8))
def test_circles_that_a_liar_makes_up_lose_nothing(made_up: list[tuple[int, list[int]]]) -> None:
    arrived = {id_(one): [id_(parent) for parent in parents] for one, parents in made_up}
    assert sorted(arranged(list(arrived.items()))) == sorted(arrived)
