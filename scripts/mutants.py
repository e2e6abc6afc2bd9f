"""Changes the code in one place after another and asks the quick tests whether they notice.

Which tests run a line is measured once; of a change only those are asked, and then the whole daemons and what else belongs to
its folder. Exits 1 when too few changes were noticed.
"""

import argparse
import difflib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue

from coverage import CoverageData

from scripts.mutations import Place, mutated, places

PROJECT = Path(__file__).parents[1]
CODE = (Path("pimd"), Path("features"))
GATE = "not slow and not system"
"""The quick tests, as in scripts/check."""
ENOUGH = 0.9
WORKERS = 2
BUDGET_S = 30.0
"""Of tests elsewhere that run the line, and of whole daemons; the quickest are asked."""
TEST_TIMEOUT_S = 30
STARTING_S = 60.0
WHOLE_DAEMONS = "tests/system/"
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", ".coverage*", "__pycache__")
PASSED = (0, 5)
"""Exit codes of pytest: all passed, or there was nothing to run."""


@dataclass(frozen=True)
class Mutant:
    """One change."""

    place: Place
    before: str
    after: str

    def __str__(self) -> str:
        name = str(self.place.path)
        before, after = self.before.splitlines(), self.after.splitlines()
        return "\n".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""))


@dataclass
class QuickTests:
    """How long each takes, and which of them run a line."""

    seconds: dict[str, float] = field(default_factory=dict)
    running: dict[Path, dict[int, set[str]]] = field(default_factory=dict)

    def of(self, mutant: Mutant) -> Iterator[list[str]]:
        """Yield whom to ask: those of its own folder that run what was changed, others that do, whole daemons.

        The quickest first. What runs only when the module is imported is left to those that run anything else in it.
        """
        lines = self.running.get(mutant.place.path, {})
        found: set[str] = set().union(*(lines.get(number, ()) for number in mutant.place.lines))
        found = found or set().union(*lines.values())
        folders = own_tests(mutant.place.path)
        own = {test for test in found if test.startswith(folders)}
        others = self._affordable(self._quickest(found - own))
        yield self._quickest(own)
        yield others
        whole = {test for test in self.seconds if test.startswith((*folders, WHOLE_DAEMONS))}
        yield self._affordable(self._quickest(whole.difference(own, others)))

    def _quickest(self, tests: Iterable[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self.seconds.get(test, 0.0), test))

    def time(self, tests: Iterable[str]) -> float:
        """How long these take."""
        return sum(self.seconds.get(test, 0.0) for test in tests)

    def _affordable(self, tests: Sequence[str]) -> list[str]:
        spent = accumulate(self.seconds.get(test, 0.0) for test in tests)
        return [test for test, sum_ in zip(tests, spent, strict=True) if sum_ <= BUDGET_S]


def own_tests(path: Path) -> tuple[str, ...]:
    """Return how the names of the tests of a module begin: those of pimd/mesh/node.py are in tests/mesh."""
    package, room = path.parts[0], path.parts[1 if path.parts[0] == "pimd" else 2].removesuffix(".py")
    if package == "features":
        return (f"tests/features/{room}/", f"tests/features/test_{room}.py")
    return (f"tests/{room}/",) if (PROJECT / "tests" / room).is_dir() else (WHOLE_DAEMONS,)


