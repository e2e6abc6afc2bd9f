"""What calls of `status` take beside each bad feature, against a daemon without one."""

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.assembly.bad_features import Bad
from tests.system.daemon import Daemon, UnixClient
from tests.system.test_bad_features import BAD, install

WINDOWS = 20
CALLS = 50
AIM = 1.1
INTRODUCTION = (
    "## Containment\n\nA call of `status` over the Unix socket, beside one bad feature and without it: medians of "
    f"{WINDOWS} windows of {CALLS} calls, the two daemons in turn. The first row has a feature that does nothing bad. "
    f"Aim: {AIM:g} times.\n"
)
HARMLESS = Bad("nothing bad", {})


@contextmanager
def daemon(home: Path, bad: Bad | None) -> Iterator[UnixClient]:
    """Run one with the feature, which has done what it does; with None it has none but its own."""
    home.mkdir()
    one = Daemon(home, "node")
    if bad is not None:
        one.environ["PYTHONPATH"] += ":" + install(bad, home / "site")
    one.start()
    try:
        if bad is not None:
            one.ask("bad.do")
        with one.socket() as client:
            yield client
    finally:
        one.kill()


def window(client: UnixClient) -> float:
    """Seconds of one call, the median of a window."""
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        client.call("status")
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def measured(bad: Bad) -> tuple[float, float]:
    """Median seconds of a call beside the feature and without it, in turn."""
    with tempfile.TemporaryDirectory(prefix="pimd-bench-") as home, ExitStack() as stack:
        clients = [stack.enter_context(daemon(Path(home, name), one)) for name, one in (("bad", bad), ("good", None))]
        pairs = [(window(clients[0]), window(clients[1])) for _ in range(WINDOWS)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def section() -> str:
    """Measure all, and write the section of docs/benchmarks.md."""
    lines = [INTRODUCTION, "| what the feature does | beside it | without | ratio |", "|---|---:|---:|---:|"]
    for bad in itertools.chain([HARMLESS], BAD):
        beside, without = measured(bad)
        lines.append(f"| {bad.what} | {beside * 1e3:.2f} ms | {without * 1e3:.2f} ms | {beside / without:.2f} |")
        print(lines[-1])
    return "\n".join(lines) + "\n"
