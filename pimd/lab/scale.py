"""The cost of a mesh of N nodes: a cold start, then the traffic while nothing happens."""

import resource
import time
from dataclasses import dataclass

from pimd.lab.lab import Lab
from pimd.lab.node import LabNode
from pimd.lab.topology import random_graph

LATENCY_S = (0.001, 0.02)
LIMIT_S = 90.0
"""Virtual seconds in which every measured mesh must converge."""
STEADY_S = 330.0
"""In this time every node issues one new card, and sends its full table eleven times."""
PROMISES = (
    (300, 60.0, 4096.0),
    (1000, 900.0, 4096.0),
)
"""Rows of: number of nodes with six neighbours, most seconds of wall time, most MiB, on two cores."""
HEAD = (
    "  nodes   links  virtual s   wall s    cpu s     MiB    cold start, a node:  records     bytes"
    "    steady, a node and second:  records    bytes"
)


@dataclass(frozen=True)
class Cost:
    """The measured cost of one mesh; the rates are for each node."""

    nodes: int
    links: int
    virtual_s: float
    """From power on to shortest routes everywhere."""
    wall_s: float
    cpu_s: float
    memory_mib: float
    """Peak memory of the process."""
    cold_records: float
    cold_bytes: float
    """For each node, until convergence."""
    steady_records: float
    steady_bytes: float
    """For each node and second after it."""

    def __str__(self) -> str:
        return (
            f"{self.nodes:7} {self.links:7} {self.virtual_s:10.2f} {self.wall_s:8.1f} {self.cpu_s:8.1f} {self.memory_mib:7.0f}"
            f" {self.cold_records:29.0f} {self.cold_bytes:9.0f} {self.steady_records:36.2f} {self.steady_bytes:8.0f}"
        )


def broken_promises(cost: Cost) -> list[str]:
    """Return a line for each value over the first row of `PROMISES` that covers this mesh."""
    for nodes, wall_s, memory_mib in PROMISES:
        if cost.nodes <= nodes:
            told = []
            if cost.wall_s > wall_s:
                told.append(
                    f"{cost.nodes} nodes took {cost.wall_s:.0f} s of wall time to converge, more than {wall_s:.0f}"
                )
            if cost.memory_mib > memory_mib:
                told.append(f"{cost.nodes} nodes took {cost.memory_mib:.0f} MiB, more than {memory_mib:.0f}")
            return told
    return []


async def measure(nodes: int, seed: int, degree: float = 6.0, steady_s: float = STEADY_S) -> Cost:
    """Start `nodes` daemons at once, wait until they have converged, and go on for `steady_s`."""
    began, cpu_began = time.perf_counter(), time.process_time()
    async with Lab(seed, log_level="warning", keeps_events=False) as lab:
        topology = random_graph(nodes, lab.random, degree)
        lab.build(topology, lambda: lab.random.uniform(*LATENCY_S))
        powered_on = lab.now
        await lab.start()
        await lab.converged(LIMIT_S)
        virtual_s, wall_s = lab.now - powered_on, time.perf_counter() - began
        cpu_s = time.process_time() - cpu_began
        cold = _sent(lab)
        await lab.sleep(steady_s)
        steady = _sent(lab)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost(
        nodes,
        len(topology.edges),
        virtual_s,
        wall_s,
        cpu_s,
        peak_kib / 1024,
        cold[0] / nodes,
        cold[1] / nodes,
        (steady[0] - cold[0]) / nodes / steady_s,
        (steady[1] - cold[1]) / nodes / steady_s,
    )


def _sent(lab: Lab) -> tuple[int, int]:
    nodes = [daemon.node for daemon in lab.daemons.values()]
    return sum(node.records_out() for node in nodes if isinstance(node, LabNode)), lab.internet.bytes
