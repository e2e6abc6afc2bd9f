"""What `peers` makes of nodes that others find nearby."""

import json
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest

from pimd.addresses import Endpoint
from pimd.contract import DISCOVERY, DaemonPlugin, DiscoveredNode, Feature, PluginContext, Provided
from pimd.ids import NodeId
from pimd.proto.cards import issue
from pimd.proto.identity import Identity
from pimd.rpc.subscriber import Subscriber
from pimd.settings import Settings
from pimd.store.config_file import ConfigFile
from pimd_features.peers import FEATURE, nearby
from pimd_features.peers.nearby import Newcomers
from tests.assembly.conftest import Assemble, Assembled, until
from tests.limits import Lower
from tests.system.daemon import PROJECT

CONTRACT = json.loads((PROJECT / "tests" / "vectors" / "rpc_contract.json").read_text())
BOB, CAROL = Identity.from_seed(b"b" * 32), Identity.from_seed(b"c" * 32)


class Finder(DaemonPlugin):
    """Finds whom the test says."""

    name: ClassVar[str] = "finder"
    found: ClassVar[list[DiscoveredNode]] = []
    broken: ClassVar[bool] = False

    async def start(self, ctx: PluginContext) -> None:
        """Nothing to start."""

    def nodes(self) -> list[DiscoveredNode]:
        if self.broken:
            raise ZeroDivisionError
        return self.found


FINDER = Feature("finder", "x", plugin=Finder, provides=(Provided(DISCOVERY),))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[DiscoveredNode]:
    nodes: list[DiscoveredNode] = []
    monkeypatch.setattr(Finder, "found", nodes)
    return nodes


@pytest.fixture
def config(tmp_path: Path) -> ConfigFile:
    return ConfigFile(None, tmp_path / "pim.toml", Settings(), "test")


def node(who: NodeId | None, address: str = "10.0.0.2:9100", name: str | None = None) -> DiscoveredNode:
    return DiscoveredNode(Endpoint.parse(address), who, name, 1.5, 2.25)


async def started(assemble: Assemble, config: ConfigFile) -> tuple[Assembled, Newcomers, Subscriber]:
    """Both features, who tells of newcomers, and what was told."""
    all_ = await assemble(FEATURE, FINDER, config=config)
    plugin: Any = all_.host("peers").plugin
    return all_, plugin.newcomers, all_.rpc.streams.get("peers.event").attach("x", None, lambda: None)


def told(subscriber: Subscriber) -> list[dict[str, Any]]:
    """The params of what waits."""
    return [json.loads(text)["params"] for text in iter(subscriber.next_text, None)]


async def discovered(all_: Assembled) -> list[dict[str, Any]]:
    return list((await all_.call("peers.discovered"))["result"])


async def test_who_is_found_is_listed_in_the_shape_of_the_contract(
    assemble: Assemble, config: ConfigFile, found: list[DiscoveredNode]
) -> None:
    all_, _, _ = await started(assemble, config)
    all_.core.keystore.learn(issue(BOB, 1, 0, "bob"), direct=False)
    found += [node(BOB.node_id), node(CAROL.node_id, name="carol's"), node(None, "[fe80::1%eth0]:9100")]
    rows = await discovered(all_)
    schema = CONTRACT["methods"]["peers.discovered"]["result"]
    jsonschema.Draft202012Validator({"$defs": CONTRACT["$defs"], **schema}).validate(rows)
    assert [row["endpoint"] for row in rows] == [f"tcp:{row['address']}" for row in rows]
    assert [(row["node_id"], row["address"], row["label_announced"]) for row in rows] == [
        (str(BOB.node_id), "10.0.0.2:9100", "bob"),
        (str(CAROL.node_id), "10.0.0.2:9100", "carol's"),
        (None, "[fe80::1%eth0]:9100", None),
    ]
    assert all(isinstance(row[key], int) for row in rows for key in ("first_seen_s", "last_seen_s"))


async def test_nobody_is_found_while_no_feature_looks(
    assemble: Assemble, config: ConfigFile, found: list[DiscoveredNode]
) -> None:
    all_, newcomers, events = await started(assemble, config)
    found.append(node(BOB.node_id))
    await all_.assembly.disable("finder")
    newcomers.tell()
    assert await discovered(all_) == []
    error = (await all_.call("peers.pair", {"node_id": str(BOB.node_id), "trust": "once"}))["error"]
    assert error["code"] == -32010
    assert "feature discovery" in error["message"]
    assert [event["kind"] for event in told(events)] == ["pair_failed"]
    await all_.assembly.enable("finder")
    assert len(await discovered(all_)) == 1


async def test_each_newcomer_is_told_of_once(
    assemble: Assemble, config: ConfigFile, found: list[DiscoveredNode]
) -> None:
    _, newcomers, events = await started(assemble, config)
    found += [node(BOB.node_id), node(None, "10.0.0.3:9100")]
    newcomers.tell()
    newcomers.tell()
    first = told(events)
    schema = CONTRACT["notifications"]["peers.event"]["params"]
    for event in first:
        jsonschema.Draft202012Validator({"$defs": CONTRACT["$defs"], **schema}).validate(event)
    assert [event["peer"]["address"] for event in first] == ["10.0.0.2:9100", "10.0.0.3:9100"]
    found[:] = [node(BOB.node_id, "10.0.0.9:9100"), node(CAROL.node_id, "10.0.0.3:9100")]
    newcomers.tell()
    assert told(events) == []  # bob moved, and the anonymous one turned out to be carol
    found.clear()
    newcomers.tell()
    found.append(node(BOB.node_id))
    newcomers.tell()
    assert told(events) == []


@pytest.mark.limit("nodes nearby that were told of")
async def test_only_so_many_newcomers_are_remembered_and_those_who_are_there_the_longest(
    assemble: Assemble, config: ConfigFile, found: list[DiscoveredNode], lower: Lower
) -> None:
    lower(nearby.TOLD, 3)
    _, newcomers, events = await started(assemble, config)
    few = Newcomers(newcomers._ctx)
    for number in range(5):
        found[:] = [node(BOB.node_id), node(NodeId(number.to_bytes(16)), f"10.0.1.{number}:1")]
        few.tell()
    assert len(few._told) == 3
    told(events)
    found[:] = [node(BOB.node_id), node(NodeId((0).to_bytes(16)), "10.0.1.0:1")]
    few.tell()
    assert [event["peer"]["address"] for event in told(events)] == ["10.0.1.0:1"]


async def test_a_provider_that_fails_ends_nobody_but_itself(
    assemble: Assemble, config: ConfigFile, found: list[DiscoveredNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearby, "POLL_S", 0)
    monkeypatch.setattr(Finder, "broken", True)
    all_, _, events = await started(assemble, config)
    assert await discovered(all_) == []
    await until(lambda: bool(all_.row("finder").state == "quarantined"))
    found.append(node(BOB.node_id))
    monkeypatch.setattr(Finder, "broken", False)
    await all_.assembly.enable("finder")
    await until(lambda: bool(events.waiting))
    assert all_.row("peers").state == "running"
