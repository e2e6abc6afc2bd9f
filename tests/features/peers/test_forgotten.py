"""A node that was forgotten while it was linked, or behind a link: what is shown of it, and how it is written to."""

import pytest

from pimd.contract import RpcError
from pimd.lab import Lab, run


def test_a_neighbour_that_was_forgotten_is_shown_so_and_a_message_brings_it_back() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one, two = lab.add_daemons(2)
            lab.connect(one, two)
            await lab.start()
            await lab.until(lambda: one.node.service.has_route(two.id), 30)
            who = {"node_id": str(two.id)}
            await one.call("peers.label", {**who, "label": "bob"})
            await one.call("peers.forget", who)

            (row,) = await one.call("peers.list")
            assert (row["state"], row["forgotten"], row["label"], row["name"]) == ("active", True, None, None)
            assert (await one.call("peers.get", who))["known"] == "forgotten"
            with pytest.raises(RpcError) as caught:
                await one.call("peers.resolve", {"name": "bob"})
            assert caught.value.code == -32010
            assert (await one.call("peers.resolve", {"name": str(two.id)[:8]}))["node_id"] == str(two.id)

            await one.call("messages.send", {"peer_node_id": str(two.id), "body": "after all"})
            await lab.sleep(5)
            (message,) = (await two.call("messages.history", {"peer_node_id": str(one.id)}))["messages"]
            assert message["body"] == "after all"
            (row,) = await one.call("peers.list")
            assert (row["forgotten"], row["name"]) == (False, two.name)
            assert (await one.call("peers.get", who))["contact"]

    run(main, seed=1)


def test_a_label_brings_a_forgotten_neighbour_back_too() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one, two = lab.add_daemons(2)
            lab.connect(one, two)
            await lab.start()
            await lab.until(lambda: one.node.service.has_route(two.id), 30)
            await one.call("peers.forget", {"node_id": str(two.id)})
            row = await one.call("peers.label", {"node_id": str(two.id), "label": "bob"})
            assert (row["label"], row["known"]) == ("bob", "direct")

    run(main, seed=1)


def test_one_behind_a_relay_that_was_forgotten_is_brought_back_too() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one, two, three = lab.add_daemons(3)
            lab.connect(one, two)
            lab.connect(two, three)
            await lab.start()
            await lab.until(lambda: one.node.service.has_route(three.id), 30)
            who = {"node_id": str(three.id)}
            await one.call("peers.forget", who)
            row = next(row for row in await one.call("peers.list") if row["node_id"] == str(three.id))
            assert (row["state"], row["forgotten"]) == ("relayed", True)
            assert (await one.call("peers.get", who))["known"] == "forgotten"
            await one.call("messages.send", {"peer_node_id": str(three.id), "body": "after all"})
            await lab.sleep(5)
            (message,) = (await three.call("messages.history", {"peer_node_id": str(one.id)}))["messages"]
            assert message["body"] == "after all"

    run(main, seed=1)


def test_without_a_way_to_the_forgotten_one_the_error_says_at_once_what_to_do() -> None:
    async def main() -> None:
        async with Lab(1) as lab:
            one, two = lab.add_daemons(2)
            lab.connect(one, two)
            await lab.start()
            await lab.until(lambda: one.node.service.has_route(two.id), 30)
            lab.cut(one, two)
            await lab.until(lambda: not one.node.service.has_route(two.id), 60)
            await one.call("peers.forget", {"node_id": str(two.id)})
            with pytest.raises(RpcError) as caught:
                await one.call("peers.get", {"node_id": str(two.id)})
            assert caught.value.code == -32010
            began = lab.now
            with pytest.raises(RpcError, match=f"you forgot {two.id}.*pim pair") as caught:
                await one.call("messages.send", {"peer_node_id": str(two.id), "body": "x"})
            assert (caught.value.code, lab.now) == (-32060, began)

    run(main, seed=1)