def pytest(tree: Path, *arguments: str, timeout_s: float | None = None, **environ: str) -> tuple[int | None, str]:
    """Run it in a copy; the exit code is None when it took too long."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *arguments]
    with subprocess.Popen(
        command,
        cwd=tree,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the daemons of tests that did not end
    return process.returncode, said


def measure(tree: Path) -> QuickTests:
    """Run all quick tests once."""
    options = ["--cov=pimd", "--cov=features", "--cov-context=test", "--cov-report=", "--durations=0"]
    code, said = pytest(tree, "-n", str(WORKERS), "-m", GATE, *options)
    if code != 0:
        raise SystemExit(f"the quick tests fail without any change:\n{said.partition('slowest durations')[0]}")
    tests = QuickTests()
    for seconds, name in re.findall(r"^ *([\d.]+)s (?:setup|call|teardown) +(.+)$", said, re.MULTILINE):
        tests.seconds[_plain(name)] = tests.seconds.get(_plain(name), 0.0) + float(seconds)
    data = CoverageData(str(tree / ".coverage"))
    data.read()
    for file in data.measured_files():
        tests.running[Path(file).relative_to(tree)] = {
            line: {_plain(context.rpartition("|")[0]) for context in contexts if context}
            for line, contexts in data.contexts_by_lineno(file).items()
        }
    return tests


def _plain(name: str) -> str:
    """Return the name of a test without the group that xdist appends."""
    return re.sub(r"@tests\.[\w.]+$", "", name)


def draw(seed: int, count: int, only: Sequence[Path]) -> list[Mutant]:
    """Choose changes, each in another place."""
    paths = [path for root in only for path in ([root] if root.suffix else sorted(root.rglob("*.py")))]
    sources = {path: (PROJECT / path).read_text() for path in paths}
    found = [place for path, source in sources.items() for place in places(path, source)]
    chance = random.Random(seed)  # noqa: S311 - it has to repeat
    chance.shuffle(found)
    drawn: list[Mutant] = []
    for place in found:
        before = sources[place.path]
        if len(drawn) < count and (after := mutated(before, chance.choice(place.ways))) is not None:
            drawn.append(Mutant(place, before, after))
    return drawn


def is_caught(mutant: Mutant, tests: QuickTests, tree: Path) -> bool:
    """Tell whether a test fails, or does not end, that passes without the change; the copy is as before afterwards.

    A busy machine may fail a test by itself.
    """
    for chosen in tests.of(mutant):
        with changed(tree / mutant.place.path, mutant):
            failed = failing(tree, chosen, tests.time(chosen))
        if failed and not failing(tree, failed, tests.time(failed)):
            return True
    return False


@contextmanager
def changed(file: Path, mutant: Mutant) -> Iterator[None]:
    """Write the change, and take it back in the end."""
    was = file.stat()
    file.write_text(mutant.after)
    try:
        yield
    finally:
        file.write_text(mutant.before)
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))  # for this time it is compiled already


def failing(tree: Path, chosen: Sequence[str], seconds: float) -> list[str]:
    """Return the first of the tests that fails; all of them when they do not end, none when they pass."""
    if not chosen:
        return []
    names = tree / "chosen-tests.txt"
    names.write_text("\n".join(chosen))
    # The method says that a test which hangs ends the process, whatever its fixtures would still wait for.
    options = ("-x", f"--timeout={TEST_TIMEOUT_S}", "--timeout-method=thread", f"@{names}")
    code, said = pytest(tree, *options, timeout_s=STARTING_S + 4 * seconds, PYTHONDONTWRITEBYTECODE="1")
    if code in PASSED:
        return []
    named = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", said, re.MULTILINE)
    return [test for test in chosen if test in named] or list(chosen)


def try_all(mutants: Sequence[Mutant], tests: QuickTests, trees: Sequence[Path]) -> Iterator[tuple[Mutant, bool]]:
    """Yield each with whether it was caught."""
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def tried(mutant: Mutant) -> tuple[Mutant, bool]:
        tree = free.get()
        try:
            return mutant, is_caught(mutant, tests, tree)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        yield from pool.map(tried, mutants)


def main() -> int:
    """Print survivors as they are found, then the share that was caught."""
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="another seed draws other changes (default: %(default)s)")
    parser.add_argument("--count", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument(
        "only", type=Path, nargs="*", default=CODE, help="files or folders (default: pimd and features)"
    )
    arguments = parser.parse_args()
    mutants = draw(arguments.seed, arguments.count, arguments.only)
    caught = 0
    with tempfile.TemporaryDirectory(prefix="pimd-mutants-") as home:
        trees = [Path(home, str(number)) for number in range(WORKERS)]
        shutil.copytree(PROJECT, trees[0], ignore=NOT_COPIED)
        tests = measure(trees[0])
        for tree in trees[1:]:
            shutil.copytree(trees[0], tree)
        for number, (mutant, noticed) in enumerate(try_all(mutants, tests, trees), 1):
            caught += noticed
            if not noticed:
                print(f"--- survived: {mutant.place.family}\n{mutant}\n", flush=True)
            print(f"{caught} of {number} caught", file=sys.stderr, flush=True)
    share = caught / max(1, len(mutants))
    print(f"seed {arguments.seed}: {caught} of {len(mutants)} changes were caught, {share:.1%}")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
