"""From a command line to a running daemon: find the files, say what is wrong, say what is up."""

import logging
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pimd import __version__, paths, standard_streams
from pimd.app import Environment, Started, StartError, feature_choice, listen_endpoints, mesh_passphrase, node_name, run
from pimd.assembly.assembly import IMPORT_S
from pimd.assembly.choice import AssemblyError
from pimd.assembly.known import known_features
from pimd.assembly.log_rate_limit import LogRateLimit
from pimd.assembly.log_ring import LogRing
from pimd.assembly.plan import Plan
from pimd.characters import hidden, reads_as_id
from pimd.contract import Membership
from pimd.database import DatabaseError
from pimd.faults import text_of, traceback_of
from pimd.held import own_log
from pimd.local_time import local_time
from pimd.net.unix_socket import SocketInUse, refuse_long
from pimd.rpc.unix import SETTING as RPC_SOCKET_SETTING
from pimd.settings import Loaded, Problem, SettingsError, load
from pimd.stop import Stop
from pimd.store import text_file
from pimd.store.config_file import ConfigFile
from pimd.store.data_dir import DataDirError
from pimd.store.overrides import NAME as OVERRIDES_NAME
from pimd.store.overrides import OverridesError, OverridesFile, with_overrides
from pimd.store.secret_file import SecretFileError
from pimd.store.text_file import NotText

log = logging.getLogger("pimd")

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_WRONG_CONFIG = 2
"""What `--check-config` returns; a start that fails returns 1, whatever the reason."""

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class Arguments:
    """What the command line and the environment say."""

    config: Path | None
    data_dir: Path | None
    pid_file: Path | None
    environ: Mapping[str, str]
    dev: bool = False


def version(_: Arguments) -> str:
    """One line: the version and the features of this build."""
    built = [row.name for row in known_features().values() if row.built]
    return f"pimd {__version__} (features: {', '.join(built) or 'none'})"


def check_config(arguments: Arguments) -> int:
    """Print every problem of the configuration, or that there is none."""
    path = _config_path(arguments)
    try:
        loaded = _load(path, arguments)
    except (SettingsError, StartError) as error:
        return _failed(str(error), EXIT_WRONG_CONFIG)
    for warning in _warnings(path, loaded):
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201 - a program for people
    obstacles = [str(problem) for problem in _obstacles(loaded, arguments)]
    if obstacles:
        return _failed("\n".join(obstacles), EXIT_WRONG_CONFIG)
    print(f"{path or 'no configuration file, the defaults'}: good")  # noqa: T201
    return EXIT_OK


def _obstacles(loaded: Loaded, arguments: Arguments) -> Iterator[Problem]:
    """Problems of this machine or build that stop the start despite a valid configuration."""
    settings, problem = loaded.settings, loaded.origin.problem
    try:
        plan = Plan.of_this_build(feature_choice(settings), IMPORT_S)
        for name, fault in plan.faults.items():
            key = ("features", "enabled") if fault.startswith("not installed") else ("features", name)
            yield problem(key, f"feature {name} would fail: {fault}")
        for name in plan.unfinished():
            yield problem(("features", name), f"feature {name}: its import did not end within {IMPORT_S:g} s")
    except AssemblyError as error:
        yield problem(error.key, str(error).removeprefix(".".join(map(str, error.key)) + ": "))
    if settings.mesh.mode == "private":
        try:
            mesh_passphrase(settings, arguments.environ)
        except StartError as error:
            yield problem(("mesh", "passphrase_file"), str(error))
    try:
        listen_endpoints(settings, arguments.environ)
    except StartError as error:
        yield problem(("transport", "listen_unix"), str(error).removeprefix("[transport] listen_unix: "))
    if settings.rpc.unix_enabled:
        data_dir = paths.data_dir(arguments.data_dir, arguments.environ, settings.node.data_dir)
        try:
            refuse_long(paths.rpc_socket(arguments.environ, settings.rpc.unix_socket, data_dir), RPC_SOCKET_SETTING)
        except SocketInUse as error:
            yield problem(("rpc", "unix_socket"), str(error))


async def run_daemon(arguments: Arguments, stop: Stop) -> int:
    """Run until `stop`; one readable line on standard error when it ends with an error."""
    ring = LogRing()
    rate_limit = LogRateLimit(time.monotonic)
    ring.addFilter(rate_limit)
    logging.getLogger().addHandler(ring)
    try:
        return await _run_daemon(arguments, ring, rate_limit, stop)
    finally:
        logging.getLogger().removeHandler(ring)


async def _run_daemon(arguments: Arguments, ring: LogRing, rate_limit: LogRateLimit, stop: Stop) -> int:
    path = _config_path(arguments)
    out = standard_streams.own(1)  # before features are imported, which may close the other
    try:
        loaded = _load(path, arguments)
        set_log_level = _log_to_stderr(ring, rate_limit)
        set_log_level(loaded.settings.log.level)
        for warning in _warnings(path, loaded):
            log.warning("%s", warning)
        data_dir = paths.data_dir(arguments.data_dir, arguments.environ, loaded.settings.node.data_dir)
        own = OverridesFile(data_dir / OVERRIDES_NAME)
        settings = with_overrides(loaded, path, arguments.environ, own.overrides)
        environment = Environment(
            data_dir, arguments.environ, ring, arguments.pid_file, dev=arguments.dev, set_log_level=set_log_level
        )
        config = ConfigFile(path, data_dir / paths.CONFIG_NAME, settings, node_name(settings), arguments.environ, own)
        await run(settings, config, environment, stop, lambda started: _tell(started, arguments.environ, out))
    except SettingsError as error:
        return _failed(str(error), EXIT_FAILED)
    except (
        StartError,
        AssemblyError,
        DataDirError,
        SecretFileError,
        DatabaseError,
        OverridesError,
        SocketInUse,
    ) as error:
        return _failed(f"pimd: {error}", EXIT_FAILED)
    # A crash in a task of the core: everything was stopped in order before it arrives here.
    except Exception as error:  # noqa: BLE001
        log.error("the daemon crashed: %s", traceback_of(error))
        return _failed(f"pimd: crashed: {text_of(error)}; this is a bug, the log has the cause", EXIT_FAILED)
    return EXIT_OK


