"""Whom a NAME-OR-ID means: the one resolver, and every command of `pim` that takes one."""

import argparse
import asyncio
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.cli import program
from pimd.cli.parser import make_parser
from pimd.contract import DiscoveredNode
from pimd.ids import NodeId
from pimd.proto.cards import issue
from pimd.proto.identity import Identity
from pimd.settings import Settings
from pimd.store.config_file import ConfigFile
from pimd_features.peers import FEATURE
from tests.assembly.conftest import Assemble, Assembled
from tests.features.peers.test_nearby import FINDER, Finder

OWN = Identity.from_seed(bytes(range(32))).node_id
FAR, BOX = NodeId(b"\xfa" * 16), NodeId(b"\xb0" * 16)
PEERS = [
    {"mechanism": "tcp", "address": "10.9.0.1:9100", "node_id": str(BOX), "label": "box"},
    {"mechanism": "tcp", "address": "10.9.0.2:9100", "label": "attic"},
    {"mechanism": "tcp", "address": "10.9.0.3:9100", "label": "twins"},
    {"mechanism": "tcp", "address": "10.9.0.4:9100", "label": "twins"},
]


def somebody(seed: int) -> Identity:
    return Identity.from_seed(bytes([seed]) * 32)


ANN, BOB, CY, DEE, EVE, FAY, GUS, HAL = (somebody(seed).node_id for seed in range(1, 9))
NAMES = {
    1: "Ann",  # labelled "Zoë", and so a contact
    2: "bob",  # a contact without a label
    3: "cy",  # met on a link
    4: "zoe\u0308",  # met: a label of ours is the same name
    5: str(BOB)[:8],  # met: calls itself like the start of bob's id
    6: "b\u200cob",  # met: looks like bob
    7: "twin",
    8: "TWIN",
}
FLAG = "\U0001f3f4\u200d\u2620\ufe0f"
PERSIAN = "نیم\u200cفاصله"


@dataclass
class World:
    """The feature over a filled keystore, with nodes nearby."""

    all_: Assembled
    nearby: list[DiscoveredNode]

    async def ask(self, name: str, **more: Any) -> Any:
        return await self.all_.call("peers.resolve", {"name": name, **more})

    def learn(self, seed: int, name: str, *, direct: bool = True) -> NodeId:
        card = issue(somebody(seed), 1, 0, name)
        self.all_.core.keystore.learn(card, direct=direct)
        return card.node_id

    def announce(self, node_id: NodeId, address: str, name: str | None = None) -> None:
        self.nearby.append(DiscoveredNode(Endpoint.parse(address), node_id, name, 1.0, 2.0))


