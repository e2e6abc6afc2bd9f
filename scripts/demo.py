"""Shows two nodes on this machine: a message from alice to bob, and its receipts coming back."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

BANNER_LINES = 6


@contextmanager
def node(name: str, home: Path) -> Iterator[Path]:
    """Run a daemon of its own; yields its data directory once it is up."""
    data_dir = home / name
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PIM_", "PIMD_"))},
        "PIM_CONFIG_PATH": str(home / f"{name}.toml"),
        "PIM_RPC_SOCKET": str(home / f"{name}.sock"),
        "PIMD_NODE__NAME": name,
        "PIMD_TRANSPORT__LISTEN_HOST": "127.0.0.1",
        "PIMD_TRANSPORT__LISTEN_PORT": "0",
        "PIMD_RPC__HTTP_PORT": "0",
        "PIMD_DISCOVERY__ENABLED": "false",  # these two are linked by hand, and with nobody else
        "PIMD_LOG__LEVEL": "warn",
    }
    (home / f"{name}.toml").touch()
    command = [sys.executable, "-m", "pimd", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or not all(process.stdout.readline() for _ in range(BANNER_LINES)):
            raise SystemExit(f"{name} did not start; the reason is above")
        try:
            yield data_dir
        finally:
            process.terminate()


def pim(data_dir: Path, *arguments: str, say: bool = True) -> str:
    """Run the client, showing what it is told and what it answers."""
    if say:
        print(f"\n[{data_dir.name}] $ pim {' '.join(arguments)}")
    done = subprocess.run(
        [sys.executable, "-m", "pimd.cli", "--data-dir", str(data_dir), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    if say:
        print(done.stdout, end="")
    return done.stdout


def when_it_happens(data_dir: Path, stream: str, **wanted: str) -> "subprocess.Popen[str]":
    """Start to watch a stream of notifications; `wait` on the result returns when one has the wanted members."""
    watch = (
        "import json,sys;from pathlib import Path;from pimd.cli.connection import UnixConnection,call\n"
        "connection=UnixConnection(Path(sys.argv[1]));call(connection,sys.argv[2]);print('watching',flush=True)\n"
        "wanted=json.loads(sys.argv[3])\n"
        "while not wanted.items()<=connection.notification()['params'].items():pass\n"
    )
    path = json.loads((data_dir / "daemon.json").read_text())["unix_socket"]
    command = [sys.executable, "-c", watch, path, f"{stream}.subscribe", json.dumps(wanted)]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if watcher.stdout is not None:
        watcher.stdout.readline()
    return watcher


def main() -> None:
    """Run the demonstration and say what to type next."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pimd-demo-")))
        print("Two nodes, each with its own key, on this machine:")
        alice, bob = (stack.enter_context(node(name, home)) for name in ("alice", "bob"))
        port = json.loads(pim(bob, "--json", "status", say=False))["transport"]["tcp"]["port"]
        linked = stack.enter_context(when_it_happens(alice, "peers", kind="connected"))
        pim(alice, "add", f"127.0.0.1:{port}")
        linked.wait()
        pim(alice, "peers")
        delivered = stack.enter_context(when_it_happens(alice, "messages", new_status="delivered"))
        read = stack.enter_context(when_it_happens(alice, "messages", new_status="read"))
        pim(alice, "send", "bob", "Hello bob, this went end-to-end encrypted.")
        delivered.wait()
        pim(bob, "inbox", "alice")
        read.wait()
        pim(alice, "inbox", "bob")
    print(
        "\nThat was it; both nodes are gone again. What to type next:\n"
        "  ./scripts/run                          start your own node, in the foreground\n"
        "  .venv/bin/pim status                   in another terminal: who it is and whom it sees\n"
        "  .venv/bin/pim add OTHER-MACHINE        link with another machine that runs pimd\n"
        '  .venv/bin/pim send NAME "hello"        write to it'
    )


if __name__ == "__main__":
    main()
