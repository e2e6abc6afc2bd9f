"""Who is whose neighbour, by cables and by links, with daemons that are down and cables that are cut."""

import pytest

from pimd.lab import Lab, run
from pimd.lab.graph import Graph, by_cables, by_links
from pimd.lab.topology import line


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_daemon_that_is_down_is_nobodys_neighbour_and_a_cut_cable_joins_nobody(dead: int) -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            made = lab.build(line(4, lab.random))
            ids = [one.id for one in made]
            await lab.start()
            await lab.converged(10)

            def neighbours(graph: Graph) -> dict[int, set[int]]:
                return {
                    ids.index(node): {ids.index(other) for other in others} for node, others in graph.around.items()
                }

            whole = {0: {1}, 1: {0, 2}, 2: {1, 3}, 3: {2}}
            assert neighbours(by_cables(lab)) == neighbours(by_links(lab)) == whole
            made[dead].kill()
            left = {node: others - {dead} for node, others in whole.items() if node != dead}
            assert neighbours(by_cables(lab)) == left
            lab.cut(made[2], made[3])
            apart = {
                node: others - ({3} if node == 2 else {2} if node == 3 else set()) for node, others in left.items()
            }
            assert neighbours(by_cables(lab)) == apart
            await lab.sleep(30)
            assert neighbours(by_links(lab)) == apart

    run(main, seed=1)
