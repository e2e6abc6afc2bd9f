"""The changes that scripts/mutants makes: a choice of cosmic-ray's operators, and statements left out or swapped.

Left alone is what tests cannot or should not hold, or what no program survives: annotations and decorators, what is logged,
the numbers of named constants and of defaults, which tests take from the code they test, and the members that `__init__` sets.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

Position = tuple[int, int]

COMPARISONS = (
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
)
"""The boundary and the opposite of each; of the others most do the same or hide behind these."""
BINARIES = (
    *("Add_Sub", "Sub_Add", "Mul_FloorDiv", "FloorDiv_Mul", "Div_Mul", "Mod_Mul", "Pow_Mul"),
    *("BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitOr", "LShift_RShift", "RShift_LShift"),
)
UNARIES = ("Delete_Not", "Delete_USub", "Delete_Invert")
OTHERS = (
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer", "NumberReplacer"),
    "ZeroIterationForLoop",
)
"""Without RemoveDecorator: nearly every module could not be imported any more."""
ARITHMETIC = ("arith_expr", "term", "expr", "and_expr", "xor_expr", "shift_expr", "power")
LOGS = re.compile(r"\s*(\w+\.)*_?log\.\w+\(")


class Operator(Protocol):
    """What cosmic-ray asks of an operator."""

    def mutation_positions(self, node: Any) -> Iterable[tuple[Position, Position]]:
        """Yield where it can change this node, once for each way."""

    def mutate(self, node: Any, index: int) -> Any:
        """Change it in one of these ways."""


class LeaveOut:
    """`pass` instead of a statement that calls, raises, returns nothing, deletes, or assigns to a part of something."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Position, Position]]:
        """Yield such a statement."""
        if node.type == "simple_stmt" and _can_be_left_out(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - there is one way
        """Put `pass` there."""
        left_out = node.children[0]
        node.children[0] = parso.python.tree.Keyword("pass", left_out.start_pos, left_out.get_first_leaf().prefix)
        return node


class Swap:
    """The other way round two neighbouring statements that both wait: what is stored, sent and told in which order."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Position, Position]]:
        """Yield such neighbours in a block."""
        for one, other in _waiting_pairs(node):
            yield one.start_pos, other.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Swap them."""
        one, other = _waiting_pairs(node)[index]
        at = node.children.index(one)
        node.children[at : at + 2] = [other, one]
        return node


@dataclass(frozen=True, order=True)
class Place:
    """Something that can be changed, in one way or in several."""

    path: Path
    start: Position
    end: Position
    family: str
    ways: tuple[tuple[str, int], ...]
    """Operators, each with the number of the occurrence that they are to change."""

    @property
    def lines(self) -> range:
        """That have to be run for a test to notice."""
        return range(self.start[0], self.end[0] + 1)


def places(path: Path, source: str) -> list[Place]:
    """Return all that can be changed in a module."""
    nodes = list(ast_nodes(get_ast(source)))
    found: dict[tuple[Position, Position, str], list[tuple[str, int]]] = {}
    for name, operator in operators().items():
        occurrence = -1
        for node in nodes:
            for start, end in operator.mutation_positions(node):
                occurrence += 1
                if not _is_left_alone(node):
                    found.setdefault((start, end, name.partition("_")[0]), []).append((name, occurrence))
    return sorted(Place(path, start, end, family, tuple(ways)) for (start, end, family), ways in found.items())


def mutated(source: str, way: tuple[str, int]) -> str | None:
    """Return the changed code; None when it would not even compile, or the operator cannot make it."""
    name, occurrence = way
    try:
        text = mutate_code(source, operators()[name], occurrence)
    except AttributeError:  # ExceptionReplacer expects a name, and finds `sqlite3.Error`
        return None
    if text is None or text == source:
        return None
    try:
        compile(text, name, "exec")
    except SyntaxError:
        return None
    return str(text)


@cache
def operators() -> dict[str, Operator]:
    """All of them, by name."""
    names = [f"ReplaceComparisonOperator_{pair}" for pair in COMPARISONS]
    names += [f"ReplaceBinaryOperator_{pair}" for pair in BINARIES]
    names += [f"ReplaceUnaryOperator_{what}" for what in UNARIES]
    ours: dict[str, Operator] = {"LeaveOut": LeaveOut(), "Swap": Swap()}
    return ours | {name: get_operator(f"core/{name}")() for name in (*names, *OTHERS)}


def _can_be_left_out(statement: Any) -> bool:
    if statement.type in ("raise_stmt", "del_stmt"):
        return True
    if statement.type == "keyword":
        return str(statement.value) in ("return", "raise")
    if statement.type == "expr_stmt":
        return statement.children[0].type in ("atom_expr", "power")
    return statement.type in ("atom_expr", "power") and statement.get_last_leaf().value == ")"


def _waiting_pairs(node: Any) -> list[tuple[Any, Any]]:
    if node.type not in ("suite", "file_input"):
        return []
    pairs = pairwise(node.children)
    return [(one, other) for one, other in pairs if _waits(one) and _waits(other)]


def _waits(statement: Any) -> bool:
    return statement.type in ("simple_stmt", "if_stmt") and any(
        leaf.type == "keyword" and leaf.value == "await" for leaf in ast_nodes(statement)
    )


def _is_left_alone(node: Any) -> bool:
    if node.type == "operator" and node.parent.type not in ARITHMETIC:
        return True  # a star of parameters, say
    if node.type == "simple_stmt" and LOGS.match(node.get_code()) is not None:
        return True
    return any(_is_left_alone_in(node, child, parent) for child, parent in _ancestry(node))


def _is_left_alone_in(node: Any, child: Any, parent: Any) -> bool:
    match parent.type:
        case "annassign" | "tfpdef":
            return child is parent.children[1 if parent.type == "annassign" else 2]
        case "funcdef":
            fills_in = parent.name.value == "__init__" and node.type == "simple_stmt"
            return child is parent.annotation or bool(fills_in and node.children[0].type == "expr_stmt")
        case "decorator":
            return True
        case "simple_stmt":
            return LOGS.match(parent.get_code()) is not None
        case "if_stmt":
            return "__name__" in parent.children[1].get_code()
        case _:
            return node.type in ("number", "operator") and _is_constant(parent)


def _ancestry(node: Any) -> Iterator[tuple[Any, Any]]:
    while node.parent is not None:
        yield node, node.parent
        node = node.parent


def _is_constant(parent: Any) -> bool:
    """Tell whether it is a default, or the value of a name of a module or class."""
    if parent.type != "expr_stmt":
        return bool(parent.type == "param")
    around = parent.parent.parent
    return bool(around.type == "file_input" or around.parent.type == "classdef")
