"""The benchmark's rows; each is a ratio against a baseline measured in the same run."""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import aiosqlite
import psutil
from noise.connection import Keypair, NoiseConnection

from pimd.clock import SystemClock
from pimd.proto.cards import issue
from pimd.proto.identity import Identity
from pimd.proto.link_states import RekeyLimits
from pimd.proto.noise import HandshakeState
from pimd.proto.records import RecordReader, RecordWriter
from pimd.store.keystore import Keystore
from scripts import bench_containment, bench_flood, bench_links, bench_mesh, bench_messages

SECTIONS: dict[str, Callable[[], str]] = {
    "links": bench_links.section,
    "mesh": bench_mesh.section,
    "messages": bench_messages.section,
    "flood": bench_flood.section,
    "containment": bench_containment.section,
}
PROJECT = Path(__file__).parents[1]
DOCUMENT = PROJECT / "docs" / "benchmarks.md"
ROUNDS = 5
SLICE_S = 0.4
TOKEN = "0" * 64
CALL = '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
BARE = "import aiohttp.web, jsonrpcserver, pydantic_settings, nacl.bindings, aiosqlite"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    ours: float
    baseline: float
    unit: str
    against: str
    more_is_better: bool = True

    @property
    def ratio(self) -> float:
        """Above 1 we are better."""
        return self.ours / self.baseline if self.more_is_better else self.baseline / self.ours


def per_second(work: Callable[[], int]) -> float:
    """Repeat for a slice of time; `work` returns how much it did."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < SLICE_S:
        done += work()
    return done / (time.perf_counter() - began)


def best_of(ours: Callable[[], float], baseline: Callable[[], float]) -> tuple[float, float]:
    """Alternate, so that a slow moment hits both."""
    pairs = [(ours(), baseline()) for _ in range(ROUNDS)]
    return max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)


# --- RPC


@contextmanager
def server(kind: str) -> Iterator[dict[str, Any]]:
    """Run the benchmark's server in a process of its own."""
    environ = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'features'}", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(PROJECT / "scripts" / "bench_rpc.py"), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        if process.stdout is None:
            raise RuntimeError("no output")
        yield dict(json.loads(process.stdout.readline()))
        process.kill()


async def calls_per_second(exchange: Callable[[], Awaitable[int]]) -> float:
    """Repeat one exchange for a slice of time."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < SLICE_S:
        done += await exchange()
    return done / (time.perf_counter() - began)


async def unix_rate(where: dict[str, Any], depth: int) -> float:
    """Write `depth` lines, read as many answers."""
    reader, writer = await asyncio.open_unix_connection(where["unix"])
    writer.write(b'{"jsonrpc": "2.0", "id": 0, "method": "rpc.hello"}\n')
    await reader.readline()

    async def exchange() -> int:
        writer.write((CALL + "\n").encode() * depth)
        for _ in range(depth):
            await reader.readline()
        return depth

    try:
        return await calls_per_second(exchange)
    finally:
        writer.close()


async def http_rate(where: dict[str, Any], depth: int) -> float:
    """POST over `depth` connections at once."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=depth)) as session:

        async def one() -> None:
            async with session.post(where["http"], data=CALL, headers=headers) as response:
                await response.read()

        async def exchange() -> int:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(depth):
                    tasks.create_task(one())
            return depth

        return await calls_per_second(exchange)


