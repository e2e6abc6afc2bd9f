"""Whom a name means: a label of ours first, a name a peer gave itself only when one has it."""

from typing import Any

import pytest

from pimd.cli.errors import PimError
from pimd.cli.names import resolve

A, B, C, D = ("a" * 32, "b" * 32, "abababab" + "c" * 24, "abababab" + "d" * 24)
OWN = "e" * 32


class Answers:
    """A daemon called alice that knows four peers."""

    def __init__(self, labels: dict[str, str], names: dict[str, str]) -> None:
        self.labels = labels
        self.names = names

    def exchange(self, message: Any) -> Any:
        if isinstance(message, list):
            return [self.exchange(one) for one in message]
        if message["method"] == "peers.list":
            result: Any = [
                {"node_id": node_id, "label": self.labels.get(node_id), "x25519_pubkey": "0" * 64}
                for node_id in (A, B, C, D)
            ]
        elif message.get("params") is None:
            result = {"node_id": OWN, "name": "alice"}
        else:
            result = {"name": self.names.get(message["params"]["node_id"], "")}
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("labels", "names", "wanted", "expected"),
    [
        ({}, {}, A.upper(), A),
        ({}, {}, "0" * 32, "0" * 32),
        ({A: "bob"}, {}, "bob", A),
        ({A: "bob"}, {B: "bob"}, "bob", A),
        ({}, {B: "bob"}, "bob", B),
        ({B: "robert"}, {B: "bob"}, "bob", B),
        ({}, {}, "aaaaaaaa", A),
        ({}, {B: "aaaaaaaa"}, "aaaaaaaa", B),
        ({}, {}, "alice", OWN),
        ({}, {B: "alice"}, "alice", B),
    ],
)
def test_who_is_meant(labels: dict[str, str], names: dict[str, str], wanted: str, expected: str) -> None:
    assert resolve(Answers(labels, names), wanted) == expected


@pytest.mark.parametrize(
    ("labels", "names", "wanted", "shown"),
    [
        ({}, {A: "bob", B: "bob"}, "bob", [A, B]),
        ({A: "bob", B: "bob"}, {}, "bob", [A, B]),
        ({}, {}, "abababab", [C, D]),
        ({}, {}, "aaaaaaa", []),
        ({}, {}, "nobody", [A]),
        ({}, {A: "evil\x1b[2J"}, "nobody", ['"evil\\x1b[2J"']),
    ],
)
def test_what_is_not_exactly_one_names_the_candidates(
    labels: dict[str, str], names: dict[str, str], wanted: str, shown: list[str]
) -> None:
    with pytest.raises(PimError) as caught:
        resolve(Answers(labels, names), wanted)
    assert caught.value.code == 1
    for candidate in shown:
        assert candidate in str(caught.value)
