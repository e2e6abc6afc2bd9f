"""Causal order: messages are placed as they arrive, parents first where both came at once. No I/O."""

from collections.abc import Collection, Mapping, Sequence

from pimd.ids import MessageId


def arranged(arrived: Sequence[tuple[MessageId, Collection[MessageId]]]) -> list[MessageId]:
    """Return messages that came at once with parents before children, otherwise in the given order.

    Ids are hashes over the parents, so there are no circles; one that were made up would be cut where it is met first.
    """
    parents = dict(arrived)
    done: dict[MessageId, None] = {}
    entered: set[MessageId] = set()
    for one, _ in arrived:
        _place(one, parents, done, entered)
    return list(done)


def _place(
    first: MessageId,
    parents: Mapping[MessageId, Collection[MessageId]],
    done: dict[MessageId, None],
    entered: set[MessageId],
) -> None:
    waiting = [first]
    while waiting:
        one = waiting[-1]
        missing = (
            [] if one in entered else [parent for parent in parents[one] if parent in parents and parent not in done]
        )
        entered.add(one)
        if any(parent not in entered for parent in missing):
            waiting.extend(parent for parent in reversed(missing) if parent not in entered)
            continue
        waiting.pop()
        done.setdefault(one)
