"""Whole daemons with a bad feature: they come up, answer, and stop in time."""

import itertools
import signal
import time
from pathlib import Path

import pytest

from pimd.stop import HOLD_S
from tests.assembly.bad_features import Bad
from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon, Failed

pytestmark = [pytest.mark.system, pytest.mark.slow]

CALLS = 200
STOP_S = 10.0
"""Eight seconds, and what a busy machine adds."""
LOOP = "the event loop is the daemon's; a feature cannot "
SEEN = "pimd.features.bad: seen"
SAY = "\n        ctx.clock.call_at(ctx.clock.now() + 0.5, lambda: ctx.log.error('seen'))"
BUSY = "import time\n        [asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600) for _ in range(200)]"
SPIN = "import time\n        until = time.monotonic() + {}\n        while time.monotonic() < until: pass"


def works(what: str, log: str, state: str = "running", answer: int = 1, **parts: str) -> Bad:
    return Bad(what, parts, state, "", log, answer)


BAD = [
    works(
        "bare task that leaves",
        "a task or timer that it did not start",
        top="async def t(): leave()",
        start="self.t = asyncio.get_running_loop().create_task(t())",
    ),
    works(
        "bare task that is interrupted",
        "failed: KeyboardInterrupt",
        top="async def t(): raise KeyboardInterrupt",
        start="self.t = asyncio.get_running_loop().create_task(t())",
    ),
    works(
        "bare task that raises",
        "failed: Evil: (its text",
        top="async def t(): fail()",
        start="asyncio.get_running_loop().create_task(t())",
    ),
    works(
        "bare timer that leaves", "failed: SystemExit: 3", start="asyncio.get_running_loop().call_later(0.01, leave)"
    ),
    works(
        "bare task that swallows its cancellation",
        "",
        start="self.t = asyncio.get_running_loop().create_task(stubborn())",
    ),
    works("task that swallows its cancellation", "", start="ctx.spawn('t', stubborn())"),
    works("shutdown that swallows its cancellation", "", shutdown="await stubborn()"),
    works("start that swallows its cancellation", "", "starting", -32601, start="await stubborn()"),
    works(
        "thread that stays",
        "",
        start="import threading, time; threading.Thread(target=time.sleep, args=(3600,)).start()",
    ),
    works(
        "work for the executor that stays",
        "",
        start="import time; asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)",
    ),
    works(
        "blocking work that stays",
        "",
        start="import time; [ctx.spawn('t', ctx.run_blocking(lambda: time.sleep(3600))) for _ in range(9)]",
    ),
    works("shutdown that spins", "", shutdown="while True: pass"),
    works("shutdown that sleeps in a thread's way", "", shutdown="import time; time.sleep(3600)"),
    works(
        "signal handlers of its own",
        "",
        start="import signal; asyncio.get_running_loop().add_signal_handler(15, leave); signal.signal(15, leave)",
    ),
    works("copy of the process", "", start="import os\n        if os.fork() == 0: leave()"),
    works("copy that goes on", "", start="import os\n        os.fork()"),
    works(
        "thread that raises",
        "feature bad: a task or timer that it did not start through its context failed: Evil: (its text",
        start="import threading; threading.Thread(target=fail).start()",
    ),
    works(
        "object that cannot be deleted",
        "feature bad: a task or timer that it did not start through its context failed: SystemExit: 3",
        top="class Sticky:\n    def __del__(self): leave()",
        start="Sticky()",
    ),
    works(
        "callback of a descriptor that leaves",
        "failed: SystemExit: 3",
        start="import os; self.r, self.w = os.pipe(); os.write(self.w, b'x')\n"
        "        asyncio.get_running_loop().add_reader(self.r, leave)",
    ),
    works(
        "bare timer at no time",
        "its start failed: ValueError: could not convert string to float: 'soon'",
        "failed",
        -32601,
        start="asyncio.get_running_loop().call_at('soon', leave)",
    ),
    works(
        "bare timer at a time that cannot be compared",
        "its start failed: ValueError: a timer takes a number of seconds, not nan",
        "failed",
        -32601,
        start="asyncio.get_running_loop().call_at(float('nan'), leave)",
    ),
    works("alarm that nobody takes", SEEN, start="import signal; signal.setitimer(signal.ITIMER_REAL, 0.1)" + SAY),
    works("end of the loop", LOOP + "stop it", "failed", -32601, start="asyncio.get_running_loop().stop()"),
    works(
        "end of the loop in a callback", LOOP + "stop it", start="x = asyncio.get_running_loop(); x.call_soon(x.stop)"
    ),
    works(
        "tasks of its own kind",
        LOOP + "replace its tasks",
        "failed",
        -32601,
        start="asyncio.get_running_loop().set_task_factory(fail)",
    ),
    works(
        "exception handler of its own",
        LOOP + "replace its exception handler",
        "failed",
        -32601,
        start="asyncio.get_running_loop().set_exception_handler(fail)",
    ),
    works("cancels all tasks", "", start="[task.cancel() for task in asyncio.all_tasks()]"),
    works("loop inside the loop", "asyncio.run() cannot be called", "failed", -32601, start="asyncio.run(stubborn())"),
    works("recursion limit", "", start="import sys; sys.setrecursionlimit(len(__import__('inspect').stack()) + 40)"),
    works(
        "warnings as errors",
        "",
        start="import warnings; warnings.simplefilter('error'); warnings.filters.insert(0, ('error', None, Warning, None, 0))",
    ),
    works("standard error closed", SEEN, start="import sys; sys.stderr.close(); sys.stdout.close()" + SAY),
    works("descriptors closed", SEEN, start="import os; [os.close(number) for number in range(3)]" + SAY),
    works(
        "standard error that leaves",
        SEEN,
        top="class Stream:\n    def write(self, text): leave()\n    def flush(self): leave()",
        start="import sys; sys.stderr = sys.stdout = Stream()" + SAY,
    ),
    works("prints where nobody reads", "INFO pimd.printed: xxx", start="[print('x' * 3000, 'y') for _ in range(50)]"),
    works("log that is off", SEEN, start="import logging; logging.disable(100)" + SAY),
    works("log at another level", SEEN, start="import logging; logging.getLogger().setLevel(100)" + SAY),
    works("log that is configured anew", SEEN, start="import logging.config as c; c.dictConfig({'version': 1})" + SAY),
    works("log with one handler", SEEN, start="import logging; logging.basicConfig(force=True, handlers=[])" + SAY),
    works(
        "log handler that leaves",
        "feature bad: a task or timer that it did not start through its context failed: SystemExit: 3",
        top="import logging\nclass Handler(logging.Handler):\n    def emit(self, record): leave()",
        start="logging.getLogger().addHandler(Handler()); ctx.log.error('x')",
    ),
    works("log records that fail", SEEN, start="import logging; logging.setLogRecordFactory(fail)" + SAY),
    works("line that looks like two", "x\\x1b[2J\n    2026", start="ctx.log.error('x\\x1b[2J\\n2026')"),
    works("executor that is full", "", start=BUSY),
    works("import that leaves", "it cannot be imported: SystemExit: 3", "failed", -32601, top="leave()"),
    works("import that hangs", "", "starting", -32601, top="import time; time.sleep(3600)"),
    works(
        "settings whose default hangs",
        "",
        "starting",
        -32601,
        top="import time\nfrom pydantic import Field\nclass S(FeatureSettings):\n"
        "    a: int = Field(default_factory=lambda: time.sleep(3600))",
        more=", settings=S",
    ),
]