def _config_path(arguments: Arguments) -> Path | None:
    found = paths.config_file(arguments.config, arguments.environ)
    return found or paths.own_config_file(paths.data_dir(arguments.data_dir, arguments.environ, None))


def _load(path: Path | None, arguments: Arguments) -> Loaded:
    if path is None:
        return load("", None, arguments.environ)
    try:
        text = text_file.read(path).content
    except FileNotFoundError:
        raise StartError(f"{path}: no such configuration file; without one, the defaults are used") from None
    except NotText as error:
        raise StartError(f"{path}: the configuration file {error}") from None
    except OSError as error:
        raise StartError(f"{path}: the configuration file cannot be read: {error.strerror}") from error
    return load(text, path, arguments.environ)


def _warnings(path: Path | None, loaded: Loaded) -> Iterator[str]:
    yield from loaded.warnings
    name = node_name(loaded.settings)
    if hidden(name) or reads_as_id(name):
        why = "reads as a node id" if reads_as_id(name) else "holds letters that are not seen"
        yield f"node.name: {name!a} {why}, so nobody can write to this node by that name; set [node] name to another"
    if path is None or "passphrase" not in loaded.settings.mesh.passphrase_keys:
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    found = loaded.origin.problem(
        ("mesh", "passphrase"), f"others may read it: the file has mode {mode:04o}; run: chmod 600 {path}"
    )
    if mode & 0o077 and found.source != "environment":
        yield str(found)


def _log_to_stderr(ring: LogRing, rate_limit: LogRateLimit) -> Callable[[str], None]:
    """Return what begins to write, from a level on, and changes that later."""
    handler = logging.StreamHandler(standard_streams.own(2))
    handler.addFilter(rate_limit)
    handler.setFormatter(_LocalTimes(LOG_FORMAT))
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)  # it logs the values of every statement, messages included
    return lambda level: own_log(LEVELS[level], ring, handler)


class _LocalTimes(logging.Formatter):
    """Writes times that do not run backwards when daylight saving ends, and nothing that a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        """Indent further lines, so that no text looks like a line of its own."""
        text = super().format(record)
        if text.isprintable():
            return text
        shown = "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
        return shown.replace("\n", "\n    ")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the name in logging
        """Write date, time and milliseconds."""
        del datefmt
        return f"{local_time(record.created)},{int(record.msecs):03d}"


def _failed(text: str, code: int) -> int:
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    # Code of a feature may have put anything in its place.
    except BaseException as error:  # noqa: BLE001
        log.error("%s (standard error cannot be written: %s)", text, text_of(error))
    return code


def _tell(started: Started, environ: Mapping[str, str], out: TextIO) -> None:
    """Print six lines: who this node is, its mesh, where it listens, and what to type next."""
    listeners = [str(listener) for listener in (started.unix_socket, started.http_url) if listener is not None]
    lines = (
        f"pimd {__version__}: this is {started.name}, node {started.node_id}",
        f"  peers reach it at  {' and '.join(endpoint.text for endpoint in started.mesh_endpoints)}",
        f"  its mesh is  {_mesh(started.membership)}",
        f"  programs reach it at  {' and '.join(listeners) or 'nothing: all of [rpc] is off'}",
        f"  data is in  {started.data_dir}  features: {', '.join(started.features) or 'none'}",
        f"  next:  {_next(started, environ)}",
    )
    try:
        print(*lines, sep="\n", file=out, flush=True)
    except OSError as error:  # a full device, or a pipe that nobody reads: no reason to stop
        log.warning("standard output cannot be written: %s", error.strerror)


def _mesh(membership: Membership) -> str:
    name = f", id {membership.mesh_id}" if membership.mesh_id else ""
    fingerprint = f", fingerprint {membership.fingerprint}" if membership.fingerprint else ""
    return f"{membership.mode}{name}{fingerprint}"


def _next(started: Started, environ: Mapping[str, str]) -> str:
    if started.unix_socket is None and started.http_url is None:
        return "nothing for pim, which needs an RPC listener; set [rpc] unix_enabled = true"
    # From a checkout the client is not on the path.
    pim = "pim" if shutil.which("pim") else str(Path(sys.executable).with_name("pim"))
    # Another terminal may lack $PIM_DATA_DIR; without a socket of this daemon pim tries the default first.
    default = paths.data_dir(None, {**environ, "PIM_DATA_DIR": ""}, None)
    if started.data_dir != default or started.unix_socket is None:
        pim += f" --data-dir {shlex.quote(str(started.data_dir))}"
    return f"{pim} status   or, to link with another machine:  {pim} add ITS-ADDRESS"
