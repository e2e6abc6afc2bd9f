"""Features that are installed, changed and repaired while the daemon runs."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from tests.system.conftest import MakeDaemon
from tests.system.daemon import Daemon

pytestmark = pytest.mark.system

CODE = """
from pimd.contract import Feature, NoParams, PluginContext, rpc
{top}

loads = []

@rpc("{name}.do")
async def do(ctx: PluginContext, params: NoParams) -> str:
    \"""Answer.\"""
    loads.append(1)
    return {answer}

FEATURE = Feature(name="{name}", summary="Answers.", namespaces=("{name}",), methods=(do,))
"""
EXTENSION = "_json"


def write(site: Path, name: str, answer: str, top: str = "") -> None:
    (site / f"{name}_feature").mkdir(parents=True, exist_ok=True)
    (site / f"{name}_feature" / "__init__.py").write_text(CODE.format(name=name, answer=answer, top=top))


def describe(site: Path, name: str, *files: str) -> None:
    info = site / f"{name}_dist-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pimd.features]\n{name} = {name}_feature:FEATURE\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    made = tmp_path / "site-packages"
    made.mkdir()
    return made


@pytest.fixture
def alice(daemon: MakeDaemon, site: Path) -> Daemon:
    made = daemon()
    made.environ["PYTHONPATH"] += f":{site}"
    return made


def reload(daemon: Daemon, name: str = "new") -> dict[str, object]:
    return dict(daemon.call("features.enable", {"name": name, "reload": True}))


def row(daemon: Daemon, name: str = "new") -> dict[str, object]:
    return next(row for row in daemon.call("features.list") if row["name"] == name)


def test_what_is_on_disk_now_runs_and_other_distributions_keep_theirs(alice: Daemon, site: Path) -> None:
    for name in ("new", "other"):
        describe(site, name, f"{name}_feature/__init__.py", f"{name}_helper.py")
        (site / f"{name}_helper.py").write_text("VALUE = 1\n")
    write(site, "new", "str((new_helper.VALUE, len(loads)))", "import new_helper")
    write(site, "other", "str((other_helper.VALUE, len(loads)))", "import other_helper")
    alice.start()
    assert [alice.call(f"{name}.do") for name in ("new", "other", "other")] == ["(1, 1)", "(1, 1)", "(1, 2)"]
    for name in ("new", "other"):
        (site / f"{name}_helper.py").write_text("VALUE = 2\n")  # of the same size, within the same second
    assert reload(alice)["state"] == "running"
    assert alice.call("new.do") == "(2, 1)"
    assert alice.call("other.do") == "(1, 3)"


def test_one_with_a_c_extension_is_refused_and_runs_on(alice: Daemon, site: Path) -> None:
    spec = importlib.util.find_spec(EXTENSION)
    assert spec is not None
    assert spec.origin is not None
    library = Path(spec.origin)
    describe(site, "new", "new_feature/__init__.py", f"new_feature/{library.name}")
    write(site, "new", f"{EXTENSION}.__name__", f"from new_feature import {EXTENSION}")
    shutil.copy(library, site / "new_feature")
    alice.start()
    assert alice.call("new.do") == f"new_feature.{EXTENSION}"
    error = alice.ask("features.enable", {"name": "new", "reload": True})["error"]
    assert error["message"] == f"new has a C extension, new_feature.{EXTENSION}; restart the daemon to load it anew"
    assert row(alice)["state"] == "running"
    assert alice.call("new.do") == f"new_feature.{EXTENSION}"


def test_a_syntax_error_fails_it_until_it_is_repaired(alice: Daemon, site: Path) -> None:
    describe(site, "new", "new_feature/__init__.py")
    write(site, "new", "'good'")
    alice.start()
    write(site, "new", "'bad'", "def (:")
    error = alice.ask("features.enable", {"name": "new", "reload": True})["error"]
    assert "it cannot be imported: SyntaxError: invalid syntax" in error["message"]
    assert "repair or uninstall new-dist" in str(row(alice)["reason"])
    assert (row(alice)["state"], alice.ask("new.do")["error"]["data"]["state"]) == ("failed", "failed")
    assert alice.call("status")
    write(site, "new", "'repaired'")
    assert reload(alice)["state"] == "running"
    assert alice.call("new.do") == "repaired"


