"""A daemon lets identities go as its configuration says."""

import asyncio
from pathlib import Path

import pytest

from pimd.app import Environment, node_name, run
from pimd.assembly.log_ring import LogRing
from pimd.clock import ManualClock
from pimd.proto.cards import issue, parse
from pimd.proto.identity import Identity
from pimd.settings import load
from pimd.stop import Stop
from pimd.store.ageing import FIRST_AFTER_S
from pimd.store.config_file import ConfigFile
from pimd.store.keystore import Keystore

BARE = """
[transport]
listen_host = "127.0.0.1"
listen_port = 0
[rpc]
unix_enabled = false
http_enabled = false
[features]
enabled = []
"""
DAY_S = 24 * 3600


async def run_until_cleaned(tmp_path: Path, text: str, clock: ManualClock) -> None:
    """Start a daemon, let the time of the first cleaning come, and stop it."""
    stop, up = Stop(), asyncio.Event()
    settings = load(text, None, {}).settings
    config = ConfigFile(None, tmp_path / "pim.toml", settings, node_name(settings))
    environment = Environment(tmp_path / "data", {}, LogRing(), clock=clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(settings, config, environment, stop, lambda _: up.set()))
        await up.wait()
        clock.advance(FIRST_AFTER_S)
        stop.set()


@pytest.mark.parametrize(
    ("configured", "left"),
    [
        ("", ["new"]),
        ("enabled = true\nmax_unreachable_lifetime_s = 7862400\ncleanup_interval_s = 60\n", ["new", "old"]),
        ("enabled = true\nmax_unreachable_lifetime_s = 1\ncleanup_interval_s = 60\n", []),
        ("enabled = false\nmax_unreachable_lifetime_s = 1\ncleanup_interval_s = 60\n", ["new", "old"]),
    ],
    ids=["by default after 90 days", "after 91 days", "an hour at least", "never"],
)
async def test_identities_age_out_as_configured(tmp_path: Path, configured: str, left: list[str]) -> None:
    clock = ManualClock()
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    async with Keystore.open(data / "peers.db", clock) as keystore:
        for number, (name, days) in enumerate((("old", 88), ("new", 2.2)), 1):
            keystore.learn(parse(issue(Identity.from_seed(bytes([number]) * 32), 1, 0, name).raw), direct=False)
            clock.advance(days * DAY_S)
    table = f"[messaging.peer_cleanup]\n{configured}" if configured else ""
    await run_until_cleaned(tmp_path, BARE + table, clock)
    async with Keystore.open(data / "peers.db", clock) as keystore:
        assert sorted(peer.name for peer in keystore.list()) == left
