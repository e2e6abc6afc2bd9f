"""Fails when an installed package has a known vulnerability: asks pip-audit, else compares with scripts/audit.toml."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

LIST = Path(__file__).with_suffix(".toml")
PIP_AUDIT = Path(sys.prefix) / "audit" / "bin" / "pip-audit"
DISTRIBUTION = "pim-daemon"
PATIENCE_S = 120.0


def canonical(name: str) -> str:
    """One spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(root: str = DISTRIBUTION) -> dict[str, str]:
    """Versions of all that `root` requires without its extras, directly or not."""
    found: dict[str, str] = {}
    waiting = list(metadata.requires(root) or ())
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonical(requirement.name)
        if name in found or (requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = metadata.version(name)
        waiting += metadata.requires(name) or ()
    return found


def audited(versions: Mapping[str, str]) -> dict[str, list[str]]:
    """Ids of vulnerabilities by package; packages that pip-audit has no data of are left out."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in versions.items())
        file.flush()
        command = [str(PIP_AUDIT), "--requirement", file.name, "--no-deps", "--disable-pip"]
        try:
            done = subprocess.run(
                [*command, "--format", "json", "--progress-spinner", "off"],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_S,
            )
            return read(json.loads(done.stdout))
        except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
            return {}


def read(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """Read pip-audit's JSON; a package without data has a `skip_reason`, and the exit code is 0 all the same."""
    return {
        canonical(one["name"]): [vulnerability["id"] for vulnerability in one["vulns"]]
        for one in report["dependencies"]
        if "vulns" in one
    }


def complaints(
    versions: Mapping[str, str], known: Mapping[str, list[str]], minima: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """One line for each package that is vulnerable, or older than the list wants where nothing else is known of it."""
    lines = [
        f"{name} {versions[name]} has known vulnerabilities: {', '.join(ids)}" for name, ids in known.items() if ids
    ]
    for name, entry in minima.items():
        if name in versions and name not in known and Version(versions[name]) < Version(entry["minimum"]):
            lines.append(f"{name} {versions[name]} is older than {entry['minimum']}: {entry['reason']}")
    return lines


def main() -> int:
    """Print what is wrong, and what was looked at; 1 when something is."""
    versions = installed()
    known = audited(versions)
    minima = tomllib.loads(LIST.read_text())
    wrong = complaints(versions, known, minima)
    for line in wrong:
        print(line, file=sys.stderr)
    by_list = sorted(name for name in minima if name in versions and name not in known)
    print(
        f"{len(known)} of {len(versions)} packages were looked up by pip-audit, {len(by_list)} compared with {LIST.name}"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
