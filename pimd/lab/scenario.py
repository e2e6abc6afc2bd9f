"""Plays a scenario and judges it by what the protocol promises (docs/protocol.md).

Without liars there is no loop at any moment and no forgery. All connected pairs reach each other within 3 s of the last
notice. At the end all routes are shortest ones. Probes arrive at most once, and at the end all of them. Every accepted
message arrives once.

With liars there is no loop among the others, no forgery, no frame twice, nothing read, and no link between others
ended. Others that are linked directly still reach each other. Relays that lie can drop, delay, and attract what is
sent.
"""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field

from pimd.contract import RpcError
from pimd.lab.daemon import DaemonDied, LabDaemon
from pimd.lab.graph import by_cables, is_changing
from pimd.lab.judge import Judge
from pimd.lab.lab import Lab, NotInTime
from pimd.lab.picture import draw
from pimd.lab.run import run
from pimd.lab.script import Script, Step

START_S = 60.0
SETTLE_S = 6.0
"""Seconds after which one of two links of the same pair has ended."""
CALM_S = 20.0
"""With liars: seconds in which nothing but lies happens."""
CONVERGENCE_S = 150.0
"""Limit at the end; a dial that failed repeatedly waits up to 75 s."""
LATEST_NOTICE_S = 2.5
DELIVERY_S = 400.0
PROBES_AT_THE_END = 60
TALK_S = 1.0
WRITING_S = 0.012
"""Seconds in which a message is written to disk and answered."""


@dataclass
class Verdict:
    """The result of a scenario."""

    script: Script
    story: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    digest: str = ""
    virtual_s: float = 0.0
    again_s: list[float] = field(default_factory=list)
    looked: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    """Sums over all daemons that do not lie, at the end."""
    log: list[str] = field(default_factory=list)
    svg: str = ""

    @property
    def command(self) -> str:
        """The command that plays it again."""
        return f"scripts/lab scenario --seed {self.script.seed}{self.script.options}"

    def __str__(self) -> str:
        head = [f"scenario {self.script.seed}: {'FAILED' if self.faults else 'good'}", *self.script.describe()]
        lines = [*head, *self.story, *(f"FAULT {fault}" for fault in self.faults)]
        if self.faults:
            lines.append(f"again: {self.command}")
        return "\n".join(lines)


def play(script: Script, *, log_level: str = "info") -> Verdict:
    """Run a scenario from its beginning to its end."""
    return run(lambda: _Play(script, log_level).run(), seed=script.seed)