@pytest.fixture
async def world(assemble: Assemble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    nearby: list[DiscoveredNode] = []
    monkeypatch.setattr(Finder, "found", nearby)
    settings = Settings.model_validate({"peers": PEERS, "node": {"name": "me"}})
    world = World(await assemble(FEATURE, FINDER, config=ConfigFile(None, tmp_path / "x", settings, "me")), nearby)
    for seed, name in NAMES.items():
        world.learn(seed, name)
    keystore = world.all_.core.keystore
    await keystore.set_label(ANN, "Zoë")
    await keystore.set_contact(BOB, contact=True)
    return world


MATRIX: list[tuple[str, NodeId | None]] = [
    # labels: NFC or NFD, in any case; before contacts, ids and names
    ("Zoë", ANN),
    ("ZOË", ANN),
    (unicodedata.normalize("NFD", "zoë"), ANN),
    ("box", BOX),
    # contacts by their own names
    ("bob", BOB),
    ("BOB", BOB),
    # ids and their beginnings; a name that reads as one means nobody
    (str(CY), CY),
    (str(CY).upper(), CY),
    (str(CY)[:8], CY),
    (str(CY)[:31].upper(), CY),
    (str(BOB)[:8], BOB),
    (str(FAR), FAR),
    (str(BOX)[:8], BOX),
    (str(OWN)[:8], OWN),
    # names of those that were met on a link
    ("cy", CY),
    ("Cy", CY),
    # the labelled one is not found by its own name among the others, but as a contact
    ("Ann", ANN),
    # nobody
    (str(CY)[:7], None),
    ("b\u200cob", None),
    ("b\u200bob", None),
    ("b\u043eb", None),  # a Cyrillic letter that looks like one of the contact
    ("bo", None),
    ("", None),
    # two people
    ("twin", None),
    ("Twin", None),
    # labels of addresses where nobody was met, and of two
    ("attic", None),
    ("twins", None),
    # last of all the node's own name
    ("me", OWN),
]


@pytest.mark.parametrize(("typed", "meant"), MATRIX)
async def test_whom_a_text_means(world: World, typed: str, meant: NodeId | None) -> None:
    answer = await world.ask(typed)
    found = NodeId.parse(answer["result"]["node_id"]) if "result" in answer else None
    assert found == meant
    if meant is None:
        assert answer["error"]["code"] in (-32010, -32013)


async def test_people_are_found_by_the_names_that_they_have(world: World) -> None:
    flag, persian = world.learn(20, FLAG), world.learn(21, PERSIAN)
    for typed, meant in ((FLAG, flag), (PERSIAN, persian)):
        assert (await world.ask(typed))["result"]["node_id"] == str(meant)


async def test_who_was_never_linked_with_this_node_is_known_by_its_id_only(world: World) -> None:
    stranger = world.learn(22, "stranger", direct=False)
    assert (await world.ask("stranger"))["error"]["code"] == -32010
    assert (await world.ask(str(stranger)[:10]))["result"]["node_id"] == str(stranger)


async def test_several_of_one_kind_are_an_error_with_each_of_them(world: World) -> None:
    error = (await world.ask("twin"))["error"]
    assert (error["code"], error["data"]["more"]) == (-32013, 0)
    assert {(row["node_id"], row["name"]) for row in error["data"]["candidates"]} == {
        (str(GUS), "twin"),
        (str(HAL), "TWIN"),
    }


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000 ", "\u2003"])
async def test_a_name_of_blanks_means_nobody(world: World, blank: str) -> None:
    """A variable of a script that is empty must not send to who calls himself so."""
    one, two = world.learn(26, blank), world.learn(27, blank)
    await world.all_.core.keystore.set_contact(one, contact=True)
    world.announce(two, "10.6.6.6:1", blank)
    for typed in ("", " ", blank):
        for scope in ("known", "nearby", "configured"):
            assert (await world.ask(typed, scope=scope))["error"]["code"] == -32010
    labelled = await world.all_.call("peers.label", {"node_id": str(two), "label": blank})
    assert "no letters that are not seen" in labelled["error"]["message"]


async def test_of_many_with_one_name_ten_are_shown_and_the_others_counted(world: World) -> None:
    for seed in range(30, 45):
        world.learn(seed, "legion")
    data = (await world.ask("legion"))["error"]["data"]
    assert (len(data["candidates"]), data["more"]) == (10, 5)


@pytest.mark.parametrize("digits", [8, 12, 32])
async def test_a_label_that_is_also_the_id_of_another_node_is_an_error(world: World, digits: int) -> None:
    await world.all_.core.keystore.set_label(ANN, str(CY)[:digits])
    error = (await world.ask(str(CY)[:digits]))["error"]
    assert {row["node_id"] for row in error["data"]["candidates"]} == {str(ANN), str(CY)}
    await world.all_.core.keystore.set_label(ANN, str(ANN)[:digits])
    assert (await world.ask(str(ANN)[:digits]))["result"]["node_id"] == str(ANN)


async def test_a_label_on_two_nodes_is_an_error(world: World) -> None:
    await world.all_.core.keystore.set_label(CY, "zoë")
    error = (await world.ask("Zoë"))["error"]
    assert {row["node_id"] for row in error["data"]["candidates"]} == {str(ANN), str(CY)}


async def test_the_label_of_an_address_is_no_name_of_whoever_takes_it(world: World) -> None:
    world.learn(23, "attic")
    error = (await world.ask("attic"))["error"]
    assert error["data"]["candidates"] == [
        {"node_id": None, "label": "attic", "name": None, "address": "10.9.0.2:9100"}
    ]
    assert "where no node has answered yet" in error["message"]


async def test_what_is_forgotten_is_not_found_and_a_label_taken_away_neither(world: World) -> None:
    keystore = world.all_.core.keystore
    await keystore.forget(CY)
    await keystore.set_label(ANN, None)
    assert (await world.ask("cy"))["error"]["code"] == -32010
    assert (await world.ask(str(CY)[:8]))["error"]["code"] == -32010
    assert (await world.ask("zoë"))["result"]["node_id"] == str(DEE)


async def test_for_a_pairing_those_nearby_count_and_a_contact_before_them(world: World) -> None:
    world.announce(FAR, "10.6.6.6:1", "printer")
    assert (await world.ask("printer"))["error"]["code"] == -32010
    for typed in ("printer", "Printer", str(FAR)[:8]):
        assert (await world.ask(typed, scope="nearby"))["result"]["node_id"] == str(FAR)
    for name, meant in (("bob", BOB), ("zoë", ANN), (str(CY)[:8], CY)):
        world.nearby.clear()
        world.announce(FAR, "10.6.6.6:1", name)
        assert (await world.ask(name, scope="nearby"))["result"]["node_id"] == str(meant)


async def test_somebody_nearby_is_not_taken_for_a_known_node_of_that_name_that_is_away(world: World) -> None:
    world.announce(FAR, "10.6.6.6:1", "cy")
    error = (await world.ask("cy", scope="nearby"))["error"]
    assert {(row["node_id"], row["address"]) for row in error["data"]["candidates"]} == {
        (str(CY), None),
        (str(FAR), "10.6.6.6:1"),
    }


async def test_one_node_at_two_addresses_is_one_node(world: World) -> None:
    for address in ("10.0.0.2:1", "[fe80::2]:1"):
        world.announce(FAR, address, "printer")
    assert (await world.ask("printer", scope="nearby"))["result"]["node_id"] == str(FAR)


@pytest.mark.parametrize("text", ["nas.local", "192.168.1.7", "nas:9100"])
async def test_a_text_in_the_form_of_an_address_is_never_a_stranger(world: World, text: str) -> None:
    world.announce(FAR, "10.6.6.6:1", text)
    answer = await world.ask(text, scope="nearby", address=f"{text}:9100")
    assert (answer["result"]["node_id"], answer["result"]["address"]) == (None, f"{text}:9100")


@pytest.mark.parametrize("scope", ["nearby", "configured"])
async def test_a_label_or_contact_in_the_form_of_an_address_is_that_one(world: World, scope: str) -> None:
    keystore = world.all_.core.keystore
    contact = world.learn(24, "j.r. mc:gee")
    await keystore.set_contact(contact, contact=True)
    await keystore.set_label(CY, "cy.home")
    for typed, meant in (("J.R. Mc:Gee", contact), ("CY.home", CY)):
        answer = await world.ask(typed, scope=scope, address=f"{typed}:9100")
        assert (answer["result"]["node_id"], answer["result"]["address"]) == (str(meant), None)


@pytest.mark.parametrize("scope", ["nearby", "configured"])
@pytest.mark.parametrize(("kind", "typed"), [("label", "10.9.0.1"), ("contact", "10.9.0.1"), ("contact", "10.9.0.2")])
async def test_a_label_or_contact_that_is_the_configured_address_of_another_is_an_error(
    world: World, scope: str, kind: str, typed: str
) -> None:
    one = world.learn(25, typed)
    if kind == "label":
        await world.all_.core.keystore.set_label(one, typed)
    else:
        await world.all_.core.keystore.set_contact(one, contact=True)
    error = (await world.ask(typed, scope=scope, address=f"{typed}:9100"))["error"]
    assert error["code"] == -32013
    found = {(row["node_id"], row["address"]) for row in error["data"]["candidates"]}
    assert found == {(str(one), None), (str(BOX) if typed == "10.9.0.1" else None, f"{typed}:9100")}
    with_port = (await world.ask(f"{typed}:9100", scope=scope, address=f"{typed}:9100"))["result"]
    assert with_port["config_entry_id"] == f"tcp:{typed}:9100"


async def test_what_is_configured_is_removed_by_label_or_address(world: World) -> None:
    for typed, entry in (("attic", "tcp:10.9.0.2:9100"), ("10.9.0.2", "tcp:10.9.0.2:9100")):
        answer = await world.ask(typed, scope="configured", address=f"{typed}:9100")
        assert (answer["result"]["node_id"], answer["result"]["config_entry_id"]) == (None, entry)
    assert (await world.ask("box", scope="configured", address="box:9100"))["result"]["node_id"] == str(BOX)
    error = (await world.ask("twins", scope="configured"))["error"]
    assert [row["address"] for row in error["data"]["candidates"]] == ["10.9.0.3:9100", "10.9.0.4:9100"]


# --- every command


class Recorder:
    """Asks the daemon whom a text means, and keeps what a command then does, instead of doing it."""

    def __init__(self, all_: Assembled, loop: asyncio.AbstractEventLoop) -> None:
        self._all, self._loop = all_, loop
        self.done: list[str] = []

    def exchange(self, message: Any) -> Any:
        if message["method"] in ("peers.resolve", "peers.configured"):
            call = self._all.call(message["method"], message.get("params"))
            return asyncio.run_coroutine_threadsafe(call, self._loop).result()
        params = message.get("params") or {}
        self.done += [value for key, value in params.items() if key in ("node_id", "peer_node_id", "after")]
        return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -1, "message": "not done"}}

    def close(self) -> None:
        pass


