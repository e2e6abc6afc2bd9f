"""Notification streams: each event is numbered, encoded once, held, and queued for each subscriber."""

import json
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from pimd.clock import Clock
from pimd.contract import EventStream, rfc3339
from pimd.contract.models import MAPPED, PUSH_MODE
from pimd.limits import Bites
from pimd.rpc.limits import HELD, HELD_BYTES
from pimd.rpc.subscriber import Event, Gap, Subscriber


@dataclass(frozen=True)
class Since:
    """The last event that a returning subscriber has."""

    seq: int
    is_of_this_start: bool = True
    """False: it was numbered by another start of the daemon, so all that is held is new."""


class HeldEvents:
    """The newest events of a stream; where numbers are missing between them there is a gap."""

    def __init__(self, bites: Bites) -> None:
        self._bites = bites
        self._held: deque[Event | Gap] = deque()
        self._bytes = 0

    def put(self, one: Event | Gap) -> None:
        """Hold one more; over a limit the oldest are dropped."""
        if isinstance(one, Gap) and self._held and isinstance(last := self._held[-1], Gap):
            self._held[-1] = last.and_then(one)
            return
        self._held.append(one)
        self._bytes += _size(one)
        while len(self._held) > HELD.value or self._bytes > HELD_BYTES.value:
            self._bites.count(HELD if len(self._held) > HELD.value else HELD_BYTES)
            self._bytes -= _size(self._held.popleft())

    def after(self, seq: int, newest: int) -> list[Event | Gap]:
        """Return what is behind a number, with a gap at the beginning where that is not held any more."""
        found = [one for one in self._held if (one.seq if isinstance(one, Event) else one.next_seq - 1) > seq]
        first = newest + 1 if not found else found[0].seq if isinstance(found[0], Event) else found[0].first
        missed = first - 1 - seq
        return [Gap(missed, first), *found] if missed > 0 else found


def _size(one: Event | Gap) -> int:
    if isinstance(one, Gap):
        return 0
    return len(one.head) + (0 if one.pushed_head is one.head else len(one.pushed_head))


class Stream:
    """One declared stream: its numbers, its history, what it holds, its subscribers."""

    def __init__(self, declared: EventStream, clock: Clock, bites: Bites) -> None:
        self._bites = bites
        self.declared = declared
        self.seq = 0
        """The number of the newest event."""
        self._history: deque[Event] = deque(maxlen=declared.history)
        self._held = HeldEvents(bites)
        self._clock = clock
        self._subscribers: dict[Subscriber, None] = {}

    def publish(self, payload: BaseModel) -> None:
        """Number the payload, hold it, and queue it for all."""
        remembered = self._is_remembered(payload)
        heads = self._heads(payload)  # raises before it takes a number
        self.seq += 1
        event = Event(self.seq, payload, *heads)
        self._held.put(event)
        if remembered:
            self._history.append(event)
        for subscriber in tuple(self._subscribers):
            subscriber.offer(event)

    def skip(self, missed: int) -> None:
        """Take the numbers of events that the feature itself never saw, and tell all."""
        self.seq += missed
        self._held.put(Gap(missed, self.seq + 1))
        for subscriber in tuple(self._subscribers):
            subscriber.miss(Gap(missed, self.seq + 1))

    def attach(
        self, id_: str | None, params: Any, wake: Callable[[], None], *, in_push_mode: bool = False
    ) -> Subscriber:
        """Begin a subscription with what comes from now on."""

        def accepts(payload: BaseModel) -> bool:  # the declaration of now: the feature may have been started anew
            declared = self.declared.accepts
            return declared is None or params is None or declared(params, payload)

        subscriber = Subscriber(self.declared.name, id_, accepts, wake, self._bites, in_push_mode=in_push_mode)
        self._subscribers[subscriber] = None
        return subscriber

    def detach(self, subscriber: Subscriber) -> None:
        """End a subscription; unknown ones are ignored."""
        self._subscribers.pop(subscriber, None)

    def history(self) -> list[Event]:
        """Return what a new subscription gets first."""
        return list(self._history)

    def since(self, last: Since) -> list[Event | Gap]:
        """Return what is held behind the last event of a subscriber; a gap stands for what is not held any more."""
        if last.is_of_this_start:
            return self._held.after(last.seq, self.seq)
        held = self._held.after(0, self.seq)
        past = held[1:] if held and isinstance(held[0], Gap) else held
        next_seq = held[0].next_seq if held and isinstance(held[0], Gap) else 1
        return [Gap(None, next_seq), *past]

    def forget(self) -> None:
        """Drop what is held and remembered; called by the kit for tests, which looks for what a feature itself keeps."""
        self._history.clear()
        self._held = HeldEvents(self._bites)

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
        self.epoch = secrets.token_hex(8)
        """Names this start of the daemon: numbers of events count from 1 in each."""
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

    def all(self) -> Iterable[Stream]:
        """Every stream, in the order in which they were added."""
        return tuple(self._streams.values())

    def publish(self, name: str, payload: BaseModel) -> None:
        """Queue a notification without waiting."""
        self._streams[name].publish(payload)

    def skip(self, name: str, missed: int) -> None:
        """Tell the subscribers of a stream that events are missing which nobody saw."""
        self._streams[name].skip(missed)

    def push_to(self, attach: Callable[[Stream], None]) -> Callable[[], None]:
        """Call `attach` with every present and future stream; the returned function stops that."""
        for stream in self.all():
            attach(stream)
        self._push_all.append(attach)
        return lambda: self._push_all.remove(attach)
