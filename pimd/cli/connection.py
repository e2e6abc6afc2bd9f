"""JSON-RPC to the daemon: over its Unix socket, else over HTTP with the token."""

import argparse
import fcntl
import http.client
import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pimd import __version__, paths
from pimd.cli.errors import AnsweredError, NoDaemonError

TIMEOUT_S = 35.0
"""A call runs at most 30 s in the daemon."""
BATCH_LIMIT = 100
WRONG_TOKEN = (-32003, -32004)
"""The second where there were many wrong ones; a right one always gets in."""
WHAT_TO_DO = (
    "start one with `pimd` (from a checkout: ./scripts/run), or say where it is with --data-dir, --socket or --url"
)

Request = tuple[str, Any]


class Connection(Protocol):
    """A way to call methods."""

    def exchange(self, message: Any) -> Any:
        """Send one message and return the answer to it; `NoDaemonError` when the connection breaks."""

    def close(self) -> None:
        """Close the connection; further calls are not possible."""


class UnixConnection:
    """Newline-delimited JSON; notifications may come between answers."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(os.fspath(path))
        self._file = self._socket.makefile("rwb")
        self._notifications: list[dict[str, Any]] = []
        hello = {"client": f"pim/{__version__}", "rpc_version": 1}
        result_of(self.exchange({"jsonrpc": "2.0", "id": 0, "method": "rpc.hello", "params": hello}))

    def exchange(self, message: Any) -> Any:
        """Return the answer; notifications that come before it are kept for `notification`."""
        try:
            self._file.write(json.dumps(message).encode() + b"\n")
            self._file.flush()
            while True:
                received = self._receive()
                if isinstance(received, list) or "id" in received:
                    return received
                self._notifications.append(received)
        except (OSError, ValueError) as error:
            raise NoDaemonError(f"the daemon hung up: {error}; {WHAT_TO_DO}") from error

    def notification(self) -> dict[str, Any]:
        """Wait without a limit for the next notification; `NoDaemonError` when the daemon is gone."""
        if self._notifications:
            return self._notifications.pop(0)
        self._socket.settimeout(None)
        try:
            while True:
                received = self._receive()
                if isinstance(received, dict) and "method" in received:
                    return received
        except (OSError, ValueError) as error:
            raise NoDaemonError(f"the daemon hung up: {error}") from error
        finally:
            self._socket.settimeout(TIMEOUT_S)

    def close(self) -> None:
        """Close the socket; the daemon ends the subscriptions of this connection."""
        self._file.close()
        self._socket.close()

    def _receive(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection was closed")
        return json.loads(line)


class HttpConnection:
    """Opens one HTTP connection for each request; its constructor checks that pimd answers."""

    def __init__(self, url: str, token: str) -> None:
        self._url = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        result_of(self.exchange({"jsonrpc": "2.0", "id": 0, "method": "rpc.hello"}))

    def exchange(self, message: Any) -> Any:
        """POST and read the answer."""
        if self._url.scheme != "http" or not self._url.hostname:
            raise NoDaemonError(f"{self._url.geturl()} is no http:// address; {WHAT_TO_DO}")
        connection = http.client.HTTPConnection(self._url.hostname, self._url.port or 80, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self._url.path or "/rpc", json.dumps(message), self._headers)
            return json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise NoDaemonError(f"no daemon answers at {self._url.geturl()}: {error}; {WHAT_TO_DO}") from error
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing to do: each exchange closes its own connection."""


def result_of(answer: Any) -> Any:
    """Return the result; `AnsweredError` for an error."""
    if not isinstance(answer, dict) or ("error" not in answer and "result" not in answer):
        raise NoDaemonError("what answers there is no pimd; " + WHAT_TO_DO)
    if "error" in answer:
        raise AnsweredError(answer["error"])
    return answer["result"]


