"""How long messages take over whole daemons on loopback: over five hops, and past a relay that was killed or stopped."""

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.daemon import Daemon, UnixClient

HOPS = 5
MESSAGES = 30
"""Fewer than a stranger may send."""
TRACES = 10
"""Fewer than are answered in a second."""
KILLS = 5
STOPS = 2
LADDER = ((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5))
"""Two rows of three nodes and three rungs; from 0 to 2 the shortest way goes over 1."""
PATIENCE_S = 120.0
FIVE_HOPS_AIM_S, KILLED_AIM_S, STOPPED_AIM_S = 0.05, 2.0, 20.0


@dataclass(frozen=True)
class Times:
    """One line of the table, in seconds."""

    name: str
    ours: Sequence[float]
    aim: float
    baseline: Sequence[float] = ()

    @property
    def median(self) -> float:
        """Of our times."""
        return statistics.median(self.ours)

    @property
    def high(self) -> float:
        """The 95th percentile; of a few times that is the longest."""
        return sorted(self.ours)[max(0, -(-len(self.ours) * 95 // 100) - 1)]

    @property
    def line(self) -> str:
        """As Markdown."""
        direct = statistics.median(self.baseline) if self.baseline else None
        against = ["", ""] if direct is None else [shown(direct), f"{self.median / direct:.2f}"]
        return f"| {' | '.join([self.name, shown(self.median), shown(self.high), *against, shown(self.aim)])} |"


def shown(seconds: float) -> str:
    """In the unit that suits."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


@contextmanager
def daemons(count: int, links: Sequence[tuple[int, int]], site: Path | None = None) -> Iterator[list[Daemon]]:
    """Run daemons, the later one of each link dials; whichever is started again listens where it did.

    `site` is a directory of more distributions that they find.
    """
    with tempfile.TemporaryDirectory(prefix="pimd-bench-") as home, ExitStack() as stack:
        made: list[Daemon] = []
        for number in range(count):
            earlier = [made[min(link)] for link in links if max(link) == number]
            config = "".join(
                f'[[peers]]\nmechanism = "tcp"\naddress = "127.0.0.1:{one.mesh_port}"\n' for one in earlier
            )
            daemon = Daemon(Path(home), f"node{number}", config, {"PIMD_DISCOVERY__ENABLED": "false"})
            if site is not None:
                daemon.environ["PYTHONPATH"] += f":{site}"
            daemon.start()
            stack.callback(lambda daemon=daemon: daemon.process is not None and daemon.kill())  # type: ignore[misc]
            daemon.environ["PIMD_TRANSPORT__LISTEN_PORT"] = str(daemon.mesh_port)
            made.append(daemon)
        yield made


def until_routed(one: Daemon, other_id: str, hops: int) -> None:
    """Wait until one daemon has a route of so many hops to another."""
    began = time.perf_counter()
    while (found := hops_to(one, other_id)) != hops:
        if time.perf_counter() - began > PATIENCE_S:
            raise SystemExit(f"{one.name} has no route of {hops} hops to {other_id} but one of {found}")
        time.sleep(0.1)


def hops_to(one: Daemon, other_id: str) -> int | None:
    """None when there is no route."""
    rows = one.call("peers.list", {"all": True})
    return next((row["route_hops"] for row in rows if row["node_id"] == other_id and row["state"] != "failed"), None)


@contextmanager
def listening(daemon: Daemon) -> Iterator[UnixClient]:
    """Subscribe to messages."""
    client = UnixClient(Path(daemon.runtime["unix_socket"]), timeout_s=PATIENCE_S)
    try:
        client.call("messages.subscribe")
        yield client
    finally:
        client.close()


def exchange(sender: UnixClient, receiver: UnixClient, to: str) -> tuple[float, float]:
    """Send one message; seconds from the call to its arrival there, and to the news here that it was delivered."""
    began = time.perf_counter()
    sent = sender.call("messages.send", {"peer_node_id": to, "body": "How long does this take?"})
    until(receiver, "message_received", sent["id"])
    arrived = time.perf_counter() - began
    while until(sender, "message_status", sent["id"])["new_status"] != "delivered":
        pass
    return arrived, time.perf_counter() - began


def until(client: UnixClient, kind: str, message_id: str) -> dict[str, Any]:
    """Return the event of one message."""
    while True:
        event = client.wait_for(kind)
        if message_id in (event.get("message_id"), event.get("message", {}).get("id")):
            return event


def over_five_hops() -> Iterator[Times]:
    """From one end of a line to the other, in turn with the same between direct neighbours."""
    with daemons(HOPS + 1, [(n, n + 1) for n in range(HOPS)]) as nodes, ExitStack() as stack:
        first, near, far = nodes[0], nodes[1], nodes[-1]
        near_id, far_id = near.node_id, far.node_id
        until_routed(first, far_id, HOPS)
        until_routed(far, first.node_id, HOPS)
        at_first, at_near, at_far = (stack.enter_context(listening(node)) for node in (first, near, far))
        exchange(at_first, at_far, far_id)
        exchange(at_first, at_near, near_id)
        pairs = [(exchange(at_first, at_far, far_id), exchange(at_first, at_near, near_id)) for _ in range(MESSAGES)]
        check_carried(nodes[1:-1], MESSAGES + 1)
        traces = [traced(first, far_id) for _ in range(TRACES)]
    for at, what in enumerate(("arrives", "is known to be delivered")):
        far_times, near_times = [pair[0][at] for pair in pairs], [pair[1][at] for pair in pairs]
        yield Times(f"a message {what} over five hops", far_times, FIVE_HOPS_AIM_S, near_times)
    there_and_back = [trace[-1] for trace in traces], FIVE_HOPS_AIM_S, [trace[0] for trace in traces]
    yield Times("a question over five hops and its answer, nothing stored", *there_and_back)


def check_carried(relays: Sequence[Daemon], messages: int) -> None:
    """Each relay has forwarded every message and its receipt; otherwise they went another way, and the times mean nothing."""
    for relay in relays:
        forwarded = relay.call("status")["stats"]["forwarded_packets"]
        if forwarded < 2 * messages:
            raise SystemExit(
                f"{relay.name} forwarded {forwarded} frames, not the {2 * messages} that went over the line"
            )


def traced(one: Daemon, other_id: str) -> list[float]:
    """Seconds until each hop on the way has answered, in order."""
    hops = one.call("route.trace", {"node_id": other_id})["hops"]
    if [hop["state"] for hop in hops] != ["answered"] * HOPS:
        raise SystemExit(f"a trace over {HOPS} hops found {hops}")
    return [hop["time_ms"] / 1000 for hop in hops]


def past_a_lost_relay() -> Iterator[Times]:
    """The relay in use is lost, and at once a message is sent."""
    with daemons(6, LADDER) as nodes, ExitStack() as stack:
        sender, relay, receiver = nodes[:3]
        to = receiver.node_id
        ends = stack.enter_context(listening(sender)), stack.enter_context(listening(receiver))
        killed = [_without(relay, signal.SIGKILL, sender, to, ends) for _ in range(KILLS)]
        yield Times(f"the next message after kill -9 of the relay in use, {KILLS} times", killed, KILLED_AIM_S)
        stopped = [_without(relay, signal.SIGSTOP, sender, to, ends) for _ in range(STOPS)]
        yield Times(f"the next message after SIGSTOP of the relay in use, {STOPS} times", stopped, STOPPED_AIM_S)


def _without(relay: Daemon, number: int, sender: Daemon, to: str, ends: tuple[UnixClient, UnixClient]) -> float:
    """Return how long the message took; the relay is back when this is called again."""
    until_routed(sender, to, 2)
    exchange(*ends, to)  # the way is in use
    pid = int(relay.runtime["pid"])
    os.kill(pid, number)
    taken, _ = exchange(*ends, to)
    if number == signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)
    else:
        relay.kill()  # dead already
        relay.start()
    return taken


def section() -> str:
    """Measure, and return the section of the document."""
    lines = [
        "## Mesh\n",
        (
            "Whole daemons on loopback. Times run from the call of `messages.send`; high is the 95th percentile, of less than "
            "twenty the longest. The ratio is against direct neighbours, measured in turn with it. Most of a message's time is "
            "spent at its ends, so the ratio says little on a busy machine. That each relay forwarded every message and "
            "receipt is checked. A relay that is stopped is given up after 15 s without a record from it.\n"
        ),
        "| what | median | high | over one hop | ratio | aim |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for rows in (over_five_hops(), past_a_lost_relay()):
        for row in rows:
            print(row.line, file=sys.stderr, flush=True)
            lines.append(row.line)
    return "\n".join(lines) + "\n"
