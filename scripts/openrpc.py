"""Writes docs/openrpc.json from a running daemon with every feature; with --check only compares."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pimd.cli.connection import UnixConnection, call

TARGET = Path(__file__).parents[1] / "docs" / "openrpc.json"


def described() -> str:
    """Start a daemon of its own and ask it."""
    with tempfile.TemporaryDirectory(prefix="pimd-openrpc-") as home:
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("PIM_", "PIMD_"))}
        environ |= {
            "HOME": home,
            "PIM_CONFIG_PATH": f"{home}/none.toml",
            "PIM_RPC_SOCKET": f"{home}/pim.sock",
            "PIMD_TRANSPORT__LISTEN_PORT": "0",
            "PIMD_RPC__HTTP_ENABLED": "false",
            "PIMD_DISCOVERY__ENABLED": "false",  # it has no methods, and this daemon is nobody's neighbour
        }
        Path(home, "none.toml").touch()
        command = [sys.executable, "-m", "pimd", "--data-dir", f"{home}/data"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as daemon:
            if daemon.stdout is None or not daemon.stdout.readline():
                raise SystemExit("the daemon did not start; the reason is above")
            connection = UnixConnection(Path(home, "pim.sock"))
            try:
                return json.dumps(call(connection, "rpc.discover"), indent=1) + "\n"
            finally:
                connection.close()
                daemon.terminate()


def main() -> int:
    """Return 1 when the committed document is out of date."""
    text = described()
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text() == text:
            return 0
        print("docs/openrpc.json is out of date; run scripts/openrpc and commit it", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
