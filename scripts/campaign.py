"""Kills a daemon with SIGKILL at each write and sync of a scripted conversation, or at random, and judges what both users see.

`boundaries` kills alice, bob or the mailbox of both before the n-th of those calls of libc, for each n, with a library that it
compiles and preloads; `kills` kills alice, bob or the relay between them while they write. `lab` plays seeds of whole daemons
over five hops under a virtual clock. Exits 1 when the judge found a problem.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from scripts import campaign_lab
from scripts.campaign_boundaries import VICTIMS, built, kill_at
from scripts.campaign_judge import Judge, Verdict, lasting_port, other_of, routed, stop, until
from tests.system.daemon import Daemon


@contextmanager
def pair(home: Path, *, relayed: bool) -> Iterator[tuple[Judge, list[Daemon]]]:
    """Start alice and bob as contacts, with a relay between them or a link; each keeps its port over restarts."""
    names = ["alice", "relay", "bob"] if relayed else ["alice", "bob"]
    with ExitStack() as stack:
        made: list[Daemon] = []
        for name in names:
            dials = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{made[-1].mesh_port}"\n' if made else ""
            daemon = Daemon(home, name, dials, {"PIMD_TRANSPORT__LISTEN_PORT": lasting_port()}).start()
            stack.callback(stop, daemon)
            made.append(daemon)
        judge = Judge({"alice": made[0], "bob": made[-1]})
        judge.ids = {name: one.node_id for name, one in judge.daemons.items()}
        for name, one in judge.daemons.items():
            until(lambda one=one, name=name: routed(one, judge.ids[other_of(name)]))  # type: ignore[misc]
            one.call("peers.label", {"node_id": judge.ids[other_of(name)], "label": other_of(name)})
        yield judge, made


# --- every boundary


def boundaries(first: int, step: int) -> int:
    """Kill each of the three at each boundary; print what was found."""
    with tempfile.TemporaryDirectory(prefix="pimd-campaign-") as folder:
        shim = built(Path(folder))
        counts = {victim: kill_at(shim, victim, 0).boundaries for victim in VICTIMS}
        print(f"boundaries: {counts}", file=sys.stderr, flush=True)
        return told(
            [
                partial(kill_at, shim, victim, number)
                for victim, count in counts.items()
                for number in range(first, count + 1, step)
            ]
        )


def told(plays: Sequence[Callable[[], Verdict]]) -> int:
    """Play all in two processes, print problems as they come, and the sum; return the exit code."""
    verdicts: list[Verdict] = []
    with ProcessPoolExecutor(2) as pool:
        for done in pool.map(_call, plays):
            verdicts.append(done)
            for problem in done.problems:
                print(f"{done.what}: {problem}", flush=True)
            if len(verdicts) % 50 == 0:
                print(f"{len(verdicts)} of {len(plays)} played", file=sys.stderr, flush=True)
    restarts = [seconds for one in verdicts for seconds in one.restarts]
    bad = sum(bool(one.problems) for one in verdicts)
    print(
        f"{len(verdicts)} runs, {len(restarts)} restarts after a kill, {bad} with a problem; "
        f"the longest start took {max(restarts, default=0.0):.2f} s"
    )
    return 1 if bad else 0


def _call(play: Callable[[], Verdict]) -> Verdict:
    return play()


# --- at random


def kill_at_random(seed: int, messages: int, kills: int) -> Verdict:
    """Both write over a relay while alice, bob and the relay are killed in turn at random moments."""
    chance = random.Random(seed)  # noqa: S311 - it has to repeat
    restarts: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="pimd-campaign-") as folder,
        pair(Path(folder), relayed=True) as (judge, all_),
    ):
        dies = sorted(chance.sample(range(messages), kills))
        for number in range(messages):
            author = chance.choice(("alice", "bob"))
            if dies and number == dies[0]:
                dies.pop(0)
                victim = chance.choice(all_)
                victim.kill()
                began = time.perf_counter()
                victim.start()
                restarts.append(time.perf_counter() - began)
                if victim.name in judge.daemons:
                    judge.after_restart(victim.name)
            params = {"peer_node_id": judge.ids[other_of(author)], "body": f"{author} {number}"}
            judge.daemons[author].call("messages.send", params)
            judge.accepted[author].append(params["body"])
        judge.finish()
    return Verdict(f"seed {seed}", 0, tuple(restarts), tuple(judge.problems))


def main() -> int:
    """See the head of the file."""
    parser = argparse.ArgumentParser(prog="scripts/campaign", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    every = parts.add_parser("boundaries", help="kill at every write and sync")
    every.add_argument("--first", type=int, default=1, help="the first number (default: %(default)s)")
    every.add_argument("--step", type=int, default=1, help="from one number to the next (default: %(default)s)")
    chance = parts.add_parser("kills", help="kill at random")
    chance.add_argument("--seed", type=int, default=1)
    chance.add_argument("--messages", type=int, default=1000)
    chance.add_argument("--kills", type=int, default=100)
    virtual = parts.add_parser("lab", help="play seeds over five hops under a virtual clock")
    virtual.add_argument("--from", type=int, default=1, dest="first", help="the first seed (default: %(default)s)")
    virtual.add_argument("--seeds", type=int, default=200)
    virtual.add_argument("--messages", type=int, default=50, help="of each seed (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.part == "boundaries":
        return boundaries(arguments.first, arguments.step)
    if arguments.part == "lab":
        return campaign_lab.played(range(arguments.first, arguments.first + arguments.seeds), arguments.messages)
    return told([partial(kill_at_random, arguments.seed, arguments.messages, arguments.kills)])


if __name__ == "__main__":
    sys.exit(main())
