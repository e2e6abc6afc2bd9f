"""Explains a missing method: the `data` of a -32601 answer."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pimd.assembly.known import KnownFeature
from pimd.contract import FeatureRow


def explain_absent(
    method: str,
    known: Mapping[str, KnownFeature],
    declared: Mapping[str, Sequence[str]],
    rows: Sequence[FeatureRow],
    names: Callable[[], Sequence[str]],
) -> dict[str, Any]:
    """Return `feature`, `state` and `hint`; the feature is null when no known one declares such a method.

    `declared` holds the namespaces of those that were imported.
    """
    namespace = method.split(".", maxsplit=1)[0]
    for row in rows:
        owned = known[row.name].namespaces if row.name in known else declared.get(row.name, (row.name,))
        if namespace in owned and row.state != "running":
            return {"feature": row.name, "state": row.state, "hint": _hint(method, row)}
    near = difflib.get_close_matches(method[:SHOWN], names(), 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else "rpc.methods lists what there is"
    return {"feature": None, "state": "unknown", "hint": f"there is no method {_shown(method)}; {hint}"}


SHOWN = 64


def _shown(method: str) -> str:
    return ascii(method if len(method) <= SHOWN else method[:SHOWN] + "...")


def _hint(method: str, row: FeatureRow) -> str:
    what = f"{_shown(method)} belongs to the feature {row.name}, "
    again = f'features.enable {{"name": "{row.name}"}}'
    match row.state:
        case "not_built":
            return what + f"which this build was made without; build or install one with PIMD_FEATURES=...,{row.name}"
        case "disabled":
            return what + f"which is off: {row.reason}; {again} turns it on"
        case "starting":
            return what + f"which is starting: {row.reason}; try again in a moment"
        case "stopping":
            return what + f"which is stopping: {row.reason}; {again} starts it again"
        case "quarantined":
            return what + f"which is quarantined: {row.reason}; {again} starts it again"
        case _:
            return what + f"which failed: {row.reason}; {again} tries again"
