"""What calls and a contact's messages take while many links flood a daemon with one kind of frame."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.bench_attack import KINDS
from scripts.bench_mesh import daemons, shown, until_routed
from tests.system.daemon import PROJECT, Daemon, UnixClient

LINKS = (16, 64)
SECONDS = 6.0
PATIENCE_S = 20.0
CALLS = ("status", "peers.list", "messages.list_conversations", "rpc.methods")
CALL_AIM_S, MESSAGE_AIM_S = 0.2, 1.0


@dataclass
class Worst:
    """The longest of each, in seconds of the clock; and the most that the daemon's event loop computed meanwhile."""

    call: float = 0.0
    call_work: float = 0.0
    message: float = 0.0
    message_work: float = 0.0

    @property
    def shown(self) -> str:
        """As two cells."""
        return f"{shown(self.call)} ({shown(self.call_work)}) | {shown(self.message)} ({shown(self.message_work)})"


def loop_time(pid: int) -> float:
    """Seconds that the first thread of a process ran (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def flooded(victim: Daemon, kind: str, links: int) -> Iterator[None]:
    """Flood from another process; the links end with it."""
    command = [sys.executable, "-m", "scripts.bench_attack", str(victim.mesh_port), victim.node_id, kind, str(links)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as attack:
        if attack.stdout is None or attack.stdout.readline() != "linked\n":
            raise SystemExit(f"the links that should flood {kind} did not come up")
        try:
            yield
        finally:
            attack.kill()


def measured(victim: Daemon, friend: Daemon) -> Worst:
    """Call all the time, and let a contact write, each on its own connection."""
    worst, victim_id, ends = Worst(), victim.node_id, time.perf_counter() + SECONDS
    pid = int(victim.runtime["pid"])

    def timed(work: Callable[[], object]) -> tuple[float, float]:
        began, worked = time.perf_counter(), loop_time(pid)
        work()
        return time.perf_counter() - began, loop_time(pid) - worked

    def call() -> None:
        client = UnixClient(Path(victim.runtime["unix_socket"]), timeout_s=120)
        while time.perf_counter() < ends:
            for method in CALLS:
                took, work = timed(partial(client.call, method))
                worst.call, worst.call_work = max(worst.call, took), max(worst.call_work, work)
        client.close()

    caller = threading.Thread(target=call)
    caller.start()
    receiver = UnixClient(Path(victim.runtime["unix_socket"]), timeout_s=PATIENCE_S)
    receiver.call("messages.subscribe")
    with friend.socket() as sender:
        while time.perf_counter() < ends:
            took, work = timed(partial(arrive, sender, receiver, victim_id))
            worst.message, worst.message_work = max(worst.message, took), max(worst.message_work, work)
            time.sleep(0.1)
    receiver.close()
    caller.join()
    return worst


def arrive(sender: UnixClient, receiver: UnixClient, victim_id: str) -> None:
    """Send one message, and wait until the victim tells of it, or `PATIENCE_S`. Other events are dropped."""
    began = time.perf_counter()
    sent = sender.call("messages.send", {"peer_node_id": victim_id, "body": "Still there?"})
    while time.perf_counter() < began + PATIENCE_S:
        try:
            event = receiver.receive()["params"]
        except TimeoutError:
            return
        if event.get("message", {}).get("id") == sent["id"]:
            return


def lines(kinds: Sequence[str] = ()) -> Iterator[str]:
    """Measure every kind of frame with few and many links, and first without any."""
    with daemons(2, [(0, 1)]) as (victim, friend):
        until_routed(victim, friend.node_id, 1)
        until_routed(friend, victim.node_id, 1)
        victim.call("peers.label", {"node_id": friend.node_id, "label": "friend"})
        quiet = measured(victim, friend)
        yield f"| nothing | {quiet.shown} | | |"
        for kind in kinds or KINDS:
            found = []
            for links in LINKS:
                with flooded(victim, kind, links):
                    found.append(measured(victim, friend))
            yield f"| {kind} | " + " | ".join(one.shown for one in found) + " |"


def section() -> str:
    """Measure, and return the section of the document."""
    busy = os.getloadavg()[0]
    table = [
        "## Flood\n",
        (
            f"A daemon on loopback, flooded for {SECONDS:g} s over {LINKS[0]} and {LINKS[1]} links with one kind of frame as fast as "
            "it takes them, by another process of the same machine. Shown is the longest of all calls "
            f"({', '.join(f'`{name}`' for name in CALLS)}) over the Unix socket, one after the other, and the longest time that a "
            "message of a contact takes to arrive, both measured beside each other. In brackets is how long the daemon's event loop "
            "computed at most meanwhile, which is what the time would be if nothing else ran on the machine. "
            f"Aims: {shown(CALL_AIM_S)} and {shown(MESSAGE_AIM_S)}. "
            f"The load average of the machine was {busy:.1f} before: where it is above 1, other work was measured, too.\n"
        ),
        f"| what floods | call, {LINKS[0]} links | message, {LINKS[0]} links | call, {LINKS[1]} links | message, {LINKS[1]} links |",
        "|---|---:|---:|---:|---:|",
    ]
    for line in lines():
        print(line, file=sys.stderr, flush=True)
        table.append(line)
    return "\n".join(table) + "\n"


if __name__ == "__main__":
    for line in lines(sys.argv[1:]):
        print(line, flush=True)
