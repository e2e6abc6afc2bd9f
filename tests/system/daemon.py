"""A whole daemon in its own process, driven as a user would: by signals, HTTP and its Unix socket."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

PROJECT = Path(__file__).parents[2]
BANNER_LINES = 6


class Failed(Exception):  # noqa: N818
    """The daemon ended instead of starting; `code` and `stderr` say how."""

    def __init__(self, code: int, stderr: str) -> None:
        super().__init__(f"exit {code}: {stderr}")
        self.code = code
        self.stderr = stderr


class Daemon:
    """Started by `start`, as often as wanted, on one data directory; ports are chosen anew each time unless fixed."""

    def __init__(self, home: Path, name: str, config: str = "", environ: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.name = name
        self.data_dir = home / name
        self.config = home / f"{name}.toml"
        self.log = home / f"{name}.log"
        if not self.config.exists():
            self.config.write_text(config)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": f"{PROJECT}:{PROJECT / 'features'}",
            "PIMD_NODE__NAME": name,
            "PIMD_TRANSPORT__LISTEN_HOST": "127.0.0.1",
            "PIMD_TRANSPORT__LISTEN_PORT": "0",
            "PIMD_RPC__HTTP_PORT": "0",
            "PIM_RPC_SOCKET": str(home / f"{name}.sock"),
            # Daemons of tests that run beside each other must not find each other.
            "PIMD_DISCOVERY__ENABLED": "false",
            **(environ or {}),
        }
        self.prefix: list[str] = []
        """What runs the daemon, such as `ip netns exec`."""
        self.executable = sys.executable
        self.process: subprocess.Popen[str] | None = None
        self.banner: list[str] = []

    def start(self, *arguments: str) -> Self:
        """Return once it says that it is up; `Failed` when it ends instead."""
        command = [*self.prefix, self.executable, "-m", "pimd"]
        command += ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], env=self.environ, stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.home
            )
        assert self.process.stdout is not None
        self.banner = [self.process.stdout.readline() for _ in range(BANNER_LINES)]
        if not self.banner[-1]:
            code = self.process.wait()
            self.process.stdout.close()
            self.process = None
            raise Failed(code, self.log.read_text())
        return self

    @property
    def runtime(self) -> dict[str, Any]:
        return dict(json.loads((self.data_dir / "daemon.json").read_text()))

    @property
    def token(self) -> str:
        return (self.data_dir / "rpc.token").read_text().strip()

    @property
    def mesh_port(self) -> int:
        return int(self.call("status")["transport"]["tcp"]["port"])

    @property
    def node_id(self) -> str:
        return str(self.call("daemon.info")["node_id"])

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def memory(self) -> int:
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def post(self, body: bytes, **headers: str) -> tuple[int, bytes]:
        """One HTTP request to /rpc."""
        url = urlsplit(self.runtime["http_url"])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        try:
            connection.request(
                "POST",
                "/rpc",
                body,
                {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers},
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        """Call over HTTP and return the whole answer."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return dict(json.loads(self.post(json.dumps(request).encode())[1]))

    def call(self, method: str, params: Any = None) -> Any:
        """Call over HTTP and return the result."""
        answer = self.ask(method, params)
        assert "result" in answer, answer
        return answer["result"]

    @contextmanager
    def socket(self) -> Iterator["UnixClient"]:
        client = UnixClient(Path(self.runtime["unix_socket"]))
        try:
            yield client
        finally:
            client.close()

    def pim(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the client on this daemon's directory."""
        return self.pim_anywhere("--data-dir", str(self.data_dir), *arguments, stdin=stdin)

    def pim_anywhere(
        self, *arguments: str, stdin: str | None = None, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the client, which has to find a daemon."""
        return subprocess.run(
            [sys.executable, "-m", "pimd.cli", *arguments],
            env=self.environ | environ,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # a test may choose another encoding for the terminal
            input=stdin,
            check=False,
            timeout=60,
        )

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        return code


class UnixClient:
    """A client of the Unix socket that can wait for notifications."""

    def __init__(self, path: Path, *, hello: bool = True, timeout_s: float = 30) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rwb")
        self.notifications: list[dict[str, Any]] = []
        self._id = 0
        if hello:
            self.call("rpc.hello", {"client": "test/1", "rpc_version": 1})

    def send(self, raw: bytes) -> None:
        self._file.write(raw)
        self._file.flush()

    def receive(self) -> Any:
        line = self._file.readline()
        return json.loads(line) if line else None

    def call(self, method: str, params: Any = None) -> Any:
        self._id += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode() + b"\n")
        while True:
            answer = self.receive()
            assert answer is not None
            if answer.get("id") == self._id:
                assert "result" in answer, answer
                return answer["result"]
            self.notifications.append(answer)

    def wait_for(self, kind: str) -> dict[str, Any]:
        """Return the params of the next notification of a kind."""
        while True:
            for index, notification in enumerate(self.notifications):
                if notification["params"].get("kind") == kind:
                    return dict(self.notifications.pop(index)["params"])
            received = self.receive()
            assert received is not None, "the daemon hung up"
            self.notifications.append(received)

    def end_of_requests(self) -> None:
        """Close the sending side; answers still come."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self._socket.close()
