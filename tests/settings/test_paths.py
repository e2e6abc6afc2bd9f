"""Where things are looked for."""

from pathlib import Path

import pytest

from pimd import paths

DATA = Path("/data")


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "is_root", lambda: False)


def test_the_data_directory() -> None:
    environ = {"HOME": "/home/a", "XDG_DATA_HOME": "/xdg", "PIM_DATA_DIR": "~/pim"}
    assert paths.data_dir(Path("/arg"), environ, Path("/conf")) == Path("/arg")
    assert paths.data_dir(None, environ, Path("/conf")) == Path("/home/a/pim")
    del environ["PIM_DATA_DIR"]
    assert paths.data_dir(None, environ, Path("~/conf")) == Path("/home/a/conf")
    assert paths.data_dir(None, environ, None) == Path("/xdg/pim")
    assert paths.data_dir(None, {**environ, "XDG_DATA_HOME": "relative"}, None) == Path("/home/a/.local/share/pim")


def test_the_data_directory_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "is_root", lambda: True)
    assert paths.data_dir(None, {"HOME": "/root"}, None) == Path("/var/lib/pim")
    assert paths.rpc_socket({}, None, DATA) == Path("/run/pim/pim.sock")


def test_the_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", tmp_path / "system.toml")
    assert paths.config_file(None, environ) is None
    (tmp_path / "system.toml").touch()
    assert paths.config_file(None, environ) == tmp_path / "system.toml"
    (tmp_path / "xdg" / "pim").mkdir(parents=True)
    paths.user_config_file(environ).touch()
    assert paths.config_file(None, environ) == tmp_path / "xdg" / "pim" / "pim.toml"
    assert paths.config_file(None, {**environ, "PIM_CONFIG_PATH": "~/my.toml"}) == tmp_path / "my.toml"
    assert paths.config_file(Path("/arg"), environ) == Path("/arg")


def test_the_socket() -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/1"}
    assert paths.rpc_socket({**environ, "PIM_RPC_SOCKET": "/x"}, Path("/conf"), DATA) == Path("/x")
    assert paths.rpc_socket(environ, Path("/conf"), DATA) == Path("/conf")
    assert paths.rpc_socket(environ, None, DATA) == Path("/run/user/1/pim.sock")
    assert paths.rpc_socket({"XDG_RUNTIME_DIR": "relative"}, None, DATA) == DATA / "pim.sock"