async def websocket_rate(where: dict[str, Any], depth: int) -> float:
    """Send `depth` frames, read as many answers."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    where_to = where["http"].replace("/rpc", "/ws")
    async with aiohttp.ClientSession() as session, session.ws_connect(where_to, headers=headers) as socket:

        async def exchange() -> int:
            for _ in range(depth):
                await socket.send_str(CALL)
            for _ in range(depth):
                await socket.receive()
            return depth

        return await calls_per_second(exchange)


def rpc_rows() -> Iterator[Row]:
    """Each RPC listener, one call at a time and 16 at once."""
    listeners = (("Unix socket", unix_rate), ("HTTP", http_rate), ("WebSocket", websocket_rate))
    with server("ours") as ours, server("plain") as plain:
        for name, rate in listeners:
            for depth in (1, 16):
                best = best_of(
                    lambda rate=rate, depth=depth: asyncio.run(rate(ours, depth)),  # type: ignore[misc]
                    lambda rate=rate, depth=depth: asyncio.run(rate(plain, depth)),  # type: ignore[misc]
                )
                yield Row(f"RPC over {name}, {depth} at once", *best, "calls/s", "aiohttp + jsonrpcserver")


# --- Noise


def our_handshake() -> tuple[Any, Any]:
    """Both sides of XX."""

    def side(number: int) -> HandshakeState:
        return HandshakeState(
            "Noise_XX_25519_AESGCM_SHA256",
            initiator=number == 1,
            prologue=b"",
            ephemeral=lambda: os.urandom(32),
            static=bytes([number]) * 32,
            psks=[],
        )

    sides = [side(1), side(2)]
    for writer, reader in ((0, 1), (1, 0), (0, 1)):
        sides[reader].read_message(sides[writer].write_message(b""))
    return sides[0].split()[0], sides[1].split()[1]


def their_handshake() -> tuple[Any, Any]:
    """The same with noiseprotocol."""
    sides = [NoiseConnection.from_name(b"Noise_XX_25519_AESGCM_SHA256") for _ in range(2)]
    sides[0].set_as_initiator()
    sides[1].set_as_responder()
    for n, side in enumerate(sides):
        side.set_keypair_from_private_bytes(Keypair.STATIC, bytes([n + 1]) * 32)
        side.start_handshake()
    for writer, reader in ((0, 1), (1, 0), (0, 1)):
        sides[reader].read_message(sides[writer].write_message())
    return sides[0], sides[1]


def noise_rows() -> Iterator[Row]:
    """Handshakes, and records of two sizes."""
    best = best_of(
        lambda: per_second(lambda: len(our_handshake()) // 2), lambda: per_second(lambda: len(their_handshake()) // 2)
    )
    yield Row("Noise XX handshakes, both sides", *best, "handshakes/s", "noiseprotocol")
    for size in (100, 1400):
        send, receive = our_handshake()
        writer, reader = RecordWriter(send, RekeyLimits(), 0.0), RecordReader(receive)
        one, other = their_handshake()
        plain = bytes(size)

        def ours(writer: RecordWriter = writer, reader: RecordReader = reader, plain: bytes = plain) -> int:
            for _ in range(100):
                reader.read(writer.write(plain)[2:])
            return 100

        def theirs(one: Any = one, other: Any = other, plain: bytes = plain) -> int:
            for _ in range(100):
                other.decrypt(one.encrypt(plain))
            return 100

        best = best_of(lambda ours=ours: per_second(ours), lambda theirs=theirs: per_second(theirs))  # type: ignore[misc]
        yield Row(f"records of {size} B, sealed and opened", *best, "records/s", "noiseprotocol")


# --- keystore


async def our_upserts(directory: Path, count: int) -> float:
    """Learn many cards and wait until they are on disk."""
    cards = [issue(Identity.from_seed(n.to_bytes(32)), 1, 0, f"node {n}") for n in range(count)]
    async with Keystore.open(directory / "ours.db", SystemClock()) as keystore:
        began = time.perf_counter()
        for card in cards:
            keystore.learn(card, direct=False)
        await keystore.durable()
        return count / (time.perf_counter() - began)


async def plain_upserts(directory: Path, count: int) -> float:
    """One commit each, as durable (WAL, FULL)."""
    async with aiosqlite.connect(directory / "plain.db", isolation_level=None) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=FULL")
        await connection.execute("CREATE TABLE IF NOT EXISTS peers (id BLOB PRIMARY KEY, card BLOB)")
        began = time.perf_counter()
        for n in range(count):
            await connection.execute("INSERT OR REPLACE INTO peers VALUES (?, ?)", (n.to_bytes(16), bytes(150)))
        return count / (time.perf_counter() - began)


def keystore_row() -> Row:
    """Upserts that survive a power cut when they are reported."""

    def measured(upserts: Callable[[Path, int], Awaitable[float]], count: int) -> float:
        with tempfile.TemporaryDirectory() as directory:
            return asyncio.run(upserts(Path(directory), count))  # type: ignore[arg-type]

    best = best_of(lambda: measured(our_upserts, 2000), lambda: measured(plain_upserts, 500))
    return Row("keystore upserts, durable", *best, "upserts/s", "aiosqlite, one commit each")


# --- the whole daemon


@contextmanager
def daemon(home: str) -> Iterator[subprocess.Popen[str]]:
    """Run an idle daemon with all features."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": home,
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'features'}",
        "PIM_RPC_SOCKET": f"{home}/s",
        "PIMD_TRANSPORT__LISTEN_PORT": "0",
        "PIMD_RPC__HTTP_PORT": "0",
        "PIMD_DISCOVERY__ENABLED": "false",  # measured alone, whoever else is on the network
    }
    command = [sys.executable, "-m", "pimd", "--data-dir", f"{home}/d"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
    ) as process:
        yield process
        process.kill()


