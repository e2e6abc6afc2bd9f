"""A scripted conversation in which one daemon is killed before its n-th write or sync: over a mailbox, directly, in a group."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pimd.proto.identity import Identity
from scripts.campaign_judge import PATIENCE_S, Judge, Verdict, lasting_port, other_of, routed, stop, until
from tests.system.daemon import Daemon, Failed

SEED_SIZE = 32
SHIM = Path(__file__).with_name("campaign_kill.c")
SITE = Path(__file__).with_name("campaign_site")
VICTIMS = ("alice", "bob", "box")
DEAD = (ConnectionError, HTTPException, FileNotFoundError, AssertionError, KeyError, ValueError)
"""What a call raises when the daemon is killed meanwhile."""


def built(folder: Path) -> Path:
    """Compile the library that kills."""
    compiler = shutil.which("cc") or sys.exit("a C compiler is missing; on Debian: apt-get install gcc libc6-dev")
    library = folder / "kill.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SHIM], check=True)
    return library


def keyed(data_dir: Path) -> str:
    """Make the key of a daemon that never ran; return its id."""
    data_dir.mkdir(mode=0o700)
    seed = os.urandom(SEED_SIZE)
    key = data_dir / "node.key"
    key.touch(0o600)
    key.write_bytes(seed)
    return str(Identity.from_seed(seed).node_id)


@contextmanager
def trio(home: Path) -> Iterator[tuple[Judge, Daemon]]:
    """Start alice and bob, who are linked and contacts, and the mailbox of both; each keeps its port over restarts."""
    with ExitStack() as stack:

        def started(name: str, config: str) -> Daemon:
            daemon = Daemon(home, name, config)
            daemon.environ["PYTHONPATH"] = f"{SITE}:{daemon.environ['PYTHONPATH']}"
            daemon.environ["PIMD_TRANSPORT__LISTEN_PORT"] = lasting_port()
            daemon.start()
            stack.callback(stop, daemon)
            return daemon

        def dials(*others: Daemon) -> str:
            entry = '[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{}"\n'
            return "".join(entry.format(one.mesh_port) for one in others)

        ids = {name: keyed(home / name) for name in ("alice", "bob")}
        served = ", ".join(f'"{one}"' for one in ids.values())
        enabled = '[features]\nenabled = ["peers", "routes", "status", "config", "logs", "mailbox"]\n'
        box = started("box", f"{enabled}[features.mailbox]\nserve = [{served}]\n")
        own = f'[features.messaging]\nmailboxes = ["{box.node_id}"]\n'
        alice = started("alice", own + dials(box))
        bob = started("bob", own + dials(box, alice))
        judge = Judge({"alice": alice, "bob": bob})
        judge.ids = ids
        for name, one in judge.daemons.items():
            other = other_of(name)
            until(lambda one=one, other=other: routed(one, ids[other]))  # type: ignore[misc]
            one.call("peers.label", {"node_id": ids[other], "label": other})
        until(lambda: box.call("mailbox.status")["bundles"] == len(ids))
        yield judge, box


@dataclass
class Run:
    """One conversation, in which the victim is killed before its n-th boundary, or never."""

    judge: Judge
    box: Daemon
    victim: str
    fatal: Mapping[str, str]
    """What is added to the environment of the victim, so that it is killed."""
    restarts: list[float] = field(default_factory=list)
    letters: int = 0
    """Messages that a user saw as kept, and that nobody can have taken since."""

    def daemon(self, name: str) -> Daemon:
        """One of the three."""
        return self.box if name == "box" else self.judge.daemons[name]

    def up(self, name: str) -> None:
        """Start one; the victim may die before it is up."""
        daemon, own = self.daemon(name), self.daemon(name).environ
        self.judge.away.discard(name)
        self.letters = 0
        if name != self.victim:
            daemon.start()
            return
        daemon.environ = {**own, **self.fatal}
        try:
            daemon.start()
        except Failed:
            self._revive()
        finally:
            daemon.environ = own

    def down(self, name: str) -> None:
        """Stop one; the victim may die while it stops, or have died before."""
        daemon = self.daemon(name)
        if daemon.kill(signal.SIGTERM) == -signal.SIGKILL:
            self._revive()
            daemon.kill(signal.SIGTERM)
        self.judge.away.add(name)

    def attempt(self, what: Callable[[], None]) -> None:
        """Do one step; if the victim dies in it, start it again, look at once what it has, and do the step again."""
        try:
            what()
        except DEAD:
            self._revive()
            what()

    def until(self, true: Callable[[], bool]) -> None:
        """Ask again and again; the victim is started again if it dies meanwhile, whoever is asked."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._holds(true):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {PATIENCE_S:.0f} s: {true}")
            time.sleep(0.02)

    def _holds(self, true: Callable[[], bool]) -> bool:
        process = self.daemon(self.victim).process
        if process is not None and process.poll() is not None:
            self._revive()
        try:
            return true()
        except DEAD:
            self._revive()
            return False

    def say(self, who: str, *bodies: str) -> None:
        """Write messages one after the other; one that got no answer is written again under another name."""
        params = {"peer_node_id": self.judge.ids[other_of(who)]}
        for body in bodies:
            self._write(who, "messages.send", params, body, self.judge.accepted[who])

    def say_to_group(self, who: str, body: str) -> None:
        """Write to the group."""
        self._write(who, "groups.send", {"group": self.judge.group}, body, self.judge.group_accepted[who])

    def _write(self, who: str, method: str, params: dict[str, Any], body: str, accepted: list[str]) -> None:
        daemon = self.judge.daemons[who]
        try:
            daemon.call(method, {**params, "body": body})
        except DEAD:
            self.judge.unsure.add(body)
            self._revive()
            body += " again"
            daemon.call(method, {**params, "body": body})
        accepted.append(body)

    def read(self, who: str) -> None:
        """Mark all read."""
        daemon, other = self.judge.daemons[who], self.judge.ids[other_of(who)]
        self.judge.read[who] |= {*self.judge.accepted[other_of(who)], *self.judge.unsure}
        self.attempt(lambda: daemon.call("messages.mark_read", {"peer_node_id": other, "up_to_ts_ms": 2**62}))

    def delete(self, who: str) -> None:
        """Delete the conversation at one end."""
        daemon, other = self.judge.daemons[who], self.judge.ids[other_of(who)]
        # First: it may be done, and its answer lost.
        self.judge.deleted[who] |= {*self.judge.accepted["alice"], *self.judge.accepted["bob"], *self.judge.unsure}
        self.attempt(lambda: daemon.call("messages.delete_conversation", {"peer_node_id": other}))

    def kept(self, who: str) -> None:
        """Wait until the mailbox has what one wrote to the other, who is away."""

        def are_kept() -> bool:
            sent = [one["status"] for one in self.judge.pages(who) if one["direction"] == "sent"]
            waiting = [status for status in sent if status != "delivered"]
            self.letters = len(waiting) if set(waiting) == {"kept"} else 0
            return self.letters > 0

        self.until(are_kept)

    def got(self, who: str) -> None:
        """Wait until one has all that the other wrote."""
        written = self.judge.accepted[other_of(who)]
        self.until(lambda: {one["body"] for one in self.judge.pages(who)} >= {*written})

    def settle(self) -> None:
        """Wait until all was delivered."""
        self.until(self.judge.settled)

    def meet(self) -> None:
        """Alice makes a group, invites bob, and he joins."""
        alice, bob = self.judge.daemons["alice"], self.judge.daemons["bob"]
        bob_id = self.judge.ids["bob"]

        def listed(one: Daemon) -> dict[str, Any]:
            return next((dict(row) for row in one.call("groups.list")["groups"]), {})

        def create() -> None:
            if not listed(alice):
                alice.call("groups.create", {"name": "both"})

        def invite() -> None:
            row = listed(alice)
            if bob_id not in str(row):
                alice.call("groups.invite", {"group": row["group_id"], "node_id": bob_id})

        def join() -> None:
            if listed(bob)["state"] == "invited":
                bob.call("groups.join", {"group": listed(bob)["group_id"]})

        self.attempt(create)
        self.attempt(invite)
        self.until(lambda: bool(listed(bob)))
        self.attempt(join)
        self.until(lambda: listed(bob)["state"] == "joined")
        self.until(lambda: bob_id in str(listed(alice)["members"]))
        self.judge.group = str(listed(alice)["group_id"])

    def _revive(self) -> None:
        if self.restarts:
            raise RuntimeError(f"{self.victim} ended once more, and nobody killed it")
        daemon = self.daemon(self.victim)
        if daemon.process is not None:
            daemon.process.wait(30)
            daemon.kill()  # closes its pipe
        began = time.perf_counter()
        daemon.start()
        self.restarts.append(time.perf_counter() - began)
        if self.victim != "box":
            self.judge.after_restart(self.victim)
        elif (there := daemon.call("mailbox.status")["messages"]) < self.letters:
            self.judge.problems.append(f"the mailbox has {there} messages, and {self.letters} were kept")


