"""Network namespaces joined by cables and switches, with daemons in them; all of it goes with the test."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.system.daemon import Daemon, UnixClient

PREFIX = "pimdtest"
"""Namespaces are called `pimdtest-<pid>-<name>`: one test runs at a time in a process."""


def missing() -> str | None:
    """Say why this machine cannot have namespaces; None when it can."""
    if shutil.which("ip") is None:
        return "needs the command ip (iproute2)"
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    probe = f"{PREFIX}-{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"network namespaces cannot be made here: {done.stderr.strip()}"
    _ip("netns", "del", probe)
    return None


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Plug:
    """One end of a cable, or a place on a switch."""

    namespace: str
    """As `ip netns` calls it."""
    interface: str
    address: str
    """IPv4; an empty text where there is none."""

    def down(self) -> None:
        """Cut the cable at this end; the other end loses its carrier, too."""
        _ip("-n", self.namespace, "link", "set", self.interface, "down")

    def up(self) -> None:
        """Mend it; the address is still there."""
        _ip("-n", self.namespace, "link", "set", self.interface, "up")


class Namespaces:
    """A context manager: nothing of it is left behind, not even by a run that was killed, once another one starts."""

    def __init__(self) -> None:
        self._made: list[str] = []
        self._networks = 0

    def __enter__(self) -> Self:
        for name in _ip("netns", "list").split():
            if name.startswith(f"{PREFIX}-") and not Path(f"/proc/{name.split('-')[1]}").exists():
                # Another process of the same run may be as quick.
                subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._made:
            _ip("netns", "del", name)  # and the ends of cables in it, with which the other ends go

    def add(self, name: str) -> str:
        """Make a namespace, loopback up, and return what `ip netns` calls it."""
        full = f"{PREFIX}-{os.getpid()}-{name}"
        _ip("netns", "add", full)
        self._made.append(full)
        _ip("-n", full, "link", "set", "lo", "up")
        return full

    def cable(self, one: str, other: str) -> tuple[Plug, Plug]:
        """Join two namespaces by a veth pair of a network of its own."""
        self._networks += 1
        number = self._networks
        ends = (
            Plug(one, f"to{number}a", f"10.77.{number}.1"),
            Plug(other, f"to{number}b", f"10.77.{number}.2"),
        )
        self._veth(*ends)
        for end in ends:
            self._plug_in(end, 30)
        return ends

    def link_local_cable(self, one: str, other: str) -> None:
        """Join two namespaces by interfaces called `plug`, with no addresses but fe80::a and fe80::b."""
        self._veth(Plug(one, "plug", ""), Plug(other, "plug", ""))
        for namespace, address in ((one, "fe80::a/64"), (other, "fe80::b/64")):
            _ip("-n", namespace, "link", "set", "plug", "addrgenmode", "none")
            _ip("-n", namespace, "addr", "add", address, "dev", "plug", "nodad")
            _ip("-n", namespace, "link", "set", "plug", "up")

    @staticmethod
    def pull(namespace: str, interface: str) -> None:
        """Take an interface away, and with it the other end."""
        _ip("-n", namespace, "link", "del", interface)

    def switch(self, *namespaces: str, ipv4: bool = True) -> list[Plug]:
        """Join any number of namespaces by a bridge, in a namespace of its own."""
        self._networks += 1
        number = self._networks
        hub = self.add(f"switch{number}")
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        _ip("-n", hub, "link", "set", "bridge", "up")
        plugs: list[Plug] = []
        for index, namespace in enumerate(namespaces, 1):
            plug = Plug(namespace, f"lan{number}", f"10.78.{number}.{index}" if ipv4 else "")
            port = Plug(hub, f"port{index}", "")
            self._veth(plug, port)
            _ip("-n", hub, "link", "set", port.interface, "master", "bridge")
            self._plug_in(port, 24)
            self._plug_in(plug, 24)
            plugs.append(plug)
        return plugs

    @staticmethod
    def _veth(one: Plug, other: Plug) -> None:
        ends = (one.interface, "netns", one.namespace, "type", "veth", "peer", "name", other.interface)
        _ip("link", "add", *ends, "netns", other.namespace)

    @staticmethod
    def _plug_in(end: Plug, prefix: int) -> None:
        if end.address:
            _ip("-n", end.namespace, "addr", "add", f"{end.address}/{prefix}", "dev", end.interface)
        # Without the second that IPv6 waits for somebody to have the same address, which nobody has.
        inside(end.namespace, "sysctl", "-qw", f"net.ipv6.conf.{end.interface}.accept_dad=0")
        end.up()


def inside(namespace: str, *command: str, text: str | None = None) -> str:
    """Run a command in a namespace with `text` as its input, and return what it prints."""
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, *command],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class NamespaceDaemon(Daemon):
    """A daemon in a namespace, listening on all its addresses, spoken to over its Unix socket."""

    def __init__(
        self, home: Path, name: str, namespace: str, config: str = "", environ: Mapping[str, str] | None = None
    ) -> None:
        own = {"PIMD_TRANSPORT__LISTEN_HOST": "::", "PIMD_TRANSPORT__LISTEN_PORT": "9100"}
        super().__init__(home, name, config, {**own, **(environ or {})})
        self.namespace = namespace
        self.prefix = ["ip", "netns", "exec", namespace]

    def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        """Call over the Unix socket: HTTP is inside the namespace."""
        with self.socket() as client:
            return ask(client, method, params)


def ask(client: UnixClient, method: str, params: Any = None) -> dict[str, Any]:
    """Call and return the whole answer, an error too."""
    client.send(json.dumps({"jsonrpc": "2.0", "id": "ask", "method": method, "params": params}).encode() + b"\n")
    while True:
        answer = client.receive()
        assert answer is not None, "the daemon hung up"
        if answer.get("id") == "ask":
            return dict(answer)
        client.notifications.append(answer)
