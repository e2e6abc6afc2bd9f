"""Seeded scenarios of routing, and how each is judged (docs/protocol.md, "Routing").

A scenario is a mesh of 4 to 40 nodes of one of six shapes, with latencies, nodes that do not relay and clocks that are wrong.
It starts cold and is disturbed several times: links cut with each end noticing in its own time, links that flap, crashes with
a restart (with or without what was on the disk), new links, partitions that heal.

**All nodes follow the protocol.** At every instant following next hops never comes back to a node. 3 s after the last end
noticed the last change all connected pairs reach each other over links that are up, provided that the time is long enough
for what has to be said one after the other: news goes along the slowest of the new shortest ways, a request comes back, and
a new number goes there; on the slowest link somebody may have to ask for a card; and an update may wait 0.2 s for the one
before it. Other meshes are given three times their slowest way. When that is not enough they are given a way there and back
more, and the 0.2 s at each hop. A minute later each takes a shortest way, and no route leads to what is not connected.

In two of three meshes nodes tell 1 or 12 entries in a step, and a step takes 1 ms, so that frames come between the steps.

**One or two nodes lie** (`routing_liars`). A relay may drop, delay, and attract traffic by lying about metrics, so nothing is
promised to a pair whose traffic a liar can attract. What is promised:

* At every instant next hops of nodes that follow the protocol do not loop among those. The feasibility condition asks only
  what a node itself said before, and along a chain of such nodes that only falls, whatever a liar told the last of them.
* No such node ever has in use a number above the highest that the destination gave itself: numbers count only with a card.
* None keeps more destinations than the limit; in some scenarios the limit is so low that made-up destinations reach it.
* A minute after the last change, with the liars still at it, whoever is not further from its destination than from a liar
  goes there by a shortest way: a liar cannot seem nearer than a neighbour of the destination (`routing_judge.misled`).
* Nothing a liar said outlives its links: once these are cut, the mesh is held to the promises above as if all had followed
  the protocol, but for those who starved for so long that they ask every 10 s only: they are given that long. Where the limit
  was reached, what was dropped for want of room comes with the next full table, so they are given 30 s.

**Links cost different amounts** (`uneven`), 256 to 1024 each, in half of the meshes in steps that no hysteresis hides; in half
of them three in ten nodes do not announce that they read hops. A seed has the same mesh either way. Ways are then shortest by what
they cost, within what the hysteresis allows at each hop. The hops of every route are those of the way that is taken; where a
link of it does not carry them, the metric of what is beyond divided by 256. Liars say any hops. They can also use up the
requests that a link takes, and where costs differ a better way may need one: then it is found when the next card is issued.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pimd.proto import babel
from pimd.proto.seq_requests import RARELY_S
from pimd.proto.updates import TOLD_AT_ONCE, UPDATE_PAUSE_S
from tests.proto import routing_judge
from tests.proto.routing_node import REISSUE_S
from tests.proto.routing_troubles import Mesh

CONVERGED_S = 3.0
SETTLED_S = 60.0
RENUMBERED_S = 1.1 * REISSUE_S + 10.0
"""After which every card was issued anew, and is everywhere."""
COLD_S = 10.0
SLICE_S = 0.05
"""How finely reconnection is measured."""
ROUNDS = 3


def needed_s(graph: routing_judge.Graph) -> float:
    """How long a mesh may need in which nothing is known of the new ways."""
    asked_s = 2 * routing_judge.slowest_link_s(graph)
    return 3 * routing_judge.longest_path_s(graph) + asked_s + UPDATE_PAUSE_S


@dataclass
class Outcome:
    """What happened in one scenario, or the sum of many."""

    scenarios: int = 0
    nodes: int = 0
    disturbances: int = 0
    liars: int = 0
    messages: int = 0
    loops: int = 0
    forgeries: int = 0
    refused: int = 0
    """Forged cards that nodes were offered."""
    overfull: int = 0
    unreached: int = 0
    misled: int = 0
    miscounted: int = 0
    """Routes with other hops than those of the way that is taken."""
    roundabout: int = 0
    """Pairs on a way that is not a shortest one, or with a route to nowhere, a minute later."""
    late: int = 0
    """Reconnections that took longer than 3 s, or than three times the slowest way, for one of the reasons above."""
    renumbered: int = 0
    """Meshes whose ways became shortest only with the next cards, for the reason above."""
    reconnections: int = 0
    reconnection_s: float = 0.0
    """The longest, of those to which 3 s are promised."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        for key, value in vars(other).items():
            mine = getattr(self, key)
            setattr(self, key, max(mine, value) if key == "reconnection_s" else mine + value)

    def __str__(self) -> str:
        return (
            f"{self.scenarios} scenarios, {self.nodes} nodes, {self.disturbances} disturbances, {self.liars} liars, "
            f"{self.messages} messages: {self.loops} loops, {self.forgeries} forgeries ({self.refused} forged cards refused), "
            f"{self.overfull} over the limit, {self.unreached} pairs unreached, {self.misled} misled, "
            f"{self.miscounted} miscounted, "
            f"{self.roundabout} not by a shortest way, {self.late} late, {self.renumbered} renumbered; "
            f"longest of {self.reconnections} reconnections {self.reconnection_s:.2f} s"
        )


