"""What the desktop client needs: every answer and event has the shape written down for it."""

import json
from typing import Any

import jsonschema
import pytest

from tests.system.conftest import Pair
from tests.system.daemon import PROJECT, Daemon

VECTORS = PROJECT / "tests" / "vectors"
CONTRACT = json.loads((VECTORS / "rpc_contract.json").read_text())
SOMEBODY = "ab" * 16
KEY = "09" + "00" * 30 + "01"


def fits(schema: dict[str, Any], value: Any) -> None:
    validator = jsonschema.Draft202012Validator({"$defs": CONTRACT["$defs"], **schema})
    validator.validate(value)


def checked(daemon: Daemon, method: str, params: Any = None) -> Any:
    result = daemon.call(method, params)
    fits(CONTRACT["methods"][method]["result"], result)
    return result


def test_answers_have_the_shapes_of_the_contract(pair: Pair) -> None:
    alice, bob = pair
    bob_id = bob.node_id
    checked(alice, "rpc.hello", {"client": "pim-ui/0.1.3", "rpc_version": 1})
    status = checked(alice, "status")
    assert status["peers"][0]["state"] == "active"
    assert status["peers"][0]["node_id_short"] == bob_id[:8]
    checked(alice, "peers.list")
    checked(alice, "peers.discovered")
    checked(alice, "mesh.status")
    table = checked(alice, "route.table")
    assert [(row["destination"], row["via"], row["hops"]) for row in table["routes"]] == [(bob_id, bob_id, 1)]
    assert checked(alice, "peers.get_broadcast_state")["last_broadcast_ms"] is None
    checked(alice, "peers.broadcast_identity_now")
    changed = checked(alice, "peers.set_broadcast_config", {"outgoing_interval_s": 300})
    assert changed["last_recipient_count"] == 1
    checked(alice, "peers.set_broadcast_config", {"outgoing_interval_s": None, "min_peer_interval_s": 30})
    checked(alice, "peers.set_broadcast_config")
    checked(alice, "peers.import_identity", {"node_id": SOMEBODY, "x25519_pubkey": KEY, "friendly_name": "carol"})
    sent = checked(alice, "messages.send", {"peer_node_id": bob_id.upper(), "body": "hello"})
    checked(alice, "messages.send", {"peer_node_id": SOMEBODY, "body": "later"})
    history = checked(alice, "messages.history", {"peer_node_id": bob_id, "limit": None, "before_ts_ms": None})
    assert history["messages"][0]["id"] == sent["id"]
    checked(alice, "messages.list_conversations")
    checked(alice, "messages.mark_read", {"peer_node_id": bob_id, "up_to_ts_ms": 2**53})
    checked(alice, "messages.delete_conversation", {"peer_node_id": bob_id})
    checked(alice, "messages.delete_all")
    checked(alice, "peers.forget", {"node_id": SOMEBODY, "also_delete_messages": True})
    checked(alice, "config.get", {"format": "toml"})
    checked(alice, "config.get", {"format": "json"})
    checked(alice, "peers.pair", {"trust": "once", "address": f"127.0.0.1:{bob.mesh_port}"})
    entry = checked(alice, "peers.add_static", {"address": "127.0.0.1:1", "label": "nowhere"})
    checked(alice, "peers.remove", {"config_entry_id": entry["config_entry_id"]})
    checked(alice, "peers.remove", {"node_id": bob_id})
    where = {"node_id": bob_id.upper(), "address": f"127.0.0.1:{bob.mesh_port}"}
    assert checked(alice, "peers.connect_dynamic", where)["node_id"] == bob_id


def test_the_wish_for_a_gateway_is_granted_without_one(shared_pair: Pair) -> None:
    alice, _ = shared_pair
    assert checked(alice, "route.set_split_default", {"on": True}) == {"on": True, "via_gateway_id": None}
    status = checked(alice, "status")
    assert (status["route_on"], status["route_effective"]) == (True, False)
    assert checked(alice, "route.set_split_default") == {"on": False, "via_gateway_id": None}


NO_ADDRESSES = (
    "nonsense",
    "a:b:1",
    "[a:b:c]:1",
    "[host]:1",
    "::1:9100",
    "a:0",
    "a:65536",
    "a:x",
    ":1",
    "",
    "a\u0000:1",
    "[fe80::1%x\n]:1",
    "[fe80::1%\u202e]:1",
    "a..b:1",
    f"{'a' * 64}:1",
    f"{'a.' * 140}:1",
    "unix:",
    "unix:mesh.sock",
    "unix:/a\u0000",
    f"unix:/{'a' * 107}",
    "foo:/bar",
)


