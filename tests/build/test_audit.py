"""scripts/audit: what is below the committed list, or vulnerable by pip-audit, fails."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scripts import audit
from tests.system.daemon import PROJECT

MINIMA = tomllib.loads((PROJECT / "scripts" / "audit.toml").read_text())


def distribution(site: Path, name: str, version: str, *requires: str) -> None:
    """An installed package, as far as its metadata tell."""
    directory = site / f"{name}-{version}.dist-info"
    directory.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (directory / "METADATA").write_text("\n".join(lines) + "\n")


def test_an_installed_package_below_the_list_fails_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    distribution(tmp_path, "pim_daemon", "1", "web>=1", 'tool; extra == "dev"')
    distribution(tmp_path, "web", "1", "PyNaCl", "aiohttp")
    distribution(tmp_path, "tool", "1")
    distribution(tmp_path, "pynacl", "1.6.1")
    distribution(tmp_path, "aiohttp", MINIMA["aiohttp"]["minimum"])
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setattr(audit, "PIP_AUDIT", tmp_path / "none")
    assert audit.installed() == {"web": "1", "pynacl": "1.6.1", "aiohttp": MINIMA["aiohttp"]["minimum"]}
    assert audit.main() == 1
    out, err = capsys.readouterr()
    assert err.startswith("pynacl 1.6.1 is older than 1.6.2: CVE-2025-69277")
    assert err.count("\n") == 1
    assert out == "0 of 3 packages were looked up by pip-audit, 2 compared with audit.toml\n"


def test_what_pip_audit_has_no_data_of_is_compared_with_the_list() -> None:
    report = {
        "dependencies": [
            {"name": "PyNaCl", "skip_reason": "Dependency not found on PyPI and could not be audited: pynacl (1.6.1)"},
            {"name": "aiohttp", "version": "3.14.0", "vulns": [{"id": "CVE-2026-34993"}]},
            {"name": "cryptography", "version": "48.0.0", "vulns": []},
        ]
    }
    versions = {"pynacl": "1.6.1", "aiohttp": "3.14.0", "cryptography": "48.0.0"}
    known = audit.read(report)
    assert known == {"aiohttp": ["CVE-2026-34993"], "cryptography": []}
    vulnerable, old = audit.complaints(versions, known, MINIMA)
    assert vulnerable == "aiohttp 3.14.0 has known vulnerabilities: CVE-2026-34993"
    assert old.startswith("pynacl 1.6.1 is older than 1.6.2")


def test_what_is_installed_here_passes_and_the_project_asks_for_no_less() -> None:
    assert not audit.complaints(audit.installed(), {}, MINIMA)
    requires = {audit.canonical(r.name): r for r in map(Requirement, metadata.requires("pim-daemon") or ())}
    for name, entry in MINIMA.items():
        floors = [Version(one.version) for one in requires[name].specifier if one.operator in {">=", "=="}]
        assert max(floors) >= Version(entry["minimum"]), name


def test_the_audit_is_a_part_of_what_ci_runs() -> None:
    assert "./scripts/audit\n" in (PROJECT / ".ci" / "run").read_text()
