"""Builds a wheel of every subset of the features that `requires` allows, runs it, and compares it with what it says it is.

Compared are the files, the imports (docs/import_graph.txt), the methods (docs/openrpc.json) and the rows of `features.list`.
With --sample only as many subsets as show each pair of features on and off in all four ways.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pimd.cli.connection import UnixConnection, call
from scripts.import_graph import PROJECT, TARGET, graph, read

Subset = frozenset[str]
BUILD = "import sys; sys.path.insert(0, 'build_tools'); import pimd_backend; pimd_backend.build_wheel(sys.argv[1])"
STAMP = "pimd/_build_features.json"
OFF = "discovery"
"""It announces itself to the network of this machine, where other daemons may run; here it is imported only."""


def table() -> Mapping[str, Any]:
    """Return the features that the source tree knows, by name."""
    features: Mapping[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["pimd"]["features"]
    return features


def subsets(features: Mapping[str, Any]) -> list[Subset]:
    """Return every subset in which each feature has those that it requires, the small ones first."""
    every = (frozenset(one) for size in range(len(features) + 1) for one in itertools.combinations(features, size))
    return [one for one in every if all(one.issuperset(features[name].get("requires", ())) for name in one)]


def sample(allowed: Sequence[Subset], names: Sequence[str]) -> list[Subset]:
    """Choose some that show each pair of features on and off in all the ways that any of them does."""

    def shown(one: Subset) -> set[tuple[str, bool, str, bool]]:
        return {(a, a in one, b, b in one) for a, b in itertools.combinations(names, 2)}

    missing = set().union(*map(shown, allowed))
    chosen: list[Subset] = []
    while missing:
        best = max(allowed, key=lambda one: len(missing & shown(one)))
        chosen.append(best)
        missing -= shown(best)
    return chosen


def faults(chosen: Subset) -> list[str]:
    """Build and run one; return what is not as it should be."""
    with tempfile.TemporaryDirectory(prefix="pimd-subset-") as temporary:
        home = Path(temporary)
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("PIM_", "PIMD_"))}
        build = environ | {"PIMD_FEATURES": ",".join(sorted(chosen)) or "none"}
        command = [sys.executable, "-c", BUILD, str(home)]
        done = subprocess.run(command, cwd=PROJECT, env=build, capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"it is not built: {done.stderr.strip().splitlines()[-1]}"]
        site = home / "site"
        with zipfile.ZipFile(next(home.glob("*.whl"))) as wheel:
            wheel.extractall(site)
        environ |= {"PYTHONPATH": str(site), "HOME": temporary}
        return [*_wrong_files(site, chosen), *_wrong_imports(site), *_wrong_answers(home, chosen, environ)]


def _files(root: Path, *below: str) -> set[str]:
    found = (path for part in below for path in (root / part).rglob("*"))
    return {str(path.relative_to(root)) for path in found if path.is_file() and "__pycache__" not in path.parts}


def _wrong_files(site: Path, chosen: Subset) -> Iterator[str]:
    features = PROJECT / "features"
    wanted = {STAMP, *_files(PROJECT, "pimd"), *_files(features, *(f"pimd_features/{name}" for name in chosen))}
    wanted |= {f"pimd_features/{path.name}" for path in (features / "pimd_features").glob("*.*")}
    for name in sorted(wanted ^ _files(site, "pimd", "pimd_features")):
        yield f"the file {name} is {'missing' if name in wanted else 'there'}"


def _wrong_imports(site: Path) -> Iterator[str]:
    written, found = read(TARGET.read_text()), graph(site, ["pimd", "pimd_features"])
    for room, others in found.items():
        if others != written.get(room):
            yield f"{room} imports {others}, and docs/import_graph.txt says {written.get(room)}"


def _wrong_answers(home: Path, chosen: Subset, environ: Mapping[str, str]) -> Iterator[str]:
    environ = {
        **environ,
        "PIM_RPC_SOCKET": f"{home}/pim.sock",
        "PIMD_TRANSPORT__LISTEN_HOST": "127.0.0.1",
        "PIMD_TRANSPORT__LISTEN_PORT": "0",
        "PIMD_RPC__HTTP_ENABLED": "false",
        "PIMD_DISCOVERY__ENABLED": "false",
    }
    imported = "; ".join(f"import pimd_features.{name}" for name in sorted(chosen)) or "pass"
    if subprocess.run([sys.executable, "-c", imported], env=environ, cwd=home, check=False).returncode:
        yield "a feature of it cannot be imported"
    command = [sys.executable, "-m", "pimd", "--data-dir", f"{home}/data"]
    log = home / "log"
    with (
        log.open("w") as said,
        subprocess.Popen(command, env=environ, cwd=home, stdout=subprocess.PIPE, stderr=said, text=True) as daemon,
    ):
        if daemon.stdout is None or not daemon.stdout.readline():
            yield f"it does not start: {log.read_text()[-300:]}"
            return
        connection = UnixConnection(home / "pim.sock")
        try:
            methods = {method["name"] for method in call(connection, "rpc.discover")["methods"]}
            rows = {row["name"]: row["state"] for row in call(connection, "features.list")}
        finally:
            connection.close()
            daemon.terminate()
    if daemon.wait():
        yield f"it ended with {daemon.returncode}"
    running = chosen - {OFF}
    described = json.loads((PROJECT / "docs" / "openrpc.json").read_text())["methods"]
    wanted = {method["name"] for method in described if method["x-feature"] in {*running, "core"}}
    if methods != wanted:
        yield f"its methods differ from docs/openrpc.json in {sorted(methods ^ wanted)}"
    states = {name: "running" if name in running else "disabled" if name in chosen else "not_built" for name in table()}
    if rows != states:
        yield f"features.list says {rows}"


def main() -> int:
    """Print one line for each subset; 1 when one is wrong."""
    parser = argparse.ArgumentParser(prog="scripts/subsets", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="only a few that show every pair of features")
    features = table()
    every = subsets(features)
    chosen = sample(every, list(features)) if parser.parse_args().sample else every
    wrong = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as workers:
        for one, found in zip(chosen, workers.map(faults, chosen), strict=True):
            wrong += bool(found)
            print(f"{', '.join(name for name in features if name in one) or 'none'}: {'; '.join(found) or 'good'}")
    print(f"{len(chosen) - wrong} of {len(chosen)} subsets are what they say; {len(every)} are allowed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