def commands(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """Yield the words before and behind a NAME-OR-ID, for each argument of each command that takes one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from ([name, *words] for words in commands(below))
        elif "NAME-OR-ID" in str(action.metavar):
            others = [
                one for one in parser._actions if not one.option_strings and one.required and one.dest != action.dest
            ]
            yield [*action.option_strings, "WHO", *("text" for _ in others)]


COMMANDS = list(commands(make_parser()))


def test_the_commands_are_those_that_take_a_name() -> None:
    assert {"send", "inbox", "forget", "trace", "pair", "remove", "peers"} <= {words[0] for words in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_every_command_means_the_same_one_or_does_nothing(
    world: World, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for typed, meant in MATRIX:
        if not typed:
            continue
        recorder = Recorder(world.all_, asyncio.get_running_loop())
        monkeypatch.setattr(program, "connection_of", lambda *_, recorder=recorder: recorder)
        words = [typed if word == "WHO" else word for word in command]
        assert await asyncio.to_thread(program.main, words) == 1
        expected = [] if meant is None else [str(meant)]
        assert list(dict.fromkeys(recorder.done)) == expected, typed
        told = capsys.readouterr().err
        assert ("not done" in told) == bool(expected or (typed == "attic" and command[0] in ("pair", "remove"))), typed
