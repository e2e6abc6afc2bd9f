"""Messages between whole daemons, beside Reticulum's proven packets and LXMF's messages on the same machine in the same run."""

import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from scripts.bench_links import cpu, high, shown
from scripts.bench_mesh import PATIENCE_S, daemons, exchange, listening, until_routed
from tests.system.daemon import Daemon, UnixClient

ROUNDS = 3
MESSAGES = 4_000
PACKETS = 2_000
LXMF_MESSAGES = 100
AT_ONCE = (16, 32)
"""Of the others the better one counts. With 64 on their way both are slower, and with 256, or 4, packets get lost."""
CALLS_AT_ONCE = 28
"""Fewer than a connection may have in flight."""
BODY = "x" * 200
SINGLES = 60
WAITING = 50_000
CONVERSATION = 100_000
PAGES = 200
OTHERS = ("rns==1.5.7", "lxmf==1.2.1")
PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    measured: str
    baseline: str = ""
    ratio: str = ""
    aim: str = ""

    @property
    def text(self) -> str:
        """As Markdown."""
        return f"| {self.name} | {self.measured} | {self.baseline} | {self.ratio} | {self.aim} |"


def section() -> str:
    """Measure, and return the section of the document."""
    table = [
        "## Messages\n",
        (
            f"Messages of {len(BODY)} bytes between contacts, whole daemons on loopback that share the machine's cores with who "
            "measures. All are sent with `messages.send` over one Unix socket, stored at both ends, and counted when the "
            "recipient tells of them. The baseline of a line was measured in the same run, best of "
            f"{ROUNDS} rounds in turn: {' and '.join(OTHERS)}, two processes linked over TCP.\n"
        ),
        "| what | measured | baseline | ratio | aim |",
        "|---|---:|---:|---:|---:|",
    ]
    for line in lines():
        print(line.text, file=sys.stderr, flush=True)
        table.append(line.text)
    return "\n".join(table) + "\n"


def lines() -> Iterator[Line]:
    """Measure everything."""
    yield Line("a transaction of one row is committed, median", shown(commit_s()))
    with tempfile.TemporaryDirectory(prefix="pimd-bench-") as folder:
        python = environment_of_others(Path(folder))
        near, far, packets, lxmf = [], [], [], []
        for _ in range(ROUNDS):
            near.append(throughput(1))
            packets.append(max(of_others(python, Path(folder), "packets", PACKETS, window) for window in AT_ONCE))
            far.append(throughput(2))
            lxmf.append(max(of_others(python, Path(folder), "lxmf", LXMF_MESSAGES, window) for window in AT_ONCE))
    best = max(near, key=lambda one: one.rate)
    for name, found in (("", near), (" over two hops", far)):
        rate, half = max(one.rate for one in found), 1 if found is near else 2
        for other, rates, aim in (("packets", packets, 3 / half), ("LXMF messages", lxmf, 100 / half)):
            yield Line(
                f"messages{name}; {other}",
                f"{rate:,.0f}/s",
                f"{max(rates):,.0f}/s",
                f"{rate / max(rates):.1f}",
                f"at least {aim:g}",
            )
    yield Line("CPU for a message, sender", f"{best.sender_s * 1000:.2f} ms", aim="0.30 ms")
    yield Line("CPU for a message, recipient", f"{best.recipient_s * 1000:.2f} ms", aim="0.30 ms")
    yield single()
    yield from large()


def commit_s() -> float:
    """Median time of a commit in WAL mode with `synchronous=FULL`, which the daemon's stores have."""
    with tempfile.TemporaryDirectory(prefix="pimd-bench-", dir=Path.home()) as folder:
        connection = sqlite3.connect(Path(folder) / "commits.db", isolation_level=None)
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE words (word)")
        times = []
        for _ in range(300):
            began = time.perf_counter()
            connection.execute("INSERT INTO words VALUES (?)", (BODY,))
            times.append(time.perf_counter() - began)
        connection.close()
    return statistics.median(times)


# --- throughput


@dataclass(frozen=True)
class Throughput:
    """Messages a second, and CPU seconds of each end for one."""

    rate: float
    sender_s: float
    recipient_s: float


