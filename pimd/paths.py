"""Paths of files on this machine, for the daemon and `pim` alike."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

SYSTEM_CONFIG = Path("/etc/pim/pim.toml")
CONFIG_NAME = "pim.toml"
RUNTIME_NAME = "daemon.json"
LOCK_NAME = "lock"
TOKEN_NAME = "rpc.token"  # noqa: S105 - the name of the file, not its content


def is_root() -> bool:
    """Whether this process may write the system's directories."""
    return os.geteuid() == 0


def _home(environ: Mapping[str, str]) -> Path:
    """Return `/` for a user id without an entry in passwd, as containers have them, where HOME is not set either."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path("/")


def expand(path: Path, environ: Mapping[str, str]) -> Path:
    """Replace a leading `~` by the home directory and make the path absolute."""
    parts = path.parts
    expanded = _home(environ).joinpath(*parts[1:]) if parts[:1] == ("~",) else path
    return expanded.absolute()


def _xdg(environ: Mapping[str, str], name: str) -> Path | None:
    """Return an XDG directory; relative ones are invalid and ignored (XDG Base Directory Specification)."""
    value = Path(environ.get(name, ""))
    return value if value.is_absolute() else None


def data_dir(argument: Path | None, environ: Mapping[str, str], configured: Path | None) -> Path:
    """`--data-dir`, `$PIM_DATA_DIR`, `[node] data_dir`, `$XDG_DATA_HOME/pim`, `~/.local/share/pim`; for root `/var/lib/pim`."""
    from_environment = Path(environ["PIM_DATA_DIR"]) if environ.get("PIM_DATA_DIR") else None
    for chosen in (argument, from_environment, configured):
        if chosen is not None:
            return expand(chosen, environ)
    xdg = _xdg(environ, "XDG_DATA_HOME")
    if xdg is not None:
        return xdg / "pim"
    return Path("/var/lib/pim") if is_root() else _home(environ) / ".local/share/pim"


def config_file(argument: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the argument, `$PIM_CONFIG_PATH`, the user's if it exists, the system's if it exists, else None."""
    if argument is not None:
        return expand(argument, environ)
    if environ.get("PIM_CONFIG_PATH"):
        return expand(Path(environ["PIM_CONFIG_PATH"]), environ)
    return next((path for path in (user_config_file(environ), SYSTEM_CONFIG) if _is_there(path)), None)


def user_config_file(environ: Mapping[str, str]) -> Path:
    """The user's configuration file, whether it is there or not."""
    return (_xdg(environ, "XDG_CONFIG_HOME") or _home(environ) / ".config") / "pim" / CONFIG_NAME


def own_config_file(data: Path) -> Path | None:
    """The file that `config.save` made where there was none; None without it."""
    path = data / CONFIG_NAME
    return path if _is_there(path) else None


def _is_there(path: Path) -> bool:
    """Tell whether there is such a file; HOME may be a directory of another user, into which one cannot look."""
    try:
        return path.is_file()
    except OSError:
        return False


def rpc_socket(environ: Mapping[str, str], configured: Path | None, data: Path) -> Path:
    """`$PIM_RPC_SOCKET`, `[rpc] unix_socket`, `$XDG_RUNTIME_DIR/pim.sock`, for root `/run/pim/pim.sock`, `<data_dir>/pim.sock`."""
    if environ.get("PIM_RPC_SOCKET"):
        return expand(Path(environ["PIM_RPC_SOCKET"]), environ)
    if configured is not None:
        return expand(configured, environ)
    runtime = _xdg(environ, "XDG_RUNTIME_DIR")
    if runtime is not None:
        return runtime / "pim.sock"
    return Path("/run/pim/pim.sock") if is_root() else data / "pim.sock"


def shown(path: Path) -> str:
    r"""Write a path for answers and logs: bytes of names that are no UTF-8 stand as `\xe9`, since JSON cannot hold them."""
    return os.fsencode(path).decode(errors="backslashreplace")


def sync_directory(directory: Path) -> None:
    """Make a new, renamed or deleted name in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
