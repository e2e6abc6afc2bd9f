"""Rows of `status` and `peers.list`, of a daemon in a lab."""

from typing import Any

from pimd.lab import Lab, run
from pimd_features.peers.rows import NEIGHBOUR_LIMIT

CONFIGURED = [
    {"mechanism": "tcp", "address": f"10.9.{n // 250}.{n % 250}:9100", "node_id": f"{n:032x}"}
    for n in range(1, NEIGHBOUR_LIMIT + 3)
]


def test_status_shows_at_most_256_peers_and_a_list_of_them_all() -> None:
    async def main() -> tuple[Any, Any]:
        async with Lab(1) as lab:
            daemon = lab.add_daemon(settings={"peers": CONFIGURED})
            await lab.start()
            return await daemon.call("status"), await daemon.call("peers.list", {"all": True})

    status, everybody = run(main, seed=1)
    assert NEIGHBOUR_LIMIT == 256
    assert len(status["peers"]) == NEIGHBOUR_LIMIT
    assert len(everybody) == len(CONFIGURED)