def throughput(hops: int) -> Throughput:
    """Send many messages as fast as they are accepted, until the recipient has told of all."""
    with daemons(hops + 1, [(n, n + 1) for n in range(hops)]) as nodes:
        sender, recipient = nodes[0], nodes[-1]
        become_contacts(sender, recipient, hops)
        with sender.socket() as calls, listening(recipient) as events:
            send_all(calls, events, recipient.node_id, MESSAGES // 4)
            before = cpu(sender), cpu(recipient)
            took = send_all(calls, events, recipient.node_id, MESSAGES)
            used = [after - then for after, then in zip((cpu(sender), cpu(recipient)), before, strict=True)]
    return Throughput(MESSAGES / took, *(one / MESSAGES for one in used))


def become_contacts(one: Daemon, other: Daemon, hops: int) -> None:
    """Wait for the route, and let each name the other, since strangers may write less."""
    for at, to in ((one, other), (other, one)):
        until_routed(at, to.node_id, hops)
        at.call("peers.label", {"node_id": to.node_id, "label": to.name})


def send_all(calls: UnixClient, events: UnixClient, to: str, count: int) -> float:
    """Return the seconds until the recipient has told of the last one."""
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:  # whoever does not read meanwhile misses events
        all_arrived = pool.submit(lambda: [events.wait_for("message_received")["kind"] for _ in range(count)])
        accept_all(calls, to, count)
        all_arrived.result()
    return time.perf_counter() - began


def accept_all(calls: UnixClient, to: str, count: int) -> None:
    """Keep so many calls in flight until all are answered."""
    call = {"jsonrpc": "2.0", "id": 0, "method": "messages.send", "params": {"peer_node_id": to, "body": BODY}}
    line = json.dumps(call).encode() + b"\n"
    calls.send(line * min(CALLS_AT_ONCE, count))
    for answered in range(count):
        answer = calls.receive()
        if "result" not in answer:
            raise SystemExit(f"messages.send answered {answer}")
        if answered + CALLS_AT_ONCE < count:
            calls.send(line)


# --- the others


def environment_of_others(folder: Path) -> Path:
    """Install them from PyPI; return their interpreter."""
    venv.create(folder / "others", with_pip=True)
    python = folder / "others" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *OTHERS], check=True)
    return python


def of_others(python: Path, folder: Path, what: str, count: int, at_once: int) -> float:
    """How many of them a second arrive, and are proven to have arrived."""
    with tempfile.TemporaryDirectory(dir=folder) as home, ExitStack() as stack, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        nodes = []
        for role in ("listen", "dial"):
            command = [python, PROJECT / "scripts" / "bench_reticulum.py", what, Path(home) / role, role, port]
            node = subprocess.Popen(
                [*map(str, command), str(count), str(at_once)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "HOME": home},
            )
            stack.callback(node.kill)
            assert node.stdout is not None  # noqa: S101
            node.stdout.readline()
            nodes.append(node)
        said, _ = nodes[1].communicate(timeout=PATIENCE_S)
    if nodes[1].returncode:
        print(f"{what} of Reticulum got lost, {at_once} at once", file=sys.stderr, flush=True)
        return 0.0
    return count / float(said)


# --- one, and many


def single() -> Line:
    """One message after another, from the call to the news that it was delivered."""
    with daemons(2, [(0, 1)]) as (sender, recipient):
        become_contacts(sender, recipient, 1)
        with listening(sender) as at_sender, listening(recipient) as at_recipient:
            times = [exchange(at_sender, at_recipient, recipient.node_id)[1] for _ in range(SINGLES)]
    return Line(
        "one message is known to be delivered, three commits in a row, median",
        shown(statistics.median(times)),
        aim="3 ms",
    )


def large() -> Iterator[Line]:
    """Many messages that wait for somebody who is away, and a long conversation."""
    with daemons(2, [(0, 1)]) as (recipient, sender):
        become_contacts(sender, recipient, 1)
        to = recipient.node_id
        recipient.kill()
        with sender.socket() as calls:
            accept_all(calls, to, WAITING)
        sender.kill()
        began = time.perf_counter()
        sender.start()
        yield Line(f"start with {WAITING:,} messages that wait", shown(time.perf_counter() - began), aim="1000 ms")
        recipient.start()
        times, left = while_they_leave(sender, to)
        yield Line(f"`status` while they leave, p99; they leave in {left:.0f} s", shown(high(times)), aim="20 ms")
        with sender.socket() as calls:
            accept_all(calls, to, CONVERSATION - WAITING)
        for name, method, params in (
            ("page", "messages.history", {"peer_node_id": to}),
            ("search for a word that is in all", "messages.search", {"text": BODY}),
            ("search for the beginning of it", "messages.search", {"text": BODY[:3], "peer_node_id": to}),
            ("list of conversations with unread counts", "messages.list_conversations", None),
        ):
            yield Line(
                f"{name}, with {CONVERSATION:,} messages, p99",
                shown(high(calls_of(sender, method, params))),
                aim="20 ms",
            )


def while_they_leave(sender: Daemon, to: str) -> tuple[Sequence[float], float]:
    """Call `status` every 20 ms until all are delivered; return how long the calls took, and all of it."""
    times, began = list[float](), time.perf_counter()
    with sender.socket() as calls:
        while any(
            one["status"] != "delivered" for one in calls.call("messages.history", {"peer_node_id": to})["messages"]
        ):
            if time.perf_counter() > began + PATIENCE_S:
                raise SystemExit(f"messages to {to} were not delivered within {PATIENCE_S:.0f} s")
            for _ in range(10):
                before = time.perf_counter()
                calls.call("status")
                times.append(time.perf_counter() - before)
                time.sleep(0.02)
    return times, time.perf_counter() - began


def calls_of(daemon: Daemon, method: str, params: object) -> Sequence[float]:
    """How long each of some calls took."""
    times = []
    with daemon.socket() as calls:
        for _ in range(PAGES):
            began = time.perf_counter()
            calls.call(method, params)
            times.append(time.perf_counter() - began)
    return times
