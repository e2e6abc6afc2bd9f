"""Plays seeded routing scenarios (tests/proto/routing_scenarios.py) in several processes; exits 1 when one has a problem."""

import argparse
import functools
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.proto.routing_scenarios import Outcome, Scenario

SHARE = 100
"""Scenarios that a process plays before it reports."""
SAY_EVERY = 1000


def play(seeds: range, *, uneven: bool) -> Outcome:
    """Sum up a share."""
    total = Outcome()
    for seed in seeds:
        total.add(Scenario(seed, uneven=uneven).run())
    return total


def play_all(seeds: range, processes: int, *, uneven: bool) -> Iterator[Outcome]:
    """Yield the outcome of each share, in order."""
    shares = [seeds[at : at + SHARE] for at in range(0, len(seeds), SHARE)]
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(functools.partial(play, uneven=uneven), shares)


def main() -> None:
    """Print problems as they come, how far it got, and the sum."""
    parser = argparse.ArgumentParser(prog="scripts/lab-routing", description=__doc__)
    parser.add_argument("scenarios", type=int, nargs="?", default=2000, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (default: %(default)s)")
    parser.add_argument(
        "--uneven", action="store_true", help="links of different costs, nodes that know nothing of hops"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one a core")
    arguments = parser.parse_args()
    began, total = time.monotonic(), Outcome()
    seeds = range(arguments.first, arguments.first + arguments.scenarios)
    for outcome in play_all(seeds, arguments.processes, uneven=arguments.uneven):
        total.add(outcome)
        for problem in outcome.problems:
            print(problem, flush=True)
        if total.scenarios % SAY_EVERY == 0:
            print(f"{time.monotonic() - began:.0f} s: {total}", file=sys.stderr, flush=True)
    print(total)
    sys.exit(1 if total.problems else 0)


if __name__ == "__main__":
    main()
