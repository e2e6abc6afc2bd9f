"""Whole daemons in a lab: what they do is real, when it happens is virtual."""

import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pimd.addresses import Endpoint
from pimd.contract import DaemonPlugin, Feature, NoParams, PeerEntry, PluginContext, Result, RpcError, rpc
from pimd.database import Database
from pimd.lab import Lab, run
from pimd.lab.clock import EPOCH_MS
from pimd.lab.daemon import DaemonDied, LabDaemon
from pimd.lab.judge import highest_seq
from pimd.lab.lab import NotInTime
from pimd.lab.topology import line, ring
from pimd.proto.frames import MeshData


def play(main: Callable[[Lab], Coroutine[Any, Any, Any]], **more: Any) -> Any:
    async def with_lab() -> Any:
        async with Lab(1, **more) as lab:
            result = await main(lab)
            assert not lab.crashes
            return result

    return run(with_lab, seed=1)


async def write(source: LabDaemon, destination: LabDaemon, body: str) -> Any:
    return await source.call("messages.send", {"peer_node_id": str(destination.id), "body": body})


async def read(daemon: LabDaemon, other: LabDaemon) -> list[str]:
    history = await daemon.call("messages.history", {"peer_node_id": str(other.id)})
    return [message["body"] for message in history["messages"]]


def test_a_message_crosses_ten_daemons_in_the_time_that_the_cables_take() -> None:
    async def main(lab: Lab) -> None:
        daemons = lab.build(line(10, lab.random), 0.1)
        await lab.start()
        assert await lab.converged(30) < 10

        def received() -> int:
            return sum(e["params"]["kind"] == "message_received" for e in daemons[9].events)

        for text, ways in (("hello", 3), ("again", 1)):  # the first waits for a bundle, which is asked for
            before, sent_at = received(), lab.now
            await write(daemons[0], daemons[9], text)
            await lab.until(lambda before=before: received() > before, 5)  # type: ignore[misc]
            assert 0.9 * ways <= lab.now - sent_at < 1.1 * ways
        assert await read(daemons[9], daemons[0]) == ["again", "hello"]

    play(main)


def test_a_killed_daemon_comes_back_with_its_messages_its_peers_and_a_higher_number() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        await write(one, other, "before")
        await lab.sleep(1)
        seq = highest_seq(other)
        other.kill()
        assert not other.is_up
        await write(one, other, "meanwhile")
        await lab.sleep(5)
        await other.start()
        await lab.until(lambda: other.node.is_linked(one.id), 90)
        await lab.sleep(5)
        assert await read(other, one) == ["meanwhile", "before"]
        assert highest_seq(other) > seq

    play(main)


def test_an_identity_with_a_route_or_in_the_configuration_does_not_age_out_of_a_daemon() -> None:
    async def main(lab: Lab) -> None:
        middle, *others = lab.add_daemons(4)
        one, far, configured = others
        for other in others:
            lab.connect(middle, other)
        await lab.start()
        await lab.converged(30)
        one.node.service.keep_dialling(PeerEntry(Endpoint.tcp("192.0.2.1", 9100), configured.id), configured=True)
        keystore, later_ms = one.running_daemon.core.keystore, one.running_daemon.core.clock.lived_ms() + 10**9
        assert keystore.age_out(later_ms, 10) == 0
        for gone in (far, configured):
            lab.cut(middle, gone)
        await lab.until(lambda: {route.destination for route in one.node.service.routes()} == {middle.id}, 60)
        assert keystore.age_out(later_ms, 10) == 1
        assert {peer.node_id for peer in keystore.list()} == {middle.id, configured.id}

    play(main)


def test_what_a_killed_daemon_had_not_committed_is_lost_and_its_neighbour_sees_a_reset() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random), 0.25)
        await lab.start()
        await lab.converged(10)
        answer = lab.group.create_task(_fails_with_death(write(one, other, "never on disk")))
        await lab.sleep(0.001)
        one.kill()
        await answer
        killed_at = lab.now
        await lab.until(lambda: not other.node.service.links(), 5)
        assert lab.now - killed_at == pytest.approx(0.25, abs=0.06)
        await one.start()
        assert await read(one, other) == []

    async def _fails_with_death(call: Coroutine[Any, Any, Any]) -> None:
        with pytest.raises(DaemonDied, match=r"n1 died before it was done with messages\.send"):
            await call

    play(main)


