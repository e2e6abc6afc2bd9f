"""Values are drawn from schemas, and held against them."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from pimd.contract import MessageIdHex, NodeIdHex, PeerSummary, X25519Hex
from pimd.testing.schemas import Draw, mismatch


class Leaf(BaseModel):
    kind: Literal["leaf"] = "leaf"
    size: int = Field(ge=3, le=9)
    share: float = Field(gt=0, lt=1)


class Branch(BaseModel):
    kind: Literal["branch"] = "branch"
    below: list["Branch | Leaf"] = Field(max_length=3)
    at: tuple[int, str] | None = None


class Everything(BaseModel):
    node: NodeIdHex
    message: MessageIdHex
    key: X25519Hex
    word: str = Field(pattern="^[a-z]{2,5}-[0-9]+$")
    short: str = Field(min_length=2, max_length=4)
    choice: Literal["a", "b", 3]
    tree: Annotated[Branch | Leaf, Field(discriminator="kind")]
    counts: dict[str, int]
    some: bool | None = None


@given(st.integers(0, 10_000))
def test_what_is_drawn_is_valid_and_fits(seed: int) -> None:
    schema = Everything.model_json_schema()
    value = Draw(seed, ["ab" * 16]).value(schema, schema["$defs"])
    Everything.model_validate(value)
    assert mismatch(value, schema, schema["$defs"]) is None


def test_what_is_nearly_so_is_valid_or_refused_and_both_occur() -> None:
    schema, accepted = Everything.model_json_schema(), set[str]()
    for seed in range(100):
        draw = Draw(seed)
        value = draw.nearly(draw.value(schema, schema["$defs"]))
        try:
            Everything.model_validate(value)
        except ValidationError:
            accepted.add("refused")
        else:
            accepted.add("valid")
    assert accepted == {"refused", "valid"}


@pytest.mark.parametrize(
    ("value", "schema", "words"),
    [
        (1, {"type": "string"}, "it is 1, no string"),
        (True, {"type": "integer"}, "it is True, no integer"),
        (None, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "no anyOf of the schema fits"),
        ({"a": 1}, {"type": "object", "required": ["b"]}, "it lacks b"),
        ({"a": 1}, {"type": "object", "additionalProperties": False}, "it has a, which is not declared"),
        ({"a": {"b": [1, "x"]}}, {"$ref": "#/$defs/A"}, "a.b[1] is 'x', no integer"),
        ("xyz", {"type": "string", "pattern": "^a"}, "does not match ^a"),
        ("xyz", {"type": "string", "maxLength": 2}, "has 3 characters"),
        (3, {"type": "integer", "maximum": 2}, "it is 3, not within -inf and 2"),
        ("c", {"enum": ["a", "b"]}, "none of ['a', 'b']"),
        ("c", {"const": "a"}, "not 'a'"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, schema: dict[str, Any], words: str) -> None:
    defs = {
        "A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}},
        "B": {"type": "object", "properties": {"b": {"type": "array", "items": {"type": "integer"}}}},
    }
    said = mismatch(value, schema, defs)
    assert said is not None
    assert words in said


def test_a_row_of_the_contract_fits_its_own_schema() -> None:
    schema = PeerSummary.model_json_schema(mode="serialization")
    value = Draw(1).value(schema, schema.get("$defs", {}))
    assert mismatch(value, schema, schema.get("$defs", {})) is None