class _Play:
    """One run of one scenario."""

    def __init__(self, script: Script, log_level: str) -> None:
        self.script = script
        self.verdict = Verdict(script)
        self.lab = Lab(script.seed, settings=script.settings, log_level=log_level)
        self.rng = self.lab.random
        self._messages: list[tuple[LabDaemon, LabDaemon, str]] = []
        self._unanswered: list[tuple[LabDaemon, LabDaemon, str]] = []
        self._talked = 0

    async def run(self) -> Verdict:
        """Play the scenario and note every fault."""
        async with self.lab:
            self._build()
            self.judge = Judge(self.lab, [self.daemons[n] for n in self.script.liars])
            try:
                await self._play()
            except (NotInTime, DaemonDied, RpcError) as error:
                self.judge.fault(str(error))
            self._conclude()
        return self.verdict

    def _build(self) -> None:
        script, lab = self.script, self.lab
        for number in range(script.topology.count):
            error_ms = script.clock_errors_ms.get(number, 0)
            if number in script.liars:
                lab.add_liar(*script.liars[number], clock_error_ms=error_ms)
            else:
                relay = {"relay": {"enabled": number not in script.silent}}
                lab.add_daemon(settings=relay, clock_error_ms=error_ms)
        self.daemons = list(lab.daemons.values())
        lab.place(self.daemons, script.topology)
        for (one, other), latency_s, dials in zip(script.topology.edges, script.latencies_s, script.dials, strict=True):
            lab.connect(self.daemons[one], self.daemons[other], latency_s, dials=dials)

    async def _play(self) -> None:
        await self.lab.start()
        if self.script.liars:
            await self._wait_for_links(START_S)
            await self._talk_for(SETTLE_S)
            await self._stay_calm()
        else:
            self._tell(f"converged after {await self.lab.converged(START_S):.2f} s")
        for step in self.script.steps:
            await self._talk_for(step.after_s)
            await self._do(step)
        await self._mend()
        await self._prove_contact()
        if not self.script.liars:
            await self._prove_delivery()

    # --- what happens

    async def _do(self, step: Step) -> None:
        nodes = [self.daemons[n] for n in step.nodes]
        names = " ".join(daemon.name for daemon in nodes)
        notice = " and ".join("never" if s is None else f"after {s:.2f} s" for s in step.notice_s)
        match step.what:
            case "cut":
                self._tell(f"cut {names}, noticed {notice}")
                self.lab.cut(nodes[0], nodes[1], step.notice_s)
            case "restore":
                self._tell(f"restore {names}")
                self.lab.restore(nodes[0], nodes[1])
            case "flap":
                self._tell(f"{step.number} times cut and restore {names}, noticed {notice}")
                await self._flap(nodes, step)
            case "partition":
                self._tell(f"partition: {names} apart from the others, noticed {notice}")
                self.lab.partition(nodes, step.notice_s)
                await self._talk_for(self.rng.uniform(1, 20))
                self._tell("heal")
                self.lab.heal()
            case "stop":
                self._tell(f"stop {names} in order")
                await nodes[0].stop()
                await self._start_again(nodes[0], 0)
            case "kill" | "wrong clock":
                self._tell(f"kill {names}")
                await self._kill_while_it_writes(nodes[0])
                await self._start_again(nodes[0], step.number if step.what == "wrong clock" else 0)

    async def _flap(self, nodes: list[LabDaemon], step: Step) -> None:
        for _ in range(step.number):
            self.lab.cut(nodes[0], nodes[1], step.notice_s)
            await self._talk_for(self.rng.uniform(0.05, 3))
            self.lab.restore(nodes[0], nodes[1])
            await self._talk_for(self.rng.uniform(0.05, 3))

    async def _kill_while_it_writes(self, daemon: LabDaemon) -> None:
        """Kill a daemon during a write: an accepted message is kept, any other may be."""
        writing = []
        if not self._lies(daemon):
            others = [other for other in self.daemons if other is not daemon and not self._lies(other)]
            if others:
                message = self._message(daemon, self.rng.choice(others))
                writing.append(self.lab.group.create_task(message, name=f"{daemon.name} writes its last"))
        await self.lab.sleep(self.rng.uniform(0, WRITING_S))
        daemon.kill()
        if writing:
            await asyncio.wait(writing)

    async def _start_again(self, daemon: LabDaemon, clock_error_ms: int) -> None:
        await self._talk_for(self.rng.choice((0.0, 0.3, 5.0, 20.0)) * self.rng.random())
        if clock_error_ms:
            daemon.boots += 1
            daemon.set_clock(clock_error_ms)
        self._tell(f"start {daemon.name} again" + (", its clock set elsewhere" if clock_error_ms else ""))
        await daemon.start()

    async def _talk_for(self, seconds: float) -> None:
        """Let time pass while some daemons send probes and messages to others."""
        until = self.lab.now + seconds
        while self.lab.now < until:
            await self.lab.sleep(min(TALK_S * self.rng.random(), max(0.0, until - self.lab.now)) or 1e-6)
            await self._say_something()

    async def _say_something(self) -> None:
        source, destination = self.rng.sample(self.daemons, 2)
        if not source.is_up or self._lies(source):
            return
        if self.rng.random() < 0.5:  # noqa: PLR2004
            await self._probe(source, destination)
        elif not self._lies(destination):
            await self._message(source, destination)

    async def _probe(self, source: LabDaemon, destination: LabDaemon) -> str:
        self._talked += 1
        body = f"probe {self._talked} of {source.name}"
        self.judge.probe_sent(source, destination, body)
        await source.call("lab.probe", {"node_id": str(destination.id), "body": body})
        return body

    async def _message(self, source: LabDaemon, destination: LabDaemon) -> None:
        self._talked += 1
        body = f"message {self._talked} of {source.name}"
        try:
            await source.call("messages.send", {"peer_node_id": str(destination.id), "body": body})
        except RpcError:
            return  # it does not know the other one
        except DaemonDied:
            self._unanswered.append((source, destination, body))
        else:
            self._messages.append((source, destination, body))

    # --- what must be in the end

    async def _wait_for_links(self, limit_s: float) -> None:
        pairs = self._honest_neighbours()

        def all_up() -> bool:
            return all(one.node.is_linked(other.id) and other.node.is_linked(one.id) for one, other in pairs)

        self._tell(f"all links up after {await self.lab.until(all_up, limit_s, 'all links up'):.2f} s")

    async def _stay_calm(self) -> None:
        self.judge.is_calm = True
        await self._talk_for(CALM_S)
        self.judge.is_calm = False

    async def _mend(self) -> None:
        self._tell("mend everything")
        self.lab.heal()
        await self.lab.sleep(LATEST_NOTICE_S)
        await self.lab.until(lambda: not is_changing(self.lab), CONVERGENCE_S, "the last notice")
        if self.script.liars:
            await self._wait_for_links(CONVERGENCE_S)
            await self._talk_for(5.0)
        else:
            self._tell(f"converged after {await self.lab.converged(CONVERGENCE_S):.2f} s")

    async def _prove_contact(self) -> None:
        """Check that probes arrive: with liars between neighbours, else between connected pairs."""
        if self.script.liars:
            pairs = self._honest_neighbours()
        else:
            pairs = [pair for pair in itertools.permutations(self.daemons, 2) if self._are_connected(*pair)]
            pairs = self.rng.sample(pairs, min(len(pairs), PROBES_AT_THE_END))
        sent = [(destination, await self._probe(source, destination)) for source, destination in pairs]
        await self.lab.sleep(5.0)
        for destination, body in sent:
            if not self.judge.arrived(destination, body):
                self.judge.fault(f"{body} did not arrive at {destination.name}")

    async def _prove_delivery(self) -> None:
        """Check that every accepted message arrived once, if its two ends are connected."""
        began = self.lab.now
        due = [message for message in self._messages if self._are_connected(*message[:2])]
        waiting = dict.fromkeys(due)
        while waiting and self.lab.now - began < DELIVERY_S:
            for message in list(waiting):
                if await self._copies(message):
                    del waiting[message]
            await self.lab.sleep(1.0)
        for message in waiting:
            source, destination, body = message
            self.judge.fault(f"{body} from {source.name} did not arrive at {destination.name}")
        for message in (*self._messages, *self._unanswered):
            if await self._copies(message) > 1:
                self.judge.fault(f"{message[2]} is there more than once")
        self._tell(f"{len(due) - len(waiting)} of {len(self._messages)} messages delivered")

    async def _copies(self, message: tuple[LabDaemon, LabDaemon, str]) -> int:
        source, destination, body = message
        history = await destination.call("messages.history", {"peer_node_id": str(source.id), "limit": 500})
        return sum(one["body"] == body and one["direction"] == "received" for one in history["messages"])

    def _conclude(self) -> None:
        judge, verdict = self.judge, self.verdict
        for what in [*judge.forgeries(), *self.lab.crashes]:
            judge.fault(what)
        verdict.faults = judge.faults
        verdict.digest = self.lab.internet.digest
        verdict.virtual_s = self.lab.now
        verdict.again_s = judge.again_s
        verdict.looked = judge.looked
        for daemon in self.daemons:
            if daemon.is_up and not self._lies(daemon):
                verdict.counters.update(daemon.node.service.counters())
        verdict.log = [str(record) for record in self.lab.log.records]
        verdict.svg = draw(self.lab)

    def _honest_neighbours(self) -> list[tuple[LabDaemon, LabDaemon]]:
        liars = set(self.script.liars)
        edges = [edge for edge in self.script.topology.edges if not set(edge) & liars]
        return [(self.daemons[one], self.daemons[other]) for one, other in edges]

    def _are_connected(self, one: LabDaemon, other: LabDaemon) -> bool:
        return other.id in by_cables(self.lab).distances(one.id)

    def _lies(self, daemon: LabDaemon) -> bool:
        return self.daemons.index(daemon) in self.script.liars

    def _tell(self, what: str) -> None:
        self.verdict.story.append(f"t={self.lab.now:9.3f} {what}")
