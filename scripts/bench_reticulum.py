"""One node of Reticulum or LXMF for `bench_messages`; runs in an environment of its own, which has `rns` and `lxmf`.

    bench_reticulum.py packets|lxmf FOLDER listen|dial PORT COUNT AT_ONCE

The one that listens announces itself; the one that dials sends COUNT, at most AT_ONCE on their way at a time, and prints
the seconds it took. Both print `ready` first.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import LXMF  # type: ignore[import-not-found]
import RNS  # type: ignore[import-not-found]

BODY = "x" * 200
CONFIG = """
[reticulum]
enable_transport = no
share_instance = no
[logging]
loglevel = 0
[interfaces]
[[link]]
type = {type}
enabled = yes
{ends}
"""


class Announced:
    """Calls `found` with the identity of the first other node."""

    def __init__(self, aspect: str) -> None:
        self.aspect_filter = aspect
        self.receive_path_responses = True
        self.found = threading.Event()
        self.identity: Any = None

    def received_announce(self, destination_hash: bytes, announced_identity: Any, app_data: Any) -> None:
        """As Reticulum calls it."""
        del destination_hash, app_data
        self.identity = announced_identity
        self.found.set()


class Window:
    """So many may be on their way."""

    def __init__(self, count: int, at_once: int) -> None:
        self.places = threading.Semaphore(at_once)
        self.left = count
        self.lost = False
        self.done = threading.Event()
        self._lock = threading.Lock()

    def arrived(self, _: object = None) -> None:
        """One was proven."""
        self.places.release()
        with self._lock:
            self.left -= 1
            if not self.left:
                self.done.set()

    def failed(self, _: object = None) -> None:
        """One was lost, so the figure means nothing."""
        self.lost = True
        self.done.set()


def start(folder: Path, role: str, port: int) -> None:
    """Configure one interface over TCP."""
    folder.mkdir(parents=True)
    kind, address, its_port = {
        "listen": ("TCPServerInterface", "listen_ip", "listen_port"),
        "dial": ("TCPClientInterface", "target_host", "target_port"),
    }[role]
    ends = f"{address} = 127.0.0.1\n{its_port} = {port}"
    (folder / "config").write_text(CONFIG.format(type=kind, ends=ends))
    RNS.Reticulum(str(folder), loglevel=0)


def listen(what: str, folder: Path) -> None:
    """Announce it until killed."""
    identity = RNS.Identity()
    if what == "packets":
        destination = RNS.Destination(identity, RNS.Destination.IN, RNS.Destination.SINGLE, "bench", "packets")
        destination.set_proof_strategy(RNS.Destination.PROVE_ALL)
        announce = destination.announce
    else:
        router = LXMF.LXMRouter(storagepath=str(folder / "lxmf"))
        own = router.register_delivery_identity(identity, display_name="listener")
        router.register_delivery_callback(lambda _: None)

        def announce() -> None:
            router.announce(own.hash)

    print("ready", flush=True)
    while True:
        announce()
        time.sleep(1.0)


def send_packets(other: Any, window: Window, count: int) -> None:
    """Bare packets, each proven."""
    destination = RNS.Destination(other, RNS.Destination.OUT, RNS.Destination.SINGLE, "bench", "packets")
    for _ in range(count):
        if not window.places.acquire(timeout=30):
            return
        receipt = RNS.Packet(destination, BODY.encode()).send()
        receipt.set_delivery_callback(window.arrived)
        receipt.set_timeout_callback(window.failed)


def send_messages(folder: Path, other: Any, window: Window, count: int) -> None:
    """Messages over a link that LXMF keeps, stored by the other."""
    router = LXMF.LXMRouter(storagepath=str(folder / "lxmf"))
    own = router.register_delivery_identity(RNS.Identity(), display_name="sender")
    destination = RNS.Destination(other, RNS.Destination.OUT, RNS.Destination.SINGLE, "lxmf", "delivery")
    for _ in range(count):
        if not window.places.acquire(timeout=30):
            return
        message = LXMF.LXMessage(destination, own, BODY, "", desired_method=LXMF.LXMessage.DIRECT)
        message.register_delivery_callback(window.arrived)
        message.register_failed_callback(window.failed)
        router.handle_outbound(message)


def main() -> None:
    """See the head of the file."""
    what, role = sys.argv[1], sys.argv[3]
    port, count, at_once = map(int, sys.argv[4:])
    folder = Path(sys.argv[2])
    announced = Announced("bench.packets" if what == "packets" else "lxmf.delivery")
    start(folder, role, port)
    if role == "listen":
        listen(what, folder)
        return
    RNS.Transport.register_announce_handler(announced)
    print("ready", flush=True)
    if not announced.found.wait(60):
        sys.exit("no announce came")
    window = Window(count, at_once)
    began = time.perf_counter()
    if what == "packets":
        send_packets(announced.identity, window, count)
    else:
        send_messages(folder, announced.identity, window, count)
    if not window.done.wait(60) or window.lost:
        sys.exit(f"{window.left} of {count} were not proven in time")
    print(time.perf_counter() - began, flush=True)
    os._exit(0)  # its threads wait for packets


if __name__ == "__main__":
    main()
