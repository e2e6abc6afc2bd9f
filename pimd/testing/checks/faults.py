"""What the daemon logged of a feature that fails, and how long it took to end."""

from pimd.lab.log import LabRecord
from pimd.testing.alone import Alone
from pimd.testing.checks.check import Broken

GRAVE = frozenset({"WARNING", "ERROR", "CRITICAL"})
STOP_S = 6.0
"""Seconds within which a feature is stopped."""
LINES = 3
"""Lines of the log that a message shows."""
ALLOWED = ("stops while these run on", "is brought by")
"""What the daemon warns of and the contract allows."""


class Faults:
    """The log lines of failures since the last look."""

    def __init__(self, alone: Alone) -> None:
        self._alone = alone
        self._seen = len(alone.logged)

    @classmethod
    def all(cls, alone: Alone) -> list[str]:
        """Return the lines of all failures since the daemon was made."""
        made = cls(alone)
        made._seen = 0
        return made.new()

    def refuse(self, doing: str) -> None:
        """Raise `Broken` with the first failure since the last look, or when the feature does not run any more."""
        found = self.new()
        if found:
            raise Broken(f"{'; '.join(found[:LINES])} ({doing})")
        row = self._alone.row
        if row.state in {"failed", "quarantined"}:
            raise Broken(f"the feature is {row.state}: {row.reason} ({doing})")

    def new(self) -> list[str]:
        """Return the lines, and look at them no more."""
        records = self._alone.logged
        new, self._seen = records[self._seen :], len(records)
        return [record.text for record in new if record.level in GRAVE and self._is_meant(record)]

    def _is_meant(self, record: LabRecord) -> bool:
        """Tell whether the daemon wrote the line because of the feature, and the contract forbids what it tells."""
        name, text = self._alone.feature.name, record.text
        if any(allowed in text for allowed in ALLOWED):
            return False
        if record.source == "pimd.rpc":
            return any(method in text for method in self._alone.feature.marked_names())
        if record.source == "pimd.features":
            return f"feature {name}" in text
        own = text.startswith((f"feature {name}", "a line that cannot be written")) or "ended by force" in text
        return own and record.source == f"pimd.features.{name}"


async def stop(alone: Alone, faults: Faults, doing: str) -> None:
    """Disable the feature; `Broken` when that takes too long, or anything of it fails."""
    began = alone.lab.now
    await alone.disable()
    took = alone.lab.now - began
    faults.refuse(doing)
    if took > STOP_S + 0.01:
        raise Broken(f"it took {took:.1f} s to stop, more than {STOP_S:g} s ({doing})")