class Scenario:
    """One seed's mesh; `run` returns what happened, problems included."""

    def __init__(self, seed: int, *, uneven: bool = False) -> None:
        self.mesh = Mesh(seed, uneven=uneven)
        self.sim = self.mesh.sim
        self.outcome = Outcome(scenarios=1, nodes=len(self.sim.nodes), liars=len(self.mesh.liars))

    def run(self) -> Outcome:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(babel.DESTINATIONS, "value", self.mesh.room)
            patch.setattr(TOLD_AT_ONCE, "value", self.mesh.told_at_once)
            self.play()
        sim, outcome = self.sim, self.outcome
        outcome.loops = self.blame("loop", sim.loops)
        outcome.forgeries = self.blame("forgery", sim.forgeries)
        outcome.overfull = self.blame("over the limit", sim.overfull)
        outcome.refused, outcome.messages, outcome.disturbances = sim.refused, sim.messages, self.mesh.disturbances
        return outcome

    def play(self) -> None:
        self.sim.run(COLD_S)
        if self.mesh.liars:
            self.suffer_liars()
        else:
            self.outcome.roundabout += self.blame("cold start", self.not_shortest(self.graph()))
        for _ in range(1 if self.mesh.liars else ROUNDS):
            self.mesh.disturb()
            self.judge_convergence()

    def suffer_liars(self) -> None:
        """Disturb, judge what liars cannot do, cut them off, and expect nothing of them to be left."""
        self.mesh.disturb()
        self.until_all_noticed()
        self.outcome.misled += self.blame("misled", self.settled(lambda: routing_judge.misled(self.sim)))
        self.mesh.cut_liars_off()
        self.judge_convergence(extra=babel.FULL_TABLE_S if self.mesh.crowded else 0.0)

    # --- convergence

    def judge_convergence(self, extra: float = 0.0) -> None:
        """From the last notice: all reached in time, and by shortest ways a minute later."""
        self.until_all_noticed()
        began, graph = self.sim.now, self.graph()
        path_s = routing_judge.longest_path_s(graph)
        within = CONVERGED_S * max(1.0, path_s) + extra
        promised = needed_s(graph) <= CONVERGED_S and not self.mesh.liars
        missing = self.until_reached(graph, began + within, promised=promised)
        if missing and not promised:
            self.outcome.late += 1
            slow_s = 2 * path_s + UPDATE_PAUSE_S * routing_judge.most_hops(graph)
            within += RARELY_S if self.mesh.liars else slow_s
            missing = self.until_reached(graph, began + within, promised=False)
        self.outcome.unreached += self.blame(f"{within:.1f} s after the last notice", missing)
        wrong = self.settled(lambda: self.not_shortest(graph) + routing_judge.ghosts(graph))
        self.outcome.roundabout += self.blame("a minute later", wrong)
        self.outcome.miscounted += self.blame("hops", routing_judge.miscounted(graph))

    def until_all_noticed(self) -> None:
        """A restart is a change that brings others."""
        while self.sim.now < self.sim.last_notice:
            self.sim.run(self.sim.last_notice)

    def until_reached(self, graph: routing_judge.Graph, end: float, *, promised: bool) -> list[str]:
        """Run until `end` and return the pairs still missing; note when the last one was not any more."""
        sim, outcome = self.sim, self.outcome
        began, looked_at = sim.now, -1
        missing: list[str] = []
        outcome.reconnections += promised
        while True:
            if sim.changed != looked_at:  # nothing else can change the answer
                missing, looked_at = routing_judge.unreached(graph, shortest=False), sim.changed
            if missing and promised:
                outcome.reconnection_s = max(outcome.reconnection_s, sim.now + SLICE_S - began)
            if sim.now >= end:
                return missing
            sim.run(min(end, sim.now + SLICE_S))

    def settled(self, judge: Callable[[], list[str]]) -> list[str]:
        """What is wrong a minute later; where liars may have used up the requests for better ways, with the next cards."""
        self.sim.run(self.sim.now + SETTLED_S)
        wrong = judge()
        if wrong and self.mesh.liars and self.mesh.uneven:
            self.outcome.renumbered += 1
            self.sim.run(self.sim.now + RENUMBERED_S)
            wrong = judge()
        return wrong

    def not_shortest(self, graph: routing_judge.Graph) -> list[str]:
        return routing_judge.unreached(graph, shortest=True, slack=self.sim.slack)

    def graph(self) -> routing_judge.Graph:
        return routing_judge.honest_graph(self.sim)

    def blame(self, what: str, wrong: list[str]) -> int:
        if wrong:
            more = f"; {len(wrong) - 5} more" if len(wrong) > 5 else ""
            self.outcome.problems.append(
                f"seed {self.sim.seed}, t={self.sim.now:.3f}, {what}: {'; '.join(wrong[:5])}{more}"
            )
        return len(wrong)