def install(bad: Bad, site: Path) -> str:
    info = site / "bad_dist-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pimd.features]\nbad = bad_feature:FEATURE\n")
    (site / "bad_feature.py").write_text(bad.source)
    return str(site)


def with_bad(daemon: MakeDaemon, tmp_path: Path, bad: Bad, config: str = "") -> Daemon:
    made = daemon(config=config)
    made.environ["PYTHONPATH"] += ":" + install(bad, tmp_path / "site")
    return made


def row_of(alice: Daemon) -> dict[str, object]:
    return next(row for row in alice.call("features.list") if row["name"] == "bad")


def stopped_in_time(alice: Daemon) -> None:
    began = time.monotonic()
    assert alice.kill(signal.SIGTERM) == 0
    assert time.monotonic() - began < STOP_S


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.what)
def test_a_daemon_with_it_comes_up_answers_and_stops(daemon: MakeDaemon, tmp_path: Path, bad: Bad) -> None:
    alice = with_bad(daemon, tmp_path, bad).start()
    until = time.monotonic() + 2 * HOLD_S  # by then signals that a feature took are taken back
    with alice.socket() as client:
        for number in itertools.count():
            client.call("status")
            if number >= CALLS and time.monotonic() > until and bad.line in alice.log.read_text():
                break
    answer = alice.ask("bad.do")
    assert answer.get("result", answer.get("error", {}).get("code")) == bad.answer
    assert row_of(alice)["state"] == bad.state
    assert {row["name"] for row in alice.call("features.list") if row["state"] != "running"} <= {
        "bad",
        "discovery",
        "mailbox",
    }
    assert bad.line in alice.log.read_text()
    stopped_in_time(alice)


