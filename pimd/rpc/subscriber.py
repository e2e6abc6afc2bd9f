"""What waits for one subscription: events, and the gaps between them."""

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import BaseModel

from pimd.limits import Bites, Limit
from pimd.rpc.limits import WAITING_BYTES, WAITING_EVENTS

log = logging.getLogger("pimd.rpc")


@dataclass(frozen=True, slots=True)
class Event:
    """One published payload; `head` is the text of the notification before the subscription's id."""

    seq: int
    payload: BaseModel
    head: str
    pushed_head: str
    """The same for clients in push mode, who may know fewer values (`contract.InPushMode`)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Stands where events are missing."""

    missed: int | None
    """How many; None when that is not known, since they were of another start of the daemon."""
    next_seq: int
    """The number from which on events come again."""

    @property
    def first(self) -> int:
        """The number of the first that is missing."""
        return self.next_seq - (self.missed or 0)

    def and_then(self, later: "Gap") -> "Gap":
        """Return one gap for two that follow each other."""
        return Gap((self.missed or 0) + (later.missed or 0), later.next_seq)


class Subscriber:
    """The waiting notifications of one subscription of one connection."""

    def __init__(
        self,
        stream: str,
        id_: str | None,
        accepts: Callable[[BaseModel], bool],
        wake: Callable[[], None],
        bites: Bites,
        *,
        in_push_mode: bool = False,
    ) -> None:
        self.stream = stream
        self.id = id_
        """None in push mode."""
        self._in_push_mode = in_push_mode
        self.waiting: deque[Event | Gap] = deque()
        self.replay: deque[Event | Gap] = deque()
        self._accepts = accepts
        self._bytes = 0
        self._wake = wake
        self._bites = bites

    def offer(self, event: Event) -> None:
        """Queue an event that passes the filter; over the limit a gap takes the place of all waiting ones."""
        if not self._accepts(event.payload):
            return
        if len(self.waiting) >= WAITING_EVENTS.value:
            self._lag(WAITING_EVENTS, event.seq)
        elif self._bytes + len(event.head) > WAITING_BYTES.value:
            self._lag(WAITING_BYTES, event.seq)
        self.waiting.append(event)
        self._bytes += len(event.head)
        self._wake()

    def miss(self, gap: Gap) -> None:
        """Queue a gap in the stream itself; it joins one that waits last."""
        if self.waiting and isinstance(last := self.waiting[-1], Gap):
            self.waiting[-1] = last.and_then(gap)
        else:
            self.waiting.append(gap)
        self._wake()

    def begin_with(self, past: Iterable[Event | Gap]) -> None:
        """Queue what was before all that waits; events that wait already are passed over."""
        first = next((one.seq for one in self.waiting if isinstance(one, Event)), None)
        for one in past:
            if isinstance(one, Gap) or ((first is None or one.seq < first) and self._accepts(one.payload)):
                self.replay.append(one)
        self._wake()

    @property
    def is_replaying(self) -> bool:
        """Whether past events still wait."""
        return bool(self.replay)

    def next_text(self) -> str | None:
        """Take the next notification, a lag marker for a gap; None when nothing waits."""
        while self.replay or self.waiting:
            taken = self._take()
            if isinstance(taken, Event):
                return self._text(taken)
            if self.id is not None:
                return self._lag_marker(taken)
            log.warning(
                "a client in push mode is too slow: %s notifications of %s were dropped", taken.missed, self.stream
            )
        return None

    def _take(self) -> Event | Gap:
        if self.replay:
            return self.replay.popleft()
        taken = self.waiting.popleft()
        if isinstance(taken, Event):
            self._bytes -= len(taken.head)
        return taken

    def _lag(self, limit: Limit, next_seq: int) -> None:
        self._bites.count(limit)
        missed = sum(1 if isinstance(one, Event) else one.missed or 0 for one in self.waiting)
        self.waiting.clear()
        self.waiting.append(Gap(missed, next_seq))
        self._bytes = 0

    def _text(self, event: Event) -> str:
        if self._in_push_mode:
            return event.pushed_head + "}}"
        if self.id is None:
            return event.head + "}}"
        comma = "" if event.head.endswith("{") else ", "
        return f'{event.head}{comma}"subscription": "{self.id}", "seq": {event.seq}}}}}'

    def _lag_marker(self, gap: Gap) -> str:
        params = {"kind": "lagged", "missed": gap.missed, "next_seq": gap.next_seq, "subscription": self.id}
        return json.dumps({"jsonrpc": "2.0", "method": self.stream, "params": params})
