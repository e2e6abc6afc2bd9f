"""`pim` where the terminal, the locale or standard output is not what it should be; as a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pimd.local_time import local_time
from tests.system.daemon import Daemon

ZOE = "Zoë \U0001f680"
KEY = "09" + "00" * 31
SOMEBODY = "ab" * 16


@pytest.fixture
def alice(shared_daemon: Daemon) -> Iterator[Daemon]:
    shared_daemon.call("peers.import_identity", {"node_id": SOMEBODY, "x25519_pubkey": KEY, "friendly_name": ZOE})
    yield shared_daemon
    shared_daemon.call("peers.forget", {"node_id": SOMEBODY, "also_delete_messages": True})


def pim(
    daemon: Daemon, *words: str | bytes, redirected: str = "", **environ: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run it behind a redirection, with bytes for arguments and in another locale."""
    command = [sys.executable, "-m", "pimd.cli", "--data-dir", str(daemon.data_dir), *words]
    if redirected:
        command = ["sh", "-c", f'exec "$0" "$@" {redirected}', *command]
    environ = {key: value for key, value in daemon.environ.items() if not key.startswith("LC_")} | environ
    return subprocess.run(command, env=environ, capture_output=True, check=False, timeout=60)


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("locale", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, ASCII, {"PYTHONIOENCODING": "latin-1"}])
def test_what_a_terminal_cannot_show_is_replaced(alice: Daemon, locale: dict[str, str]) -> None:
    for words in (["peers"], ["status"], ["inbox"], ["send", SOMEBODY, "x"], ["inbox", SOMEBODY], ["forget", "nobody"]):
        done = pim(alice, *words, **locale)
        assert done.returncode == (1 if words[0] == "forget" else 0), done
        assert b"Traceback" not in done.stderr
    shown = pim(alice, "peers", **locale).stdout
    assert SOMEBODY.encode() in shown
    assert b"Zo" in shown


@pytest.mark.parametrize("locale", [{"LANG": "C"}, ASCII, {"LC_ALL": "C.UTF-8"}])
def test_arguments_are_utf8_whatever_the_locale(alice: Daemon, locale: dict[str, str]) -> None:
    assert pim(alice, "send", ZOE.encode(), "grüß dich".encode(), **locale).returncode == 0
    history = alice.call("messages.history", {"peer_node_id": SOMEBODY})["messages"]
    assert history[0]["body"] == "grüß dich"


def test_an_argument_that_is_no_text_is_refused_in_words(alice: Daemon) -> None:
    done = pim(alice, "send", b"Zo\xeb", "x", LC_ALL="C.UTF-8")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"is not UTF-8 text" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("redirected", "words"), [(">/dev/full", b"No space left on device"), (">&-", b"standard output is closed")]
)
def test_an_output_that_takes_nothing_is_one_line_and_a_failure(alice: Daemon, redirected: str, words: bytes) -> None:
    for command in (["peers"], ["--json", "status"], ["call", "rpc.methods"], ["--version"], ["send", "--help"]):
        done = pim(alice, *command, redirected=redirected)
        assert done.returncode == 1
        assert (done.stderr.count(b"\n"), words in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full", "<&- >&- 2>&-"])
def test_where_nothing_can_be_said_the_exit_code_still_tells(alice: Daemon, redirected: str) -> None:
    assert pim(alice, "forget", "nobody", redirected=redirected).returncode == 1
    assert pim(alice, "peers", redirected=redirected).returncode == (
        0 if ">" not in redirected.replace("2>", "") else 1
    )


def test_a_reader_that_has_seen_enough_is_no_error(alice: Daemon) -> None:
    done = pim(alice, "peers", redirected="| true; exit 0")
    assert done.stderr == b""


def test_input_that_is_closed_or_no_text_is_refused_in_words(alice: Daemon) -> None:
    for redirected, words in (("<&-", b"standard input is closed"), ("</bin/sh", b"not UTF-8 text")):
        done = pim(alice, "send", SOMEBODY, "-", redirected=redirected, LC_ALL="C.UTF-8")
        assert (done.returncode, words in done.stderr) == (2, True), done


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "fold_utc"),
    [
        ("Europe/Berlin", 1_792_890_000),  # 2026-10-25 01:00 UTC
        ("America/New_York", 1_793_512_800),  # 2026-11-01 06:00 UTC
        ("Australia/Lord_Howe", 1_775_314_800),  # half an hour, 2026-04-04 15:00 UTC
        ("Europe/Dublin", 1_792_890_000),
        ("America/Caracas", 1_197_183_600),  # no daylight saving: moved by half an hour, 2007-12-09 07:00 UTC
    ],
)
def test_local_times_do_not_run_backwards(zone: pytest.MonkeyPatch, name: str, fold_utc: int) -> None:
    zone.setenv("TZ", name)
    time.tzset()
    moments = range(fold_utc - 7200, fold_utc + 7200, 300)
    shown = [local_time(moment) for moment in moments]
    assert len(set(shown)) == len(shown)
    times = [one[:19] for one in shown]
    for one, text in zip(times, shown, strict=True):
        assert (times.count(one) == 2) == (len(text) == len("2026-10-25 02:50:01 +02:00")), text
    assert sum(len(one) > 19 for one in shown) >= 12
    assert all(len(local_time(moment)) == 19 for moment in range(fold_utc + 90 * 86_400, fold_utc + 91 * 86_400, 3600))


def test_programs_get_utc(alice: Daemon) -> None:
    pim(alice, "send", SOMEBODY, "x", TZ="Europe/Berlin")
    rows = json.loads(pim(alice, "--json", "inbox", SOMEBODY, TZ="Europe/Berlin").stdout)
    assert isinstance(rows[-1]["timestamp_ms"], int)