def call(connection: Connection, method: str, params: Any = None) -> Any:
    """Call one method; `AnsweredError` for an error."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method}
    if params is not None:
        request["params"] = params
    return result_of(connection.exchange(request))


def call_many(connection: Connection, requests: Sequence[Request]) -> list[Any]:
    """Return the results in order, None for each that failed."""
    results: list[Any] = []
    for start in range(0, len(requests), BATCH_LIMIT):
        part = requests[start : start + BATCH_LIMIT]
        batch = [{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(part)]
        answered = connection.exchange(batch)
        if isinstance(answered, dict):  # to the batch as a whole
            result_of(answered)
        answers = {answer.get("id"): answer.get("result") for answer in answered}
        results += [answers.get(n) for n in range(len(part))]
    return results


def connect(
    environ: Mapping[str, str],
    data_dir: Path | None,
    unix_socket: Path | None,
    url: str | None,
    token_file: Path | None,
) -> Connection:
    """Find the daemon: at the given address, else where `daemon.json` says, else at the default."""
    data = paths.data_dir(data_dir, environ, None)
    token = token_file or data / paths.TOKEN_NAME
    if url is not None:
        return HttpConnection(url, _token(token))
    if unix_socket is not None:
        return _unix(unix_socket)
    if data_dir is not None or (environ.get("PIM_DATA_DIR") and not environ.get("PIM_RPC_SOCKET")):
        return _daemon_of(data, token)
    runtime = _runtime(data)
    for candidate in (candidates := _candidates(environ, data, runtime)):
        try:
            return UnixConnection(candidate)
        except OSError:
            continue
    if runtime.get("http_url"):
        return HttpConnection(runtime["http_url"], _token(token))
    raise NoDaemonError(f"no daemon answers at {candidates[0]}; {WHAT_TO_DO}")


def connection_of(options: argparse.Namespace) -> Connection:
    """Find the daemon that the options of `pim` mean."""
    return connect(os.environ, options.data_dir, options.socket, options.url, options.token_file)


def _candidates(environ: Mapping[str, str], data: Path, runtime: dict[str, Any]) -> list[Path]:
    """Sockets to try in order."""
    default = paths.rpc_socket(environ, None, data)
    named = runtime.get("unix_socket")
    if not named:
        return [default]
    return [default, Path(named)] if environ.get("PIM_RPC_SOCKET") else [Path(named), default]


def _daemon_of(data: Path, token: Path) -> Connection:
    """Connect with the daemon of the given directory, and with no other."""
    runtime = _runtime(data, given=True)
    # The file of a killed daemon may name addresses of another program by now, which must not get the token.
    if runtime.get("unix_socket") and (unix := _own_unix(Path(runtime["unix_socket"]), data)):
        return unix
    http_is_own = runtime.get("http_url") and _is_held(data / paths.LOCK_NAME)
    if http_is_own and (http := _own_http(runtime["http_url"], _token(token))):
        return http
    raise NoDaemonError(f"no daemon runs on {data}; {WHAT_TO_DO}")


def _is_held(lock: Path) -> bool:
    """Whether the lock is held, as it is while a daemon runs on that directory."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _own_unix(path: Path, data: Path) -> Connection | None:
    try:
        connection = UnixConnection(path)
    except OSError:
        return None
    try:
        found = call(connection, "daemon.info")["data_dir"]
        if found in {paths.shown(data.absolute()), paths.shown(data.resolve())} or data.samefile(found):
            return connection
    except (OSError, NoDaemonError):
        pass
    connection.close()
    return None


def _own_http(url: str, token: str) -> Connection | None:
    """Try HTTP with the token of the directory; another daemon refuses that token."""
    try:
        return HttpConnection(url, token)
    except NoDaemonError:
        return None
    except AnsweredError as error:
        if error.error.get("code") in WRONG_TOKEN:
            return None
        raise


def _unix(path: Path) -> UnixConnection:
    try:
        return UnixConnection(path)
    except OSError as error:
        raise NoDaemonError(f"no daemon answers at {path}: {error.strerror or error}; {WHAT_TO_DO}") from error


def _runtime(data: Path, *, given: bool = False) -> dict[str, Any]:
    """Read `daemon.json`; `NoDaemonError` when a given directory cannot be read."""
    path = data / paths.RUNTIME_NAME
    try:
        found = json.loads(path.read_text())
    except PermissionError as error:
        if given:
            raise NoDaemonError(f"{path}: cannot be read: {error.strerror}; run pim as the daemon's user") from error
        return {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise NoDaemonError(f"{path}: the token cannot be read: {error.strerror}; {WHAT_TO_DO}") from error
