"""What links bring is taken apart in slices of one budget a turn, so that everybody else has a turn, too."""

import asyncio
from collections import deque

import pytest

from pimd.limits import Bites
from pimd.net.turns import BUDGET, SLICE, Turns

BUDGET_S, SLICE_S = BUDGET.value / 1_000_000, SLICE.value / 1_000_000


class Work:
    """A link with so many pieces of work, each of which takes a tenth of a slice."""

    def __init__(self, world: "World", name: str, pieces: int, *, preferred: bool = False) -> None:
        self.is_preferred = lambda: preferred
        self.world = world
        self.name = name
        self.pieces = pieces

    def read(self) -> None:
        """Bytes came."""
        if self.world.turns.may_begin():
            self.work()
        else:
            self.world.turns.wait(self)

    def work(self) -> None:
        while self.pieces:
            self.world.now += SLICE_S / 10
            self.pieces -= 1
            self.world.done.append(self.name)
            if self.pieces and self.world.turns.is_over():
                self.world.turns.wait(self)
                return


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.done: deque[str] = deque()
        self.turns = Turns(lambda: self.now, Bites())

    async def turn(self) -> float:
        """Let the loop turn once; return what that cost."""
        before = self.now
        await asyncio.sleep(0)
        return self.now - before


async def test_a_link_with_little_to_do_is_done_at_once() -> None:
    world = World()
    Work(world, "a", 3).read()
    assert list(world.done) == ["a"] * 3


@pytest.mark.limit(
    "time for what all links bring in one turn of the event loop",
    "time for what one link brings at once",
)
async def test_no_turn_costs_more_than_the_budget_and_a_slice_and_all_is_done_in_the_end() -> None:
    world = World()
    links = [Work(world, str(number), 100) for number in range(20)]
    for link in links:
        link.read()
    costs = [world.now]
    while any(link.pieces for link in links):
        costs.append(await world.turn())
    assert max(costs) <= BUDGET_S + SLICE_S + 1e-9
    assert len(world.done) == 2000


async def test_a_link_with_one_frame_waits_for_one_slice_of_each_other_at_most() -> None:
    world = World()
    for number in range(20):
        Work(world, f"busy {number}", 1000).read()
    Work(world, "quiet", 1).read()
    while "quiet" not in world.done:
        await world.turn()
    first_turn = BUDGET_S / SLICE_S
    assert len(world.done) <= (first_turn + 1 + 20) * 11


async def test_a_contact_waits_for_one_stranger_at_most_and_strangers_for_one_contact() -> None:
    world = World()
    for number in range(20):
        Work(world, f"busy {number}", 1000).read()
    friends = [Work(world, f"friend {number}", 1000, preferred=True) for number in range(2)]
    for friend in friends:
        friend.read()
    before = len(world.done)
    while len(world.done) < before + 200:
        await world.turn()
    slices = [name.partition(" ")[0] for name in list(world.done)[before:]]
    assert abs(slices.count("friend") - slices.count("busy")) <= 22
    assert slices[:11].count("friend") + slices[11:22].count("friend") >= 10


@pytest.mark.limit("time for frames other than data on links of strangers")
async def test_links_of_strangers_have_a_quarter_of_the_time_for_frames_other_than_data() -> None:
    world = World()
    stranger, friend = Work(world, "stranger", 1), Work(world, "friend", 1, preferred=True)
    assert world.turns.rest(stranger, 0.5) == 0.0
    assert world.turns.rest(friend, 10.0) == 0.0
    assert world.turns.rest(stranger, 0.25) == 1.0
    assert world.turns.rest(Work(world, "another", 1), 0.25) == 2.0
    world.now += 3.0
    assert world.turns.rest(stranger, 0.25) == 0.0


async def test_time_that_stands_still_never_ends_a_slice() -> None:
    turns = Turns(lambda: 7.0, Bites())
    assert turns.may_begin()
    assert not turns.is_over()
    await asyncio.sleep(0)
    assert turns.may_begin()