async def first_answer(path: str) -> None:
    """One call over the Unix socket."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(
        b'{"jsonrpc": "2.0", "id": 0, "method": "rpc.hello"}\n{"jsonrpc": "2.0", "id": 1, "method": "status"}\n'
    )
    await reader.readline()
    await reader.readline()
    writer.close()


def start_seconds() -> tuple[float, float]:
    """From the start of the process to the first answered call; and the memory then, in MiB."""
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        with daemon(home) as process:
            if process.stdout is None:
                raise RuntimeError("no output")
            process.stdout.readline()
            asyncio.run(first_answer(f"{home}/s"))
            return time.perf_counter() - began, psutil.Process(process.pid).memory_info().rss / 2**20


def bare_seconds() -> tuple[float, float]:
    """The same for a process that only imports the libraries."""
    began = time.perf_counter()
    script = BARE + "; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None:
            raise RuntimeError("no output")
        process.stdout.readline()
        found = time.perf_counter() - began, psutil.Process(process.pid).memory_info().rss / 2**20
        process.kill()
        return found


def daemon_rows() -> Iterator[Row]:
    """Start and memory."""
    pairs = [(start_seconds(), bare_seconds()) for _ in range(ROUNDS)]
    against = "importing the given libraries"
    start, bare_start = (min(pair[side][0] for pair in pairs) * 1000 for side in (0, 1))
    yield Row("start to first answered call", start, bare_start, "ms", against, more_is_better=False)
    memory, bare_memory = (statistics.median(pair[side][1] for pair in pairs) for side in (0, 1))
    yield Row("resident memory, idle, all features", memory, bare_memory, "MiB", against, more_is_better=False)


def table(rows: list[Row]) -> str:
    """Write the rows as Markdown."""
    lines = ["| row | ours | baseline | ratio | against |", "|---|---:|---:|---:|---|"]
    lines += [
        f"| {row.name} | {row.ours:,.0f} {row.unit} | {row.baseline:,.0f} {row.unit} | {row.ratio:.2f} | {row.against} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def base_rows() -> list[Row]:
    """Measure them all, telling of each."""
    rows: list[Row] = []
    for more in (rpc_rows(), noise_rows(), iter([keystore_row()]), daemon_rows()):
        for row in more:
            rows.append(row)
            print(f"{row.name}: {row.ours:,.0f} {row.unit}, {row.ratio:.2f} times {row.against}", file=sys.stderr)
    return rows


def base() -> str:
    """The document without its section on the mesh."""
    return (
        "# Benchmarks\n\nWritten by `scripts/bench --write`. Both columns of a row were measured in the same run, in turn, best of "
        f"{ROUNDS}; trust the ratio, not the absolute figures. Above 1 is better than the baseline.\n\n"
        f"CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}.\n\n{table(base_rows())}"
    )


def main() -> None:
    """Measure what was asked for, print it, and write it down if wanted."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "part",
        nargs="?",
        choices=list(SECTIONS),
        help="only the times over several daemons, links, messages, the flood, or bad features",
    )
    parser.add_argument(
        "--write", action="store_true", help="put the figures into docs/benchmarks.md; without a part, all"
    )
    arguments = parser.parse_args()
    old, *others = DOCUMENT.read_text().split("\n## ")
    kept = {part.partition("\n")[0].lower(): f"## {part.rstrip()}\n" for part in others}
    first = base() if arguments.part is None else None
    for name, section in SECTIONS.items():
        if arguments.part == name or (arguments.part is None and arguments.write):
            kept[name] = section()
    print("\n".join([first or "", *(text for name, text in kept.items() if arguments.part in (None, name))]))
    if arguments.write:
        document = [(first or old).rstrip() + "\n", *(kept[name] for name in SECTIONS if name in kept)]
        DOCUMENT.write_text("\n".join(document))


if __name__ == "__main__":
    main()
