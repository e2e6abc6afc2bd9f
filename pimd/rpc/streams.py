"""Notification streams: each event is numbered and encoded once, and queued for each subscriber."""

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from pimd.clock import Clock
from pimd.contract import EventStream, rfc3339
from pimd.contract.models import MAPPED, PUSH_MODE
from pimd.limits import Bites, Limit
from pimd.rpc.limits import WAITING_BYTES, WAITING_EVENTS

log = logging.getLogger("pimd.rpc")


@dataclass(frozen=True)
class Event:
    """One published payload; `head` is the text of the notification before the subscription's id."""

    seq: int
    payload: BaseModel
    head: str
    pushed_head: str
    """The same for clients in push mode, who may know fewer values (`contract.InPushMode`)."""


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
        self.waiting: deque[Event] = deque()
        self.replay: deque[Event] = deque()
        self.missed = 0
        self._accepts = accepts
        self._bytes = 0
        self._wake = wake
        self._bites = bites

    def offer(self, event: Event) -> None:
        """Queue an event that passes the filter; over the limit all waiting ones are dropped and counted."""
        if not self._accepts(event.payload):
            return
        if len(self.waiting) >= WAITING_EVENTS.value:
            self._lag(WAITING_EVENTS)
        elif self._bytes + len(event.head) > WAITING_BYTES.value:
            self._lag(WAITING_BYTES)
        self.waiting.append(event)
        self._bytes += len(event.head)
        self._wake()

    def begin_with(self, history: Iterable[Event]) -> None:
        """Queue past events before all later ones."""
        self.replay.extend(event for event in history if self._accepts(event.payload))
        self._wake()

    @property
    def is_replaying(self) -> bool:
        """Whether past events still wait."""
        return bool(self.replay)

    def next_text(self) -> str | None:
        """Take the next notification, a lag marker where events were dropped; None when nothing waits."""
        if self.replay:
            return self._text(self.replay.popleft())
        if self.missed and self.waiting:
            missed, self.missed = self.missed, 0
            text = self._lag_marker(missed)
            if text is not None:
                return text
        if not self.waiting:
            return None
        event = self.waiting.popleft()
        self._bytes -= len(event.head)
        return self._text(event)

    def _lag(self, limit: Limit) -> None:
        self._bites.count(limit)
        self.missed += len(self.waiting)
        self.waiting.clear()
        self._bytes = 0

    def _text(self, event: Event) -> str:
        if self._in_push_mode:
            return event.pushed_head + "}}"
        if self.id is None:
            return event.head + "}}"
        comma = "" if event.head.endswith("{") else ", "
        return f'{event.head}{comma}"subscription": "{self.id}", "seq": {event.seq}}}}}'

    def _lag_marker(self, missed: int) -> str | None:
        if self.id is None:
            log.warning("a client in push mode is too slow: %d notifications of %s were dropped", missed, self.stream)
            return None
        next_seq = self.waiting[0].seq
        params = {"kind": "lagged", "missed": missed, "next_seq": next_seq, "subscription": self.id}
        return json.dumps({"jsonrpc": "2.0", "method": self.stream, "params": params})


class Stream:
    """One declared stream: its numbers, its history, its subscribers."""

    def __init__(self, declared: EventStream, clock: Clock, bites: Bites) -> None:
        self._bites = bites
        self.declared = declared
        self.seq = 0
        self._history: deque[Event] = deque(maxlen=declared.history)
        self._clock = clock
        self._subscribers: dict[Subscriber, None] = {}

    def publish(self, payload: BaseModel) -> None:
        """Number the payload and queue it for all; without subscribers or history it is not encoded."""
        remembered = self._is_remembered(payload)
        heads = self._heads(payload) if self._subscribers or remembered else None  # raises before it takes a number
        self.seq += 1
        if heads is None:
            return
        event = Event(self.seq, payload, *heads)
        if remembered:
            self._history.append(event)
        for subscriber in tuple(self._subscribers):
            subscriber.offer(event)

    def attach(
        self, id_: str | None, params: Any, wake: Callable[[], None], *, in_push_mode: bool = False
    ) -> Subscriber:
        """Begin a subscription; the history comes first."""

        def accepts(payload: BaseModel) -> bool:  # the declaration of now: the feature may have been started anew
            declared = self.declared.accepts
            return declared is None or params is None or declared(params, payload)

        subscriber = Subscriber(self.declared.name, id_, accepts, wake, self._bites, in_push_mode=in_push_mode)
        subscriber.begin_with(self._history)
        self._subscribers[subscriber] = None
        return subscriber

    def detach(self, subscriber: Subscriber) -> None:
        """End a subscription; unknown ones are ignored."""
        self._subscribers.pop(subscriber, None)

    def _is_remembered(self, payload: BaseModel) -> bool:
        remembers = self.declared.remembers
        return self.declared.history > 0 and (remembers is None or remembers(payload))

    def _heads(self, payload: BaseModel) -> tuple[str, str]:
        stamp = {"at": rfc3339(self._clock.unix_ms())} if self.declared.stamped else {}
        context: dict[str, bool] = {}
        head = self._head(encoded(payload, stamp, context))
        return head, self._head(encoded(payload, stamp, {PUSH_MODE: True})) if context.get(MAPPED) else head

    def _head(self, params: str) -> str:
        return f'{{"jsonrpc": "2.0", "method": {json.dumps(self.declared.name)}, "params": {params[:-1]}'


def encoded(
    payload: BaseModel, more: Mapping[str, str] = MappingProxyType({}), context: dict[str, bool] | None = None
) -> str:
    """Return a payload, and what is added to it, as JSON; raises whatever its serializers raise, ValueError for NaN.

    `context` is for `contract.InPushMode`.
    """
    return json.dumps({**payload.model_dump(mode="json", context=context), **more}, allow_nan=False)


class Streams:
    """All streams of all running features."""

    def __init__(self, clock: Clock, bites: Bites) -> None:
        self.bites = bites
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._push_all: list[Callable[[Stream], None]] = []

    def add(self, declared: EventStream) -> None:
        """Add a stream; one that existed before continues its numbers. Connections in push mode get it at once."""
        stream = self._streams.get(declared.name)
        if stream is None:
            stream = self._streams[declared.name] = Stream(declared, self._clock, self.bites)
            for attach in tuple(self._push_all):
                attach(stream)
        stream.declared = declared

    def get(self, name: str) -> Stream:
        """Return a stream that was added."""
        return self._streams[name]

    def publish(self, name: str, payload: BaseModel) -> None:
        """Queue a notification without waiting."""
        self._streams[name].publish(payload)

    def push_to(self, attach: Callable[[Stream], None]) -> Callable[[], None]:
        """Call `attach` with every present and future stream; the returned function stops that."""
        for stream in tuple(self._streams.values()):
            attach(stream)
        self._push_all.append(attach)
        return lambda: self._push_all.remove(attach)
