"""Writes docs/contract.md from the signatures and docstrings of the plugin contract; with --check only compares."""

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pimd
import pimd_features
from pimd.contract import EventStream, Feature, RpcError

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "contract.md"
PACKAGE = "pimd.contract"
FACTS = ("Called by", "Errors:")
"""How the paragraphs begin that say who calls a member, when and in which task, and what an error means."""
VALUES = ("Enum", "StrEnum", "Exception", "RpcError", "Result", "Params", "BaseModel", "DialError", "Limit")
"""Bases of classes that hold values and are not called."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Member:
    """A method, property or field of an exported class."""

    name: str
    signature: str
    text: str
    is_called: bool
    is_field: bool = False


@dataclass(frozen=True)
class Entry:
    """An exported name."""

    name: str
    module: str
    signature: str
    text: str
    around: str = ""
    """The docstring whose statements hold for it, too: its module's, for a function the package's."""
    members: Sequence[Member] = ()
    is_called: bool = False

    def lacks(self) -> list[str]:
        """Return what is said about a member neither by itself, nor by its class, nor around that."""
        shared = f"{self.around}\n\n{self.text}"
        texts = {f"{self.name}.{member.name}": member.text for member in self.members if member.is_called}
        if self.is_called:
            texts[self.name] = ""
        return [
            f"{name}: no paragraph of it, or of {self.name}, or of {self.module} begins with {fact!r}"
            for name, text in texts.items()
            for fact in FACTS
            if fact not in _facts(f"{shared}\n\n{text}")
        ]


def entries() -> list[Entry]:
    """Return everything that the contract exports, by module in reading order, then in the order of the source."""
    package = _tree(PACKAGE)
    exported = _exported(package)
    homes = {
        alias.asname or alias.name: node.module
        for node in package.body
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
    found = [_entry(name, *_definition(homes[name], name)) for name in exported]
    order = reading_order()
    return sorted(found, key=lambda one: (_rank(one.module, order), one.module, _line(one)))


def reading_order() -> list[str]:
    """Return the modules of the contract in the order that its docstring names."""
    text = ast.get_docstring(_tree(PACKAGE)) or ""
    _, _, listed = text.partition("Read in this order: ")
    return [part.strip(" `.\n") for part in listed.split(",")]


def document(found: Sequence[Entry]) -> str:
    """Return the whole document."""
    parts = [
        "# The plugin contract",
        "Written by `scripts/contract` from the docstrings and signatures of `pimd/contract`; change those.",
        _paragraphs(ast.get_docstring(_tree(PACKAGE)) or ""),
    ]
    module = ""
    for entry in found:
        if entry.module != module:
            module = entry.module
            parts += [f"## `{module}`", _paragraphs(ast.get_docstring(_tree(module)) or "")]
        parts += _shown(entry)
    parts += ["## Error codes", OTHER_CODES, _table(("code", "class", "when"), error_rows())]
    parts += ["## Event streams of the features in this tree", _table(STREAM_HEAD, stream_rows())]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- tables

OTHER_CODES = (
    "Besides, -32700 answers what is no JSON-RPC message, and -32603 whatever else a method raised: `data.reference` finds it "
    "in the log."
)
STREAM_HEAD = ("stream", "feature", "events", "a new subscription first gets")


def error_rows() -> list[tuple[str, ...]]:
    """Return code, class and meaning of every error that a method of this tree can answer."""
    _import_all(pimd)
    _import_all(pimd_features)
    classes = [one for one in _below(RpcError) if one.__module__.split(".")[0] in {"pimd", "pimd_features"}]
    classes.sort(key=lambda one: (-one.code, one.__name__))
    return [(str(one.code), f"`{one.__name__}`", _cell(one.__doc__ or "")) for one in classes]


def stream_rows() -> list[tuple[str, ...]]:
    """Return name, feature, models and history of every stream."""
    rows = [
        (f"`{stream.name}`", feature.name, ", ".join(f"`{name}`" for name in _models(stream)), _history(stream))
        for feature in features()
        for stream in feature.events
    ]
    return sorted(rows)


def features() -> list[Feature]:
    """Return the declarations of this tree."""
    _import_all(pimd_features)
    found = [getattr(sys.modules[f"pimd_features.{one.name}"], "FEATURE", None) for one in _packages(pimd_features)]
    return [feature for feature in found if isinstance(feature, Feature)]


def _models(stream: EventStream) -> list[str]:
    payload: Any = stream.payload
    while get_args(payload) and not isinstance(payload, type):
        members = get_args(payload)
        payload = members[0] if not all(isinstance(one, type) for one in members) else members
        if isinstance(payload, tuple):
            return sorted(one.__name__ for one in payload)
    return [getattr(payload, "__name__", str(payload))]


def _history(stream: EventStream) -> str:
    return f"the last {stream.history}" if stream.history else "nothing"


def _below(base: type[RpcError]) -> Iterator[type[RpcError]]:
    for one in base.__subclasses__():
        yield one
        yield from _below(one)


def _packages(package: Any) -> list[Any]:
    return list(pkgutil.iter_modules(package.__path__))


def _import_all(package: Any) -> None:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- one entry


def _shown(entry: Entry) -> list[str]:
    parts = [f"### `{entry.name}`"]
    if entry.signature:
        parts.append(f"    {entry.signature}")
    parts.append(_paragraphs(entry.text))
    fields = [member for member in entry.members if member.is_field]
    parts.append("\n".join(f"* `{field.signature}`{_said(field.text)}" for field in fields))
    for member in entry.members:
        if not member.is_field:
            parts += [f"#### `{entry.name}.{member.name}`", f"    {member.signature}", _paragraphs(member.text)]
    return parts


def _said(text: str) -> str:
    return f": {' '.join(text.split())}" if text else ""


def _entry(name: str, module: str, node: ast.stmt, text: str) -> Entry:
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base) for base in node.bases]
        decorators = {ast.unparse(one).split("(")[0] for one in node.decorator_list}
        is_value = "dataclass" in decorators or any(base.split("[")[0] in VALUES for base in bases)
        members = [*_members(node, is_value=is_value)]
        signature = f"class {name}({', '.join(bases)})" if bases else f"class {name}"
        around = ast.get_docstring(_tree(module)) or ""
        return Entry(name, module, signature, ast.get_docstring(node) or "", around, members)
    if isinstance(node, Function):
        around = ast.get_docstring(_tree(PACKAGE)) or ""
        return Entry(name, module, _signature(node), ast.get_docstring(node) or "", around, is_called=True)
    source = ast.unparse(node)
    return Entry(name, module, source, text, is_called="Callable[" in source)


def _members(node: ast.ClassDef, *, is_value: bool) -> Iterator[Member]:
    for one, text in _with_texts(node.body):
        if isinstance(one, Function) and (not one.name.startswith("_") or one.name in {"__call__", "__getitem__"}):
            yield Member(one.name, _signature(one), ast.get_docstring(one) or "", is_called=not is_value)
        elif isinstance(one, ast.AnnAssign | ast.Assign):
            name = ast.unparse(one.target if isinstance(one, ast.AnnAssign) else one.targets[0])
            if not name.startswith("_") and name != "model_config":
                source = ast.unparse(one)
                yield Member(name, source, text, is_called="Callable[" in source, is_field=True)


def _signature(node: Function) -> str:
    before = "".join(f"@{ast.unparse(one)} " for one in node.decorator_list if ast.unparse(one) != "overload")
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{before}{word} {node.name}({ast.unparse(node.args)}){result}"


def _facts(text: str) -> dict[str, str]:
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return {fact: part for fact in FACTS for part in paragraphs if part.startswith(fact)}


def _paragraphs(text: str) -> str:
    """Return a docstring as Markdown, its statements about callers and errors as a list."""
    shown = []
    for part in text.split("\n\n"):
        flat = " ".join(part.split())
        shown.append(f"* {flat}" if flat.startswith(FACTS) else flat)
    return "\n\n".join(shown).replace("\n\n* Errors:", "\n* Errors:")


# --- sources


@cache
def _tree(module: str) -> ast.Module:
    path = ROOT / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text())


def _exported(package: ast.Module) -> list[str]:
    for node in package.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise SystemExit(f"{PACKAGE} has no __all__")


def _definition(module: str, name: str) -> tuple[str, ast.stmt, str]:
    """Return module, statement and text of a name, followed through modules that only pass it on."""
    for node, text in _with_texts(_tree(module).body):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if any((alias.asname or alias.name) == name for alias in node.names):
                return _definition(node.module, name) if node.module.startswith("pimd.") else (module, node, text)
        elif _defines(node, name):
            return module, node, text
    raise SystemExit(f"{name} is not defined in {module}")


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.ClassDef | Function):
        return node.name == name
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.target) == name
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name


def _with_texts(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Yield statements with the string that stands below them."""
    for node, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        text = ""
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            text = below.value.value
        yield node, text


def _rank(module: str, order: Sequence[str]) -> int:
    name = module.removeprefix(f"{PACKAGE}.")
    if not module.startswith(PACKAGE):
        return len(order) + 1
    return order.index(name) if name in order else len(order)


def _line(entry: Entry) -> int:
    return _definition(entry.module, entry.name)[1].lineno


def main() -> int:
    """Return 1 when the committed document is out of date, or a member says nothing of its callers or errors."""
    found = entries()
    lacking = [line for entry in found for line in entry.lacks()]
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        return 1
    text = document(found)
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
    elif not TARGET.is_file() or TARGET.read_text() != text:
        print("docs/contract.md is out of date; run scripts/contract and commit it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