def test_one_that_blocks_the_loop_is_blamed_and_the_third_time_quarantined(daemon: MakeDaemon, tmp_path: Path) -> None:
    alice = with_bad(daemon, tmp_path, Bad("blocks", {"do": SPIN.format(0.9)})).start()
    for _ in range(3):
        assert alice.ask("bad.do")["result"] == 1
    log = alice.log.read_text()
    assert "the event loop is blocked by feature bad: do (" in log
    assert log.count("feature bad: bad.do blocked the daemon for") == 3
    assert row_of(alice)["state"] == "quarantined"
    assert "it blocked the daemon 3 times within 60 s" in str(row_of(alice)["reason"])
    assert alice.ask("bad.do")["error"]["data"]["state"] == "quarantined"
    stopped_in_time(alice)


def test_one_that_blocks_whoever_calls_its_service_is_blamed_alone(daemon: MakeDaemon, tmp_path: Path) -> None:
    slow = "def nodes(self):\n        import time; time.sleep(0.9); return []"
    alice = with_bad(daemon, tmp_path, Bad("slow", {"body": slow, "more": ", provides=(Provided(DISCOVERY),)"})).start()
    while row_of(alice)["state"] != "quarantined":
        assert alice.ask("peers.discovered")["result"] == []
    assert "the last time in its service's nodes" in str(row_of(alice)["reason"])
    assert {row["name"]: row["failures"] for row in alice.call("features.list")}["peers"] == 0
    assert "feature peers: " not in alice.log.read_text()
    stopped_in_time(alice)


def test_one_that_takes_500_mb_in_one_call_is_named_and_counted(daemon: MakeDaemon, tmp_path: Path) -> None:
    bad = Bad("takes", {"do": SPIN.format(0.9) + "\n        self.held = [bytearray(1_000_000) for _ in range(500)]"})
    numbers = "async def do(self, params: NoParams) -> list[float]:"
    large = Bad("gives", {"do_def": numbers, "do": "return [sum((n, 7)) / 7 for n in range(4_000_000)]"})
    for number, one in enumerate((bad, large)):
        alice = daemon(f"alice{number}")
        alice.environ["PYTHONPATH"] += ":" + install(one, tmp_path / f"site{number}")
        alice.start()
        assert alice.ask("bad.do")["result"]
        while "feature bad: bad.do blocked the daemon for" not in (log := alice.log.read_text()):
            alice.call("daemon.info")  # a thread writes the log
        assert "the event loop is blocked by feature bad: " in log
        assert "blocked by the daemon itself" not in log
        assert row_of(alice)["failures"] == 1
        stopped_in_time(alice)


@pytest.mark.parametrize(
    "spin", ["while True: pass", "import re; re.match('(a+)+$', 'a' * 99 + 'b')"], ids=["loop", "regular expression"]
)
def test_one_that_spins_for_ever_is_ended_with_the_process_and_nothing_is_lost(
    daemon: MakeDaemon, tmp_path: Path, spin: str
) -> None:
    bad = Bad("spins", {"do": "after_answer(spin)", "top": f"def spin():\n    {spin}"})
    alice = with_bad(daemon, tmp_path, bad).start()
    alice.call("peers.import_identity", {"node_id": "ab" * 16, "x25519_pubkey": "42" * 32, "friendly_name": "x"})
    assert alice.ask("bad.do")["result"] == 1
    stopped_in_time(alice)
    assert "is ended by force; what is left: the loop is blocked by feature bad" in alice.log.read_text()
    again = daemon(alice.name).start()
    assert again.call("peers.export_identity", {"node_id": "ab" * 16})


def test_a_second_signal_ends_at_once_and_hang_up_is_ignored(daemon: MakeDaemon, tmp_path: Path) -> None:
    alice = with_bad(daemon, tmp_path, Bad("spins", {"shutdown": "while True: pass"})).start()
    assert alice.process is not None
    alice.process.send_signal(signal.SIGHUP)
    assert alice.call("status")
    while "SIGHUP is ignored" not in alice.log.read_text():
        alice.call("status")
    alice.process.send_signal(signal.SIGTERM)
    while "stopping" not in alice.log.read_text():
        pass
    assert alice.kill(signal.SIGTERM) == 128 + signal.SIGTERM


def test_what_the_configuration_requires_ends_the_start(daemon: MakeDaemon, tmp_path: Path) -> None:
    bad = Bad("import", {"top": "leave()"})
    required = with_bad(daemon, tmp_path, bad, '[features]\nrequired = ["bad"]\n')
    with pytest.raises(
        Failed, match=r"feature bad, which \[features\] required names, failed: it cannot be imported"
    ) as it:
        required.start()
    assert it.value.code == 1
    assert "Traceback" not in it.value.stderr


def test_garbage_that_the_start_did_not_collect_is_collected_later(daemon: MakeDaemon, tmp_path: Path) -> None:
    asks = works("asks for the collector", "", do="import gc; return 2 * gc.isenabled() + bool(gc.get_freeze_count())")
    assert with_bad(daemon, tmp_path, asks).start().ask("bad.do")["result"] == 3
