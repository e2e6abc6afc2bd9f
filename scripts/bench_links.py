"""What links carry, between whole daemons on loopback: both directions, beside a bulk sender, and CPU for each datagram."""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.bench_mesh import daemons, exchange, listening, until_routed
from tests.system.daemon import Daemon

FEATURE = Path(__file__).parent / "bench_feature"
ROUNDS = 5
PAYLOADS = 3_000
PINGS = 400
MESSAGES = 40
PACKETS = {1_200: 30_000, 60_000: 5_000}
CPU_AIMS_US = {1_200: 30.0, 60_000: 180.0}


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    ours: str
    baseline: str
    ratio: str
    aim: str

    @property
    def text(self) -> str:
        """As Markdown."""
        return f"| {self.name} | {self.ours} | {self.baseline} | {self.ratio} | {self.aim} |"


def lines() -> Iterator[Line]:
    """Measure everything; the baseline of a line was measured in the same run, in turn with it."""
    with linked() as (alice, bob):
        yield both_directions(alice, bob)
        yield from beside_a_bulk_sender(alice, bob)
        for size in PACKETS:
            yield datagrams(alice, bob, size)


def section() -> str:
    """Measure, and return the section of the document."""
    table = [
        "## Links\n",
        (
            "Two whole daemons on loopback that share the machine's cores with who measures. The baseline of a line was measured in "
            "the same run: the other direction, or the same while nothing else is sent. The bulk sender is another plugin of the "
            "same daemon; it sends payloads of 60 kB as fast as there is room, without end.\n"
        ),
        "| what | measured | baseline | ratio | aim |",
        "|---|---:|---:|---:|---:|",
    ]
    for line in lines():
        print(line.text, file=sys.stderr, flush=True)
        table.append(line.text)
    return "\n".join(table) + "\n"


@contextmanager
def linked() -> Iterator[tuple[Daemon, Daemon]]:
    """Two daemons with the features that measure; the second dials, so the first accepts."""
    with daemons(2, [(0, 1)], FEATURE) as (alice, bob):
        until_routed(alice, bob.node_id, 1)
        until_routed(bob, alice.node_id, 1)
        bob.call("peers.label", {"node_id": alice.node_id, "label": "alice"})  # strangers may write less
        yield alice, bob


def pings(src: Daemon, dst_id: str, count: int, at_once: int) -> dict[str, list[float]]:
    """Round trips of payloads of 100 B."""
    with src.socket() as client:
        return dict(client.call("probe.pings", {"node_id": dst_id, "count": count, "at_once": at_once}))


def both_directions(acceptor: Daemon, dialler: Daemon) -> Line:
    """Payloads of 100 B, eight on their way at a time, from either end."""
    ways = [(acceptor, dialler.node_id), (dialler, acceptor.node_id)]
    rates: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for way, (src, dst_id) in enumerate(ways):
            total = pings(src, dst_id, PAYLOADS, 8)["total"]
            rates[way].append(PAYLOADS / float(total))  # type: ignore[arg-type]
    there, back = map(statistics.median, rates)
    name = "payloads of 100 B and their answers, eight at a time, from the acceptor; from the dialler"
    return Line(name, f"{there:,.0f}/s", f"{back:,.0f}/s", f"{there / back:.2f}", "0.75 to 1.25")


def beside_a_bulk_sender(alice: Daemon, bob: Daemon) -> Iterator[Line]:
    """The same daemon sends 60 kB payloads without a pause, from another plugin."""
    small, messages = _beside(alice, bob)
    yield Line(
        f"payload of 100 B and its answer, p99, beside {small.rate:.0f} MB/s; idle",
        shown(high(small.busy)),
        shown(high(small.idle)),
        f"{high(small.busy) / high(small.idle):.2f}",
        f"at most {shown(2 * high(small.idle) + 0.005)} (2 x idle + 5 ms)",
    )
    median = statistics.median
    yield Line(
        f"a message is known to be delivered, median, beside {messages.rate:.0f} MB/s; idle",
        shown(median(messages.busy)),
        shown(median(messages.idle)),
        f"{median(messages.busy) / median(messages.idle):.2f}",
        "at most 3 x",
    )


@dataclass(frozen=True)
class Beside:
    """Seconds with and without the bulk sender, and what that moved meanwhile, in MB/s."""

    idle: Sequence[float]
    busy: Sequence[float]
    rate: float


def _beside(alice: Daemon, bob: Daemon) -> tuple[Beside, Beside]:
    bob_id = bob.node_id
    with listening(alice) as at_alice, listening(bob) as at_bob:

        def messages() -> list[float]:
            return [exchange(at_alice, at_bob, bob_id)[1] for _ in range(MESSAGES)]

        def small() -> list[float]:
            return pings(alice, bob_id, PINGS, 1)["each"]

        idle = small(), messages()
        alice.call("bulk.start", {"node_id": bob_id})
        busy, rates = [], []
        for measure in (small, messages):
            began, before = time.perf_counter(), bob.call("bulk.received")["count"]
            busy.append(measure())
            rates.append((bob.call("bulk.received")["count"] - before) / (time.perf_counter() - began) / 1e6)
        alice.call("bulk.stop")
    return Beside(idle[0], busy[0], rates[0]), Beside(idle[1], busy[1], rates[1])


def datagrams(alice: Daemon, bob: Daemon, size: int) -> Line:
    """CPU of both processes for each datagram that arrived, sockets included."""
    count, costs = PACKETS[size], list[float]()
    for _ in range(3):
        before, received = cpu(alice) + cpu(bob), bob.call("probe.received")["count"]
        with alice.socket() as client:
            client.call("probe.packets", {"node_id": bob.node_id, "count": count, "size": size})
        arrived = bob.call("probe.received")["count"] - received
        costs.append((cpu(alice) + cpu(bob) - before) / arrived * 1e6)
    best = min(costs)
    aim = CPU_AIMS_US[size]
    return Line(f"CPU for a datagram of {size:,} B over one hop, both ends", f"{best:.1f} us", "", "", f"{aim:.0f} us")


def cpu(daemon: Daemon) -> float:
    """Seconds that a process used."""
    assert daemon.process is not None  # noqa: S101
    times = psutil.Process(daemon.process.pid).cpu_times()
    return times.user + times.system


def high(seconds: Sequence[float]) -> float:
    """The 99th percentile."""
    return sorted(seconds)[-(-len(seconds) * 99 // 100) - 1]


def shown(seconds: float) -> str:
    """In milliseconds."""
    return f"{seconds * 1000:.2f} ms"