def test_errors_have_the_codes_of_the_contract(shared_pair: Pair) -> None:
    alice, bob = shared_pair
    assert KEY not in alice.call("peers.export_identity", {"node_id": bob.node_id})["text"]
    cases = [
        ("messages.send", {"peer_node_id": SOMEBODY, "body": "x"}, -32060),
        ("messages.send", {"peer_node_id": bob.node_id, "body": "x" * 8193}, -32061),
        ("messages.send", {"peer_node_id": bob.node_id, "body": ""}, -32602),
        ("messages.send", {"peer_node_id": "xyz", "body": "x"}, -32602),
        *(("peers.add_static", {"address": address}, -32012) for address in NO_ADDRESSES),
        ("peers.add_static", {"address": f"127.0.0.1:{bob.mesh_port}"}, -32011),
        ("peers.add_static", {"address": "a:1", "mechanism": "bluetooth"}, -32002),
        ("peers.remove", {"node_id": SOMEBODY}, -32010),
        ("peers.remove", {}, -32602),
        ("peers.get", {"node_id": SOMEBODY}, -32010),
        ("peers.import_identity", {"node_id": bob.node_id, "x25519_pubkey": KEY}, -32040),
        ("peers.set_broadcast_config", {"outgoing_interval_s": 29}, -32041),
        ("peers.set_broadcast_config", {"min_peer_interval_s": 0}, -32602),
        ("route.set_split_default", {"on": 1}, -32602),
        ("route.trace", {"node_id": SOMEBODY}, -32010),
        ("route.trace", {"node_id": bob.node_id, "timeout_s": 10.5}, -32602),
        ("peers.pair", {"trust": "once", "node_id": SOMEBODY}, -32010),
        ("peers.pair", {"trust": "once"}, -32602),
        ("peers.pair", {"trust": "once", "address": "127.0.0.1:1"}, -32012),
        *(
            ("peers.connect_dynamic", {"node_id": bob.node_id, "address": address}, -32602)
            for address in ("localhost:9100", "127.0.0.1", "127.0.0.1:0", "::1:9100", "[::1]", "", "unix:/s")
        ),
        ("peers.connect_dynamic", {"node_id": "xyz", "address": "127.0.0.1:1"}, -32602),
        ("peers.connect_dynamic", {"node_id": SOMEBODY, "address": "127.0.0.1:1"}, -32603),
        ("peers.connect_dynamic", {"node_id": SOMEBODY, "address": f"127.0.0.1:{bob.mesh_port}"}, -32603),
        ("rpc.hello", {"rpc_version": 2}, -32001),
    ]
    for method, params, code in cases:
        error = alice.ask(method, params)["error"]
        assert error["code"] == code, (method, error)
        assert error["message"]
    assert alice.call("messages.history", {"peer_node_id": bob.node_id})["messages"] == []


@pytest.mark.system
def test_events_have_the_shapes_of_the_contract(pair: Pair) -> None:
    alice, bob = pair
    seen: dict[str, list[Any]] = {name: [] for name in ("messages.event", "peers.event", "status.event", "logs.event")}
    with bob.socket() as client:

        def take_until(**counts: int) -> None:
            while any(len(seen[f"{name}.event"]) < count for name, count in counts.items()):
                received = client.notifications.pop(0) if client.notifications else client.receive()
                assert received is not None
                fits(CONTRACT["notifications"][received["method"]]["params"], received["params"])
                seen[received["method"]].append(received["params"])

        client.call("rpc.hello", {"client": "pim-ui/0.1.3", "rpc_version": 1})
        client.call("status.subscribe")  # after which the history comes
        alice.call("messages.send", {"peer_node_id": bob.node_id, "body": "hello"})
        client.call("messages.send", {"peer_node_id": alice.node_id, "body": "hello"})
        client.call("peers.import_identity", {"node_id": SOMEBODY, "x25519_pubkey": KEY})
        take_until(messages=4, status=1, logs=1)
        alice.call("peers.remove", {"node_id": bob.node_id})
        take_until(peers=1)
    kinds = {event["kind"] for event in seen["messages.event"]}
    assert {"message_received", "message_status", "peer_seen"} <= kinds
    assert all("at" in event for event in (*seen["peers.event"], *seen["status.event"]))
    assert all("at" not in event and "kind" not in event for event in seen["logs.event"])


def test_the_description_is_valid_openrpc_and_complete(shared_pair: Pair) -> None:
    alice, _ = shared_pair
    document = alice.call("rpc.discover")
    meta = json.loads((VECTORS / "openrpc_meta_schema.json").read_text())
    jsonschema.Draft7Validator(meta).validate(document)
    assert [method["name"] for method in document["methods"]] == alice.call("rpc.methods")
    for method in document["methods"]:
        assert method["summary"], method["name"]
        assert method["x-feature"], method["name"]
    events = {event["name"]: event for event in document["x-events"]}
    assert events.keys() == {name for row in alice.call("features.list") for name in row["events"]}
    for event in events.values():
        jsonschema.Draft202012Validator.check_schema({**event["payload"], "components": document["components"]})
        assert event["subscribe"] in alice.call("rpc.methods")


@pytest.mark.parametrize(
    "method",
    [
        "status",
        "peers.list",
        "peers.get_broadcast_state",
        "peers.broadcast_identity_now",
        "messages.list_conversations",
        "config.get",
        "features.list",
        "rpc.methods",
        "route.table",
        "mesh.status",
    ],
)
@pytest.mark.parametrize("params", [None, {}, []])
def test_no_params_in_every_form(shared_pair: Pair, method: str, params: Any) -> None:
    assert shared_pair[0].call(method, params) is not None