def test_the_dead_are_silent() -> None:
    async def main(lab: Lab) -> None:
        one, _ = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        said, heard, sent = len(lab.log_of(one)), len(one.events), one.machine.host.sent
        assert min(said, heard, sent) > 0
        one.kill()
        await lab.sleep(120)
        assert (len(lab.log_of(one)), len(one.events), one.machine.host.sent) == (said, heard, sent)

    play(main)


def test_an_orderly_stop_says_goodbye_and_keeps_everything() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        await write(one, other, "kept")
        await one.stop()
        await lab.sleep(1)
        assert [record.text for record in lab.log_of(other)][-1].endswith("the peer said goodbye: shutdown")
        await one.start()
        assert await read(one, other) == ["kept"]

    play(main)


def test_the_features_are_those_of_the_build_but_for_those_that_need_sockets() -> None:
    async def main(lab: Lab) -> None:
        daemon = lab.add_daemon()
        await daemon.start()
        rows = {row["name"]: row["state"] for row in await daemon.call("features.list")}
        assert {name for name, state in rows.items() if state == "running"} >= {"status", "peers", "messaging", "lab"}
        assert rows.get("discovery", "disabled") == "disabled"

    play(main)


class Noted(Result):
    """What a feature author's feature answers."""

    rows: int
    wrote: str


class NotesPlugin(DaemonPlugin):
    """Keeps a database and a file, as features do."""

    name: ClassVar[str] = "notes"

    async def start(self, ctx: PluginContext) -> None:
        self._ctx = ctx
        self._database = await Database.start(
            ctx.data_dir / "notes.db", ("CREATE TABLE notes (at INTEGER);\n",), ctx.spawn, clock=ctx.clock
        )

    async def shutdown(self) -> None:
        await self._database.close()

    @rpc("notes.add")
    async def add(self, _: NoParams) -> Noted:
        """Add one."""
        now = self._ctx.clock.unix_ms()
        await self._database.write("add", lambda c: c.execute("INSERT INTO notes VALUES (?)", (now,)))
        path = self._ctx.data_dir / "note.txt"
        path.write_text("a note")
        return Noted(rows=len(await self._database.read("SELECT * FROM notes")), wrote=path.read_text())


NOTES = Feature(name="notes", summary="Notes.", namespaces=("notes",), plugin=NotesPlugin)


def test_a_feature_of_ones_own_runs_with_its_database_in_memory_and_its_files_in_a_directory() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.add_daemons(2)
        await lab.start()
        assert await one.call("notes.add") == {"rows": 1, "wrote": "a note"}
        assert await one.call("notes.add") == {"rows": 2, "wrote": "a note"}
        assert await other.call("notes.add") == {"rows": 1, "wrote": "a note"}
        one.kill()
        await one.start()
        assert await one.call("notes.add") == {"rows": 3, "wrote": "a note"}

    play(main, features=[NOTES])


def test_a_peer_added_over_rpc_is_dialled_and_still_there_after_a_restart() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.add_daemons(2)
        lab.connect(one, other, dials="nobody")
        await lab.start()
        await one.call("peers.add_static", {"address": other.endpoint.text})
        await lab.until(lambda: one.node.is_linked(other.id), 5)
        await one.stop()
        await one.start()
        await lab.until(lambda: one.node.is_linked(other.id), 5)
        assert other.endpoint.text in (await one.call("config.get"))["config"]

    play(main)


def test_errors_of_methods_come_with_code_and_words() -> None:
    async def main(lab: Lab) -> None:
        daemon = lab.add_daemon()
        await daemon.start()
        with pytest.raises(RpcError) as error:
            await daemon.call("peers.get", {"node_id": "0" * 32})
        assert error.value.code < -32000
        assert "no peer" in str(error.value)
        with pytest.raises(RpcError, match="Method not found"):
            await daemon.call("no.such")

    play(main)


def test_a_private_mesh_admits_members_only() -> None:
    def member(passphrase: str) -> dict[str, Any]:
        kdf = {"m_cost_kib": 64, "t_cost": 1}
        return {"mesh": {"mode": "private", "passphrase": passphrase, "kdf": kdf}}

    async def main(lab: Lab) -> None:
        one, two = (lab.add_daemon(settings=member("a long passphrase")) for _ in range(2))
        stranger = lab.add_daemon(settings=member("another passphrase"))
        lab.connect(one, two)
        lab.connect(stranger, one)
        await lab.start()
        await lab.until(lambda: one.node.is_linked(two.id), 5)
        await lab.sleep(20)
        assert not stranger.node.service.links()

    play(main)


