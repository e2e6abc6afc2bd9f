"""What a check is, and how it says what is wrong."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pimd.testing.checks.subject import Subject

Trial = Callable[[Subject], Awaitable[None]]


class Broken(Exception):  # noqa: N818 - says what is the matter
    """The feature did what the contract forbids; the text says what happened."""


class NotMeant(Exception):  # noqa: N818 - says what is the matter
    """The feature has nothing that the check could try."""


@dataclass(frozen=True)
class Check:
    """One promise of the contract, and a trial that raises `Broken` when it is not kept."""

    name: str
    forbids: str
    """What the contract says, one sentence."""
    remedy: str
    """What an author does about it."""
    run: Trial
    needs_feature: bool = True
    """False for the check that imports the feature."""

    def explained(self, what: str) -> str:
        """Return the message of a failed test."""
        return f"{self.name}: {what}\n  the contract: {self.forbids}\n  what to do: {self.remedy}"


def check(forbids: str, remedy: str, *, needs_feature: bool = True) -> Callable[[Trial], Check]:
    """Make a check of a trial, called like its function."""

    def made(trial: Trial) -> Check:
        return Check(getattr(trial, "__name__", "check").replace("_", " "), forbids, remedy, trial, needs_feature)

    return made
