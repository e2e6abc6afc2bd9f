"""Checks who imports what against the allow-lists of `[tool.pimd.imports]` in pyproject.toml; run by scripts/check.

import-linter knows no allow-lists, and sees of other packages the first part of the name only. This reads the imports out of the
source: those inside functions and for type checkers, and `importlib.import_module`, count like all others.
"""

import ast
import importlib.machinery
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Self

COMPUTED = "<computed>"
"""Stands for what `import_module` is called with when that is no literal."""
_LOADERS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True)
class Import:
    """One module that another one imports, and where."""

    importer: str
    imported: str
    path: Path
    line: int


@dataclass(frozen=True)
class AllowList:
    """What a package may import besides itself; what several lists allow the same package adds up."""

    name: str
    modules: tuple[str, ...]
    """Names of packages, each with everything below it; `*` stands for one part of a name, and makes each match a package."""
    allow: tuple[str, ...]
    """Names of modules; `x.*` is `x` and everything below it."""
    stdlib: bool

    def package_of(self, module: str) -> str | None:
        """Return the package this list is for that `module` belongs to, or None.

        It is the empty string for what stands above such packages: the list is for that, too, but none of them is its own.
        """
        parts = module.split(".")
        for pattern in self.modules:
            wanted = pattern.split(".")
            if all(map(fnmatchcase, parts, wanted)):
                return ".".join(parts[: len(wanted)]) if len(parts) >= len(wanted) else ""
        return None

    def allows(self, imported: str) -> bool:
        """Tell whether the list names the module, itself, above it with `.*`, or as part of the standard library."""
        if self.stdlib and imported.partition(".")[0] in sys.stdlib_module_names:
            return True
        return any(_is_meant(imported, entry) for entry in self.allow)


@dataclass(frozen=True)
class Reserved:
    """Modules that only some packages may import."""

    name: str
    modules: tuple[str, ...]
    importers: tuple[str, ...]

    def forbids(self, found: Import) -> bool:
        """Tell whether the import is one of another package."""
        if not any(_is_meant(found.imported, entry) for entry in self.modules):
            return False
        return not any(_is_below(found.importer, package) for package in self.importers)


@dataclass(frozen=True)
class Rules:
    """The table in pyproject.toml."""

    sources: tuple[str, ...]
    """Patterns of packages and modules to read, relative to the root."""
    allow_lists: tuple[AllowList, ...]
    reserved: tuple[Reserved, ...]

    @classmethod
    def load(cls, pyproject: Path) -> Self:
        """Read the table; KeyError or TypeError when it has another form."""
        table = tomllib.loads(pyproject.read_text())["tool"]["pimd"]["imports"]
        return cls(
            tuple(table["sources"]),
            tuple(AllowList(**{"allow": (), "stdlib": False, **_frozen(row)}) for row in table["allow-list"]),
            tuple(Reserved(**_frozen(row)) for row in table["reserved"]),
        )

    def violations(self, root: Path) -> list[str]:
        """Return one line for each import that breaks a rule, with the name of the rule."""
        every = list(imports(root, self.sources))
        return [
            f"{one.path.relative_to(root)}:{one.line}: {one.importer} imports {one.imported}: {name}"
            for one in every
            for name in self._broken_by(one)
        ]

    def unused(self, root: Path) -> list[str]:
        """Return one line for each entry of an allow-list that nobody needs any more."""
        every = list(imports(root, self.sources))
        return [
            f"pyproject.toml: {rule.name}: {entry} is allowed, and nobody imports it"
            for rule in self.allow_lists
            for entry in rule.allow
            if not any(rule.package_of(one.importer) is not None and _is_meant(one.imported, entry) for one in every)
        ]

    def _broken_by(self, found: Import) -> Iterator[str]:
        lists = [rule for rule in self.allow_lists if rule.package_of(found.importer) is not None]
        own = any(_is_below(found.imported, rule.package_of(found.importer) or "-") for rule in lists)
        if lists and not own and not any(rule.allows(found.imported) for rule in lists):
            yield lists[0].name
        yield from (rule.name for rule in self.reserved if rule.forbids(found))


def _frozen(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _is_meant(module: str, entry: str) -> bool:
    return _is_below(module, entry.removesuffix(".*")) if entry.endswith(".*") else module == entry


def imports(root: Path, sources: Iterable[str]) -> Iterator[Import]:
    """Yield every import of the packages and modules at `sources`, patterns below `root`."""
    files = {}
    for found in (path for pattern in sources for path in sorted(root.glob(pattern))):
        for file in sorted(found.rglob("*.py")) if found.is_dir() else [found]:
            files[_module_name(file.relative_to(found.parent))] = file
    for importer, file in files.items():
        package = importer if file.name == "__init__.py" else importer.rpartition(".")[0]
        for name, member, line in _named(ast.parse(file.read_bytes(), str(file)), package):
            below = f"{name}.{member}"
            is_module = member is not None and (below in files or _exists(below, files))
            yield Import(importer, below if is_module else name, file, line)


def _module_name(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _named(tree: ast.Module, package: str) -> Iterator[tuple[str, str | None, int]]:
    """Yield what is imported: a module, the name that is taken from it if one is, and the line."""
    loaders = set(_LOADERS)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield from ((base, alias.name, node.lineno) for alias in node.names)
            loaders |= {alias.asname for alias in node.names if alias.asname and alias.name in _LOADERS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in loaders:
            yield _literal(node), None, node.lineno


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _literal(call: ast.Call) -> str:
    """Return the name that a module is loaded by."""
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
    match given:
        case [ast.Constant(value=str(name))] if not name.startswith("."):
            return name
    return COMPUTED


def _exists(module: str, files: Mapping[str, Path]) -> bool:
    """Tell whether a name taken from a package that is not in the tree is a module of it."""
    return module.partition(".")[0] not in files and _spec(module) is not None


@cache
def _spec(module: str) -> importlib.machinery.ModuleSpec | None:
    """Find a module without running any of the packages it is in."""
    package, _, _ = module.rpartition(".")
    if not package:
        return importlib.util.find_spec(module)
    above = _spec(package)
    if above is None or above.submodule_search_locations is None:
        return None
    return importlib.machinery.PathFinder.find_spec(module, above.submodule_search_locations)


def main() -> int:
    """Print what is wrong in this tree; 1 when anything is."""
    root = Path(__file__).resolve().parent.parent
    rules = Rules.load(root / "pyproject.toml")
    wrong = [*rules.violations(root), *rules.unused(root)]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
