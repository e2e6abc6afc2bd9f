"""`pim feature new`: writes a small distribution with a feature that works, as a beginning of one's own."""

import argparse
import importlib.resources
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pimd import terminal
from pimd.assembly.choice import CORE_NAMESPACES, RESERVED_NAMES, installed_candidates
from pimd.assembly.known import known_features
from pimd.cli.errors import PimError, UsageError
from pimd.cli.output import put
from pimd.cli.text import counted, visible

NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")

FILES: Mapping[str, str] = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/@package@/__init__.py": "feature.py.txt",
    "src/@package@/models.py": "models.py.txt",
    "src/@package@/plugin.py": "plugin.py.txt",
    "src/@package@/py.typed": "",
    "tests/test_@name@.py": "tests.py.txt",
}
"""What is written, and the template it is made from."""


def new_feature(options: argparse.Namespace) -> None:
    """Write a distribution for the feature `options.name` into `options.directory`; `PimError` says what is in the way."""
    name, directory = options.name, options.directory
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a feature: lowercase letters, digits and underscores, a letter first, "
            "at most 30"
        )
    owner = next((owner for taken, owner in _taken() if taken == name), None)
    if owner is not None:
        raise PimError(f"{name} is taken: {owner}; choose another name")
    words = _words(name)
    files = {_filled(path, words): _text(template, words) for path, template in FILES.items()}
    try:
        _write(directory, files)
    except OSError as error:
        raise PimError(f"{visible(str(directory))}: cannot be written: {error.strerror or error}") from error
    where = visible(str(directory))
    lines = (
        f"{words['dist']} is in {where}: {counted(len(files), 'file')} that work as they are; next, in the environment of pimd:",
        f"  cd {where}",
        "  pip install -e '.[test]' && pytest",
        f"""  pim call features.enable '{{"name": "{name}", "reload": true}}'     # or start pimd anew""",
        f"  pim help {words['word']}",
    )
    put(json.dumps({"directory": str(directory), "files": list(files)}) if options.json else "\n".join(lines))


def _taken() -> Iterator[tuple[str, str]]:
    """Yield names that a feature cannot have, because its namespace or its command would clash, each with the owner."""
    for row in known_features().values():
        for one in {row.name, *row.namespaces}:
            yield one, f"it belongs to the feature {row.name} of pimd"
    for candidate in installed_candidates():
        yield candidate.name, f"the installed package {candidate.origin} has a feature of that name"
    for one in CORE_NAMESPACES | RESERVED_NAMES:
        yield one, "it belongs to the daemon"
    yield "lab", "the lab of pimd, in which features are tested, has one of that name"
    for one in terminal.COMMANDS:
        yield one.replace("-", "_"), "pim has a command of that name"


def _words(name: str) -> dict[str, str]:
    hyphened = re.sub("_+", "-", name).strip("-")
    return {
        "name": name,
        "Name": name.title().replace("_", ""),
        "word": hyphened,
        "dist": f"pim-feature-{hyphened}",
        "package": f"pim_feature_{name}",
    }


def _filled(text: str, words: Mapping[str, str]) -> str:
    return re.sub("@([a-zA-Z]+)@", lambda found: words[found[1]], text)


def _text(template: str, words: Mapping[str, str]) -> str:
    if not template:
        return ""
    source = importlib.resources.files("pimd.cli") / "template" / template
    return _filled(source.read_text(encoding="utf-8"), words)


def _write(directory: Path, files: Mapping[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise PimError(f"{visible(str(directory))} is not empty; name a directory that is new or empty")
    for path, text in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        with (directory / path).open("x", encoding="utf-8") as file:
            file.write(text)
