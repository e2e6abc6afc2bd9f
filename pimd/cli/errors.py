"""Errors of the terminal client, each with its exit code."""

from typing import Any

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
        super().__init__(f"{error.get('message', 'no reason given')} (error {error.get('code')})")
        self.error = error

    def for_programs(self) -> dict[str, Any] | None:
        """The error as the daemon gave it."""
        return self.error


class NotReachedError(PimError):
    """The daemon answered that a node could not be reached."""

    def for_programs(self) -> dict[str, Any] | None:
        """Nothing more than that answer."""
        return None


class UsageError(PimError):
    """The command line is wrong; exit code 2."""

    code = EXIT_USAGE


class NoDaemonError(PimError):
    """No daemon answers at the places searched, or the connection broke; exit code 3."""

    code = EXIT_NO_DAEMON
