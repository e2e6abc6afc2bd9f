"""What docs/writing-a-feature.md shows is done in a new directory: commands with their outputs, files, and changes of files."""

import os
import re
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.system.daemon import PROJECT

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = PROJECT / "docs" / "writing-a-feature.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("9300", "9302", "9400", "9402")
END = "--- end ---"
LOOKS = re.compile(r"(cat|tail -n|pim .* (peers|answers|waves))\b")
"""Commands that only look; what they look at may come later, so they are run until it is there."""
WAIT_S = 60


def free_ports(count: int) -> list[str]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command with the output that the page shows."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        length = next((n for n, line in enumerate(lines[1:], 1) if not line.startswith("> ")), len(lines))
        yield "\n".join([lines[0], *(line[2:] for line in lines[1:length])]), "\n".join(lines[length:])


def is_shown(output: str, shown: str) -> bool:
    """Compare; `...` stands for anything, and columns may be wider."""
    pattern = re.escape(re.sub(r" +", " ", shown)).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, re.sub(r" +", " ", output).strip(), re.DOTALL) is not None


def change(home: Path, block: str) -> None:
    """Apply hunks that are told apart by `@@`; each fits exactly one place."""
    head, _, body = block.partition("\n")
    file = home / head.removeprefix("--- ")
    text = file.read_text()
    for hunk in body.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] != "+")
        assert text.count(old) == 1, f"{file}: {text.count(old)} places for\n{old}"
        text = text.replace(old, "".join(line[1:] for line in lines if line[0] != "-"))
    file.write_text(text)


class Shell:
    """One bash, as a reader has it open; its end is that of all it started."""

    def __init__(self, home: Path) -> None:
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("PIM", "PY", "XDG"))}
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=home,
            env={**keep, **offline, "HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> str:
        """Return what the command prints until it ends, or is in the background."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\necho; echo '{END}'\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if line.rstrip("\n") == END:
                return output
            output += line
        raise AssertionError(f"bash ended: {output}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()


def try_out(shell: Shell, command: str, shown: str) -> None:
    until = time.monotonic() + WAIT_S
    output = shell.run(command)
    while LOOKS.match(command) and not is_shown(output, shown) and time.monotonic() < until:
        output = shell.run(command)
    assert is_shown(output, shown), f"$ {command}\n{output}\ninstead of\n{shown}"


def use_packages_of_the_tests(home: Path) -> None:
    """What pip would download is there already: folders by name only, so that this checkout is not among them."""
    (site,) = (home / "env" / "lib").glob("python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")


def test_every_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    page = PAGE.read_text()
    for written, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        page = page.replace(written, free)
    (tmp_path / "pimd").symlink_to(PROJECT)
    ran = 0
    with Shell(tmp_path) as shell:
        for language, block in BLOCK.findall(page):
            if language == "diff":
                change(tmp_path, block)
            elif language != "console":
                name, _, text = block.partition("\n")
                (tmp_path / name.removeprefix("# ")).write_text(text)
            else:
                for command, shown in commands(block):
                    try_out(shell, command, shown)
                    ran += 1
                    if command == "python3 -m venv env":
                        use_packages_of_the_tests(tmp_path)
        origin = shell.run("python -c 'import pimd; print(pimd.__file__)'").strip()
    assert ran >= 30
    assert origin.startswith(str(tmp_path)), "the sources of this checkout were used in place of what was installed"


@pytest.mark.parametrize(
    ("output", "shown", "fits"),
    [
        ("ID    NAME\n1  bob\n", "ID NAME\n... bob", True),
        ("a\nb\nc\n", "a\n...\nc", True),
        ("waved\nand more", "waved", False),
        ("", "waved", False),
        ("a.c", "abc", False),
    ],
)
def test_outputs_are_compared(output: str, shown: str, *, fits: bool) -> None:
    assert is_shown(output, shown) is fits
