"""Errors of the terminal client, each with its exit code."""

from typing import Any

from pimd.cli.text import visible_name

EXIT_OK = 0
EXIT_ANSWERED = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3
EXIT_INTERRUPTED = 130


class PimError(Exception):
    """Ends the program with a line for people and `code`."""

    code = EXIT_ANSWERED

    def for_programs(self) -> dict[str, Any] | None:
        """What `--json` prints, with the exit code as `code`; None when the answer is printed already."""
        return {"code": self.code, "message": str(self)}


class AnsweredError(PimError):
    """The daemon answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        lines = [f"{error.get('message', 'no reason given')} (error {error.get('code')})", *_candidates(error)]
        super().__init__("\n".join(lines))
        self.error = error

    def for_programs(self) -> dict[str, Any] | None:
        """The error as the daemon gave it."""
        return self.error


def _candidates(error: dict[str, Any]) -> list[str]:
    """Whom a name can mean, or who is linked when it means nobody; one line each."""
    data = error.get("data")
    if not isinstance(data, dict):
        return []
    rows = data.get("candidates") or data.get("linked") or []
    lines = [
        "  " + "  ".join(filter(None, map(row.get, ("node_id", "address", "label")))) + _named(row) for row in rows
    ]
    return [*lines, f"  and {data['more']} more"] if data.get("more") else lines


def _named(row: dict[str, Any]) -> str:
    return f'  "{visible_name(row["name"])}"' if row.get("name") else ""


class NotReachedError(PimError):
    """The daemon answered that a node could not be reached."""

    def for_programs(self) -> dict[str, Any] | None:
        """Nothing more than that answer."""
        return None


class OutputError(PimError):
    """Standard output cannot be written."""

    def for_programs(self) -> dict[str, Any] | None:
        """Nothing: it would go to standard output."""
        return None


class UsageError(PimError):
    """The command line is wrong; exit code 2."""

    code = EXIT_USAGE


class NoDaemonError(PimError):
    """No daemon answers at the places searched, or the connection broke; exit code 3."""

    code = EXIT_NO_DAEMON