def test_clocks_may_be_wrong_by_days() -> None:
    async def main(lab: Lab) -> None:
        one = lab.add_daemon()
        other = lab.add_daemon(clock_error_ms=5 * 24 * 3600 * 1000)
        lab.connect(one, other)
        await lab.start()
        await lab.converged(10)
        assert highest_seq(other) - highest_seq(one) > 4 * 24 * 3600 * 1000
        await lab.sleep(2)
        for daemon, side in ((one, "behind"), (other, "ahead")):
            said = [record.text for record in lab.log_of(daemon) if "5 days apart" in record.text]
            assert [f"this one is {side}" in text for text in said] == [True]

    play(main)


def test_a_partition_is_noticed_by_silence_and_heals() -> None:
    async def main(lab: Lab) -> None:
        daemons = lab.build(ring(8, lab.random))
        await lab.start()
        await lab.converged(10)
        lab.partition(daemons[:4], (None, None))
        cut_at = lab.now
        await lab.until(lambda: all(len(daemon.node.service.routes()) == 3 for daemon in daemons), 40)
        assert 14 < lab.now - cut_at < 21
        lab.heal()
        await lab.converged(100)

    play(main)


def test_the_log_has_time_and_name_of_every_record_and_each_daemon_its_own() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.build(line(2, lab.random))
        await lab.start()
        await lab.converged(10)
        record = next(record for record in lab.log_of(one) if "linked with" in record.text)
        assert 0 < record.at_s < 1
        assert str(record).split()[1:3] == ["n1", "INFO"]
        ring = one.running_daemon.core.log_ring.records()
        assert any(other.id.abbreviated in kept.message for kept in ring)
        kept = next(kept for kept in ring if "linked with" in kept.message)
        when = datetime.fromisoformat(kept.ts).timestamp()
        assert when == pytest.approx(EPOCH_MS / 1000 + record.at_s, abs=0.0015)
        assert not any(one.id.abbreviated in kept.message for kept in ring)

    play(main)


def test_a_condition_that_does_not_come_true_is_told_with_its_time() -> None:
    async def main(lab: Lab) -> None:
        lab.build(line(2, lab.random))
        with pytest.raises(NotInTime, match="the moon was not so within 7 s of virtual time"):
            await lab.until(lambda: False, 7, "the moon")
        assert lab.now == pytest.approx(7, abs=0.1)

    play(main)


def test_a_daemon_that_cannot_start_says_why_to_whoever_started_it() -> None:
    async def main(lab: Lab) -> None:
        daemon = lab.add_daemon(settings={"transport": {"listen_port": "nonsense"}})
        with pytest.raises(Exception, match="listen_port"):
            await daemon.start()
        assert not daemon.is_up

    play(main)


def test_a_lab_on_a_real_loop_is_refused_and_puts_the_log_level_back() -> None:
    import asyncio

    async def main() -> None:
        async with Lab(1):
            pass

    with pytest.raises(RuntimeError, match=r"start it with pimd\.lab\.run"):
        asyncio.run(main())
    before = logging.getLogger().level
    run(main, seed=1)
    assert logging.getLogger().level == before


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimd.lab.lab.MEMORY_FILES", tmp_path)

    seen: list[int] = []

    def look() -> bool:
        seen.append(len(list(tmp_path.iterdir())))
        return True

    async def main(lab: Lab) -> None:
        lab.build(ring(3, lab.random))
        await lab.start()
        await lab.until(look, 1)

    play(main)
    look()
    assert seen == [1, 0]


def test_a_message_does_not_wait_behind_streams_on_a_slow_cable() -> None:
    async def main(lab: Lab) -> None:
        one, other = lab.add_daemons(2)
        lab.connect(one, other, rate=1_000_000)
        await lab.start()
        await lab.converged(30)
        await write(one, other, "the first, for keys and cards")
        await lab.sleep(5)
        link = one.node._links.best(other.id)
        assert link is not None
        bulk = MeshData(one.id, other.id, 0xA0, bytes(60_000))
        assert all(link.send(bulk) for _ in range(12))  # 0.72 s of the cable
        before = lab.now
        await write(one, other, "urgent")
        while await read(other, one) != ["urgent", "the first, for keys and cards"]:
            await lab.sleep(0.01)
        # Only what was in the kernel and encrypted when it came is before it.
        assert lab.now - before < 0.4

    play(main)