def converse(run: Run) -> None:
    """What is said in each run: to one who is away, both ways, several at once, read, deleted, and in a group."""
    run.say("alice", "one")
    run.kept("alice")
    run.down("alice")
    run.up("bob")
    run.got("bob")
    run.say("bob", "two", "three")
    run.kept("bob")
    run.up("alice")
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


def kill_at(shim: Path, victim: str, number: int) -> Verdict:
    """Play the conversation; with 0 nobody is killed, and the boundaries are counted."""
    with tempfile.TemporaryDirectory(prefix="pimd-campaign-") as folder:
        counter = Path(folder) / "counter"
        counter.write_bytes(bytes(8))
        fatal = {"LD_PRELOAD": str(shim), "CAMPAIGN_COUNTER": str(counter), "CAMPAIGN_KILL_AT": str(number)}
        with trio(Path(folder)) as (judge, box):
            run, bob = Run(judge, box, victim, fatal), judge.daemons["bob"]
            bob.kill(signal.SIGTERM)
            judge.away.add("bob")
            if victim != "bob":
                run.daemon(victim).kill(signal.SIGTERM)
                run.up(victim)
            try:
                converse(run)
                judge.finish()
            except (TimeoutError, RuntimeError) as error:
                judge.problems.append(str(error))
        counted = int.from_bytes(counter.read_bytes(), sys.byteorder)
    return Verdict(f"{victim} {number}", counted, tuple(run.restarts), tuple(judge.problems))
