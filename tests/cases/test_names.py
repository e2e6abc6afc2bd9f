"""Names that people have, and terminals that cannot show them."""

import unicodedata

import pytest

from tests.cases.conftest import MakeMachine
from tests.cases.machine import until, until_linked
from tests.repeats import one_in

NAMES = {
    "flag": "Anna \U0001f1ed\U0001f1f0",
    "emoji": "⚡️ van",
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467 home",
    "persian": "نیم\u200cفاصله",
    "tamil": "ஜீவா",
    "decomposed": unicodedata.normalize("NFD", "Zoë"),
}
SHOWING = (["peers"], ["status"], ["inbox"], ["routes"])


@pytest.mark.parametrize("what", one_in(6, list(NAMES)))
def test_a_name_is_shown_and_found(machine: MakeMachine, what: str) -> None:
    """meshtastic/python#808, lukeswitz/AntiHunter#31: names with emoji are cut or refused."""
    name = NAMES[what]
    hub = machine("hub").start()
    other = machine("other", f'[node]\nname = "{name}"\n')
    del other.environ["PIMD_NODE__NAME"]
    other.start().link(hub)
    until_linked(hub, other)
    until(lambda: hub.call("peers.export_identity", {"node_id": other.node_id})["name"] == name)
    for typed in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
        sent = hub.pim("send", typed, "hello")
        assert sent.returncode == 0, sent.stderr
    assert name in hub.pim("peers").stdout


@pytest.mark.system
@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii"])
def test_what_a_terminal_cannot_show_is_replaced(machine: MakeMachine, encoding: str) -> None:
    """meshtastic/python#535, C-Otto/rebalance-lnd#192: a stranger's name ends the list of nodes."""
    alice = machine("alice").start()
    bob = machine("bob", PIMD_NODE__NAME="Zoë 🚀").start()
    alice.link(bob)
    until_linked(bob, alice)
    bob.send(alice, "snowman ☃ here")
    until(lambda: alice.bodies(bob))
    for arguments in (*SHOWING, ["inbox", bob.node_id], ["trace", bob.node_id]):
        shown = alice.pim_anywhere(
            "--data-dir", str(alice.data_dir), *arguments, PYTHONIOENCODING=encoding, PYTHONUTF8="0"
        )
        assert shown.returncode == 0, shown.stderr
        assert shown.stderr == ""