def test_an_error_at_import_names_its_line_and_the_doctor_tells_it(alice: Daemon, site: Path) -> None:
    describe(site, "new", "new_feature/__init__.py")
    write(site, "new", "'bad'", "VALUE = declar")
    alice.start()
    assert "NameError: name 'declar' is not defined (__init__.py:3); repair" in str(row(alice)["reason"])
    doctor = alice.pim("doctor")
    assert (doctor.returncode, "* feature new is failed: it cannot be imported: NameError" in doctor.stdout) == (
        1,
        True,
    )


def test_its_table_is_read_from_the_file_as_it_is_now(alice: Daemon, site: Path) -> None:
    describe(site, "new", "new_feature/__init__.py")
    write(
        site,
        "new",
        "ctx.settings.size",
        "from pimd.contract import FeatureSettings\nclass Table(FeatureSettings): size: int = 1",
    )
    code = site / "new_feature" / "__init__.py"
    code.write_text(code.read_text().replace("-> str", "-> int").replace("methods=", "settings=Table, methods="))
    before = alice.config.read_text()
    alice.config.write_text(before + '\n[features.new]\nsize = "large"\n')
    alice.start()
    assert row(alice)["reason"] == (
        "features.new.size: Input should be a valid integer, unable to parse string as an integer; "
        "correct [features.new] in the configuration"
    )
    alice.config.write_text(before + "\n[features.new]\nsize = 5\n")
    assert alice.call("features.enable", {"name": "new"})["state"] == "running"
    assert alice.call("new.do") == 5
    alice.config.write_text(before + "\n[features.new]\nsize = 6\n")
    assert alice.call("new.do") == 5
    reload(alice)
    assert alice.call("new.do") == 6
    alice.config.write_text("[features.new\n")
    error = alice.ask("features.enable", {"name": "new", "reload": True})["error"]
    assert "the configuration file does not load" in error["message"]
    assert alice.call("new.do") == 6


def test_one_that_was_installed_meanwhile_is_found(alice: Daemon, site: Path) -> None:
    alice.start()
    assert "no feature 'new'" in alice.ask("features.enable", {"name": "new"})["error"]["message"]
    write(site, "new", "'here'")
    describe(site, "new", "new_feature/__init__.py")
    assert alice.call("features.enable", {"name": "new"})["state"] == "running"
    assert (alice.call("new.do"), row(alice)["origin"]) == ("here", "new-dist")


def test_an_editable_install_is_found_and_loaded_anew_with_all_its_packages(
    alice: Daemon, site: Path, tmp_path: Path
) -> None:
    alice.start()
    project = tmp_path / "project of mine"
    write(project, "new", "str(new_helper.VALUE)", "import new_helper")
    (project / "new_helper.py").write_text("VALUE = 1\n")
    describe(site, "new", "new.pth")
    (site / "new.pth").write_text(f"{project}\n")
    told = {"url": project.as_uri(), "dir_info": {"editable": True}}
    (site / "new_dist-1.0.dist-info" / "direct_url.json").write_text(json.dumps(told))
    assert alice.call("features.enable", {"name": "new"})["state"] == "running"
    assert alice.call("new.do") == "1"
    (project / "new_helper.py").write_text("VALUE = 2\n")
    reload(alice)
    assert alice.call("new.do") == "2"


def test_a_built_in_one_is_refused(alice: Daemon) -> None:
    error = alice.start().ask("features.enable", {"name": "logs", "reload": True})["error"]
    assert error["message"] == "logs is built in, and is loaded anew only by a restart of the daemon"
    assert row(alice, "logs")["state"] == "running"


def test_with_dev_what_changes_is_loaded_anew_and_what_is_off_stays_off(alice: Daemon, site: Path) -> None:
    for name in ("new", "other"):
        describe(site, name, f"{name}_feature/__init__.py")
        write(site, name, "'old'")
    alice.start("--dev")
    assert alice.call("new.do") == "old"
    alice.call("features.disable", {"name": "other"})
    with alice.socket() as client:
        client.call("logs.subscribe")
        for answer, top, words in (
            ("'newer'", "", "feature new changed on disk and was loaded anew: running"),
            (
                "'newer'",
                "def (:",
                "feature new changed on disk and was not loaded anew: feature new: it cannot be imported",
            ),
            ("'repaired'", "", "feature new changed on disk and was loaded anew: running"),
        ):
            for name in ("new", "other"):
                write(site, name, answer, top)
            while words not in client.receive()["params"].get("message", ""):
                pass
    assert alice.call("new.do") == "repaired"
    assert row(alice, "other")["state"] == "disabled"
    log = alice.log.read_text()
    assert (log.count("feature new changed on disk"), log.count("feature other changed")) == (3, 0)
