"""Kills a daemon with SIGKILL at each write and sync of a scripted conversation, or at random, and judges what both users see.

`boundaries` kills before the n-th of those calls of libc, for each n, with a library that it compiles and preloads; `kills`
kills alice, bob or the relay between them while they write. `lab` plays seeds of whole daemons over five hops under a virtual
clock. Exits 1 when the judge found a problem.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from scripts import campaign_lab
from scripts.campaign_judge import PATIENCE_S, Judge, other_of
from tests.system.daemon import Daemon, Failed

SHIM = Path(__file__).with_name("campaign_kill.c")
DEAD = (ConnectionError, FileNotFoundError, AssertionError, KeyError, ValueError)
"""What a call raises when the daemon is killed meanwhile."""


@contextmanager
def pair(home: Path, *, relayed: bool) -> Iterator[tuple[Judge, list[Daemon]]]:
    """Start alice and bob as contacts, with a relay between them or a link; each keeps its port over restarts."""
    names = ["alice", "relay", "bob"] if relayed else ["alice", "bob"]
    with ExitStack() as stack:
        made: list[Daemon] = []
        for name in names:
            dials = f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{made[-1].mesh_port}"\n' if made else ""
            daemon = Daemon(home, name, dials).start()
            stack.callback(stop, daemon)
            daemon.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(daemon.mesh_port)
            made.append(daemon)
        judge = Judge({"alice": made[0], "bob": made[-1]})
        judge.ids = {name: one.node_id for name, one in judge.daemons.items()}
        for name, one in judge.daemons.items():
            until(lambda one=one, name=name: routed(one, judge.ids[other_of(name)]))  # type: ignore[misc]
            one.call("peers.label", {"node_id": judge.ids[other_of(name)], "label": other_of(name)})
        yield judge, made


def routed(one: Daemon, other_id: str) -> bool:
    """Tell whether there is a way, and the key that comes with the card is known."""
    rows = one.call("peers.list", {"all": True})
    return any(row["node_id"] == other_id and row["route_hops"] and row["x25519_pubkey"] for row in rows)


def until(true: Callable[[], bool]) -> None:
    """Ask again and again; TimeoutError after `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_S:.0f} s: {true}")
        time.sleep(0.02)


def stop(daemon: Daemon) -> None:
    """Kill it for good, with what traces it."""
    with suppress(OSError, KeyError, ValueError):
        os.kill(int(daemon.runtime["pid"]), 9)
    if daemon.process is not None:
        daemon.kill()


# --- every boundary


@dataclass
class Run:
    """One conversation, in which the victim is killed before its n-th boundary, or never."""

    judge: Judge
    victim: str
    restarts: list[float] = field(default_factory=list)

    def start_to_die(self, shim: Path, counter: Path, number: int) -> None:
        """Start the victim anew, with the library that kills it; it may die before it is up."""
        daemon = self.judge.daemons[self.victim]
        daemon.kill(signal.SIGTERM)
        own, daemon.environ = (
            daemon.environ,
            {
                **daemon.environ,
                "LD_PRELOAD": str(shim),
                "CAMPAIGN_COUNTER": str(counter),
                "CAMPAIGN_KILL_AT": str(number),
            },
        )
        try:
            daemon.start()
        except Failed:
            self._revive()
        finally:
            daemon.environ = own

    def attempt(self, what: Callable[[], None]) -> None:
        """Do one step; if the victim dies in it, start it again, look at once what it has, and do the step again."""
        try:
            what()
        except DEAD:
            self._revive()
            what()

    def say(self, who: str, *bodies: str) -> None:
        """Write messages one after the other; one that got no answer is written again under another name."""
        for body in bodies:
            try:
                self._send(who, body)
            except DEAD:
                self.judge.unsure.add(body)
                self._revive()
                self._send(who, f"{body} again")

    def read(self, who: str) -> None:
        """Mark all read."""
        daemon, other = self.judge.daemons[who], self.judge.ids[other_of(who)]
        self.judge.read[who] |= {*self.judge.accepted[other_of(who)], *self.judge.unsure}
        self.attempt(lambda: daemon.call("messages.mark_read", {"peer_node_id": other, "up_to_ts_ms": 2**62}))

    def delete(self, who: str) -> None:
        """Delete the conversation at one end."""
        daemon, other = self.judge.daemons[who], self.judge.ids[other_of(who)]
        gone = {*self.judge.accepted["alice"], *self.judge.accepted["bob"], *self.judge.unsure}
        self.attempt(lambda: daemon.call("messages.delete_conversation", {"peer_node_id": other}))
        self.judge.deleted[who] |= gone

    def meet(self) -> None:
        """Alice makes a group, invites bob, and he joins."""
        alice, bob = self.judge.daemons["alice"], self.judge.daemons["bob"]
        bob_id = self.judge.ids["bob"]

        def listed(one: Daemon) -> dict[str, object]:
            return next((dict(row) for row in one.call("groups.list")["groups"]), {})

        def create() -> None:
            if not listed(alice):
                alice.call("groups.create", {"name": "both"})

        def invite() -> None:
            row = listed(alice)
            if bob_id not in str(row):
                alice.call("groups.invite", {"group": row["group_id"], "node_id": bob_id})
            until(lambda: bool(listed(bob)))

        def join() -> None:
            if listed(bob)["state"] == "invited":
                bob.call("groups.join", {"group": listed(bob)["group_id"]})
            until(lambda: listed(bob)["state"] == "joined")

        for step in (create, invite, join):
            self.attempt(step)
        self.judge.group = str(listed(alice)["group_id"])

    def say_to_group(self, who: str, body: str) -> None:
        """Write to the group; what got no answer is written again under another name."""
        try:
            self._send_to_group(who, body)
        except DEAD:
            self.judge.unsure.add(body)
            self._revive()
            self._send_to_group(who, f"{body} again")

    def _send_to_group(self, who: str, body: str) -> None:
        self.judge.daemons[who].call("groups.send", {"group": self.judge.group, "body": body})
        self.judge.group_accepted[who].append(body)

    def settle(self) -> None:
        """Wait until all was delivered."""
        self.attempt(lambda: until(self.judge.settled))

    def _send(self, who: str, body: str) -> None:
        params = {"peer_node_id": self.judge.ids[other_of(who)], "body": body}
        self.judge.daemons[who].call("messages.send", params)
        self.judge.accepted[who].append(body)

    def _revive(self) -> None:
        if self.restarts:
            raise RuntimeError(f"{self.victim} ended once more, and nobody killed it")
        daemon = self.judge.daemons[self.victim]
        if daemon.process is not None:
            daemon.process.wait(30)
            daemon.kill()  # closes its pipe
        began = time.perf_counter()
        daemon.start()
        self.restarts.append(time.perf_counter() - began)
        self.judge.after_restart(self.victim)


def converse(run: Run) -> None:
    """What is said in each run: both ways, several at once, read, deleted, in a group, and after a restart."""
    run.say("alice", "one")
    run.settle()
    run.say("bob", "two", "three")
    run.settle()
    run.say("alice", "four", "five", "six", "seven")
    run.read("bob")
    run.settle()
    run.read("alice")
    run.delete("bob")
    run.say("alice", "eight")
    run.say("bob", "nine")
    run.settle()
    run.meet()
    run.say_to_group("alice", "ten")
    run.say_to_group("bob", "eleven")
    run.settle()


@dataclass(frozen=True)
class Verdict:
    """How one run went."""

    what: str
    boundaries: int
    restarts: tuple[float, ...]
    problems: tuple[str, ...]


def kill_at(shim: Path, victim: str, number: int) -> Verdict:
    """Play the conversation; with 0 nobody is killed, and the boundaries are counted."""
    with tempfile.TemporaryDirectory(prefix="pimd-campaign-") as folder:
        counter = Path(folder) / "counter"
        counter.write_bytes(bytes(8))
        with pair(Path(folder), relayed=False) as (judge, _):
            run = Run(judge, victim)
            run.start_to_die(shim, counter, number)
            converse(run)
            judge.finish()
        counted = int.from_bytes(counter.read_bytes(), sys.byteorder)
    return Verdict(f"{victim} {number}", counted, tuple(run.restarts), tuple(judge.problems))


def boundaries(first: int, step: int) -> int:
    """Kill each of the two at each boundary; print what was found."""
    with tempfile.TemporaryDirectory(prefix="pimd-campaign-") as folder:
        shim = Path(folder) / "kill.so"
        compiler = shutil.which("cc") or sys.exit("a C compiler is missing; on Debian: apt-get install gcc libc6-dev")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", shim, SHIM], check=True)
        counts = {victim: kill_at(shim, victim, 0).boundaries for victim in ("alice", "bob")}
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
