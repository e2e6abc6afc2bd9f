"""A distribution of somebody else is tested by the kit, with pytest alone, as its author would do it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from pimd.testing.checks import CHECKS
from tests.system.daemon import PROJECT

STRANGER = Path(__file__).parent / "pim_feature_tally"
ECHO = PROJECT / "docs" / "examples" / "pim_feature_echo"


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest there, with the sources of this tree and without its configuration."""
    environ = {**os.environ, "PYTHONPATH": f"{folder}:{PROJECT}:{PROJECT / 'features'}", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The distribution in a folder that is none of this tree."""
    return shutil.copytree(STRANGER, tmp_path / "tally")


@pytest.mark.system
@pytest.mark.parametrize(
    "without",
    [
        (),
        pytest.param(("-p", "no:asyncio", "-p", "no:aiohttp"), marks=pytest.mark.slow),
        pytest.param(("-p", "no:pimd", "-p", "pimd.pytest_plugin"), marks=pytest.mark.slow),
    ],
    ids=["all plugins", "no plugin for async tests", "the fixtures by name"],
)
def test_its_tests_pass(elsewhere: Path, without: tuple[str, ...]) -> None:
    done = pytest_in(elsewhere, *without)
    assert done.returncode == 0, done.stdout
    assert " passed, 2 skipped, " in done.stdout  # it has no receiver of datagrams, and provides nothing


@pytest.mark.system
def test_the_example_of_the_documentation_passes(tmp_path: Path) -> None:
    done = pytest_in(shutil.copytree(ECHO, tmp_path / "echo"))
    assert done.returncode == 0, done.stdout


def section_on_testing() -> str:
    page = (PROJECT / "docs" / "writing-a-feature.md").read_text()
    return page.partition("## 7. Testing\n")[2].partition("\n## ")[0]


def test_what_the_documentation_shows_is_in_the_example() -> None:
    section = section_on_testing()
    shown = [dedent(block).strip() for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section, re.MULTILINE)]
    tests = (ECHO / "test_pim_feature_echo.py").read_text()
    assert len(shown) == 3
    assert [block for block in shown[1:] if block not in tests] == []
    assert shown[0].splitlines()[-1] in tests


def test_every_check_is_in_the_documentation() -> None:
    section = section_on_testing()
    assert re.findall(r"^\| `([a-z ]+)` \|", section, re.MULTILINE) == [check.name for check in CHECKS]


def test_tests_that_do_not_ask_for_it_import_no_daemon(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    assert [name for name in sys.modules if name.startswith('pimd')] == ['pimd', 'pimd.pytest_plugin']\n"
    )
    done = pytest_in(tmp_path, "-p", "no:pimd", "-p", "pimd.pytest_plugin")
    assert done.returncode == 0, done.stdout


def test_the_daemon_imports_neither_the_kit_nor_pytest() -> None:
    code = "import sys, pimd.__main__, pimd.lab, pimd.app; print([n for n in sys.modules if 'pytest' in n or 'testing' in n])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
