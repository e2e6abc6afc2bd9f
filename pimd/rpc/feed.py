"""The notifications of one connection: its subscriptions, and the one task that writes them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from pimd.contract import InvalidParams, Overloaded, SubscriptionResult
from pimd.rpc.limits import PUSHED_PER_SECOND, SUBSCRIPTIONS
from pimd.rpc.streams import Since, Stream, Streams
from pimd.rpc.subscriber import Event, Gap, Subscriber

Send = Callable[[str], Awaitable[None]]
"""Writes one message and returns once the connection can take more."""

REPLAY_PAUSE_S = 0.1
REPLAY_AFTER_S = 1.0
"""In push mode, from the first subscription of a connection to the history: the client does not listen before."""


class ConnectionFeed:
    """Implements `connection.Feed`; `run` writes until cancelled, `close` ends all subscriptions."""

    def __init__(self, streams: Streams, send: Send) -> None:
        self._streams = streams
        self._send = send
        self._wake = asyncio.Event()
        self._subscribers: dict[str, Subscriber] = {}
        self._pushed: dict[str, Subscriber] = {}
        self._stop_pushing: Callable[[], None] | None = None
        self._replay: asyncio.TimerHandle | None = None
        """In push mode since the first subscription; until it ran nothing is written."""
        self._is_held_back = False

    def subscribe(self, stream: str, params: object, since: Since | None = None) -> SubscriptionResult:
        """Begin a subscription, behind the event that `since` names; in push mode only an id is handed out.

        `Overloaded` over the limit, `InvalidParams` for the number of an event that has not been.
        """
        id_, found = secrets.token_hex(8), self._streams.get(stream)
        missed: int | None = 0
        if self._stop_pushing is not None:
            self._replay_soon()
        else:
            past = _past(found, since)
            if len(self._subscribers) >= SUBSCRIPTIONS.value:
                self._streams.bites.count(SUBSCRIPTIONS)
                raise Overloaded(f"a connection has at most {SUBSCRIPTIONS.value} subscriptions; end some")
            subscriber = self._subscribers[id_] = found.attach(id_, params, self._wake.set)
            subscriber.begin_with(past)
            gaps = [one.missed for one in past if isinstance(one, Gap)]
            missed = None if None in gaps else sum(one or 0 for one in gaps)
        return SubscriptionResult(subscription_id=id_, epoch=self._streams.epoch, seq=found.seq, missed=missed)

    def unsubscribe(self, stream: str, subscription_id: str | None) -> None:
        """End one subscription, or with None all of a stream; unknown ids are ignored."""
        for id_, subscriber in list(self._subscribers.items()):
            if subscriber.stream == stream and subscription_id in (None, id_):
                del self._subscribers[id_]
                self._streams.get(stream).detach(subscriber)

    def push_all(self) -> None:
        """Enter push mode; doing so twice is no error."""
        if self._stop_pushing is None:
            self._stop_pushing = self._streams.push_to(self._push)

    def close(self) -> None:
        """Detach from every stream; the listener calls it when the connection is gone."""
        if self._replay is not None:
            self._replay.cancel()
        if self._stop_pushing is not None:
            self._stop_pushing()
        for subscriber in (*self._subscribers.values(), *self._pushed.values()):
            self._streams.get(subscriber.stream).detach(subscriber)
        self._subscribers.clear()
        self._pushed.clear()

    async def run(self) -> None:
        """Write waiting notifications until cancelled, one of each subscription in turn."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            wrote = await self._write_round()
            while wrote:
                wrote = await self._write_round()

    async def _write_round(self) -> bool:
        """Write at most a second's quota of push mode, or a part of the history, then pause."""
        wrote = replayed = 0
        for subscriber in (*self._subscribers.values(), *self._pushed.values()):
            replaying = subscriber.is_replaying
            for _ in range(PUSHED_PER_SECOND if replaying else 1):
                if self._is_held_back or (self._stop_pushing is not None and wrote >= PUSHED_PER_SECOND):
                    break
                text = subscriber.next_text()
                if text is None:
                    break
                await self._send(text)
                wrote += 1
                replayed += replaying
        if self._stop_pushing is not None:
            await asyncio.sleep(wrote / PUSHED_PER_SECOND)
        elif replayed:
            await asyncio.sleep(REPLAY_PAUSE_S)
        return wrote > 0

    def _push(self, stream: Stream) -> None:
        self._pushed[stream.declared.name] = stream.attach(None, None, self._wake.set, in_push_mode=True)

    def _replay_soon(self) -> None:
        """Hold back what comes, so that it stays in order behind the history."""
        if self._replay is None:
            self._is_held_back = True
            self._replay = asyncio.get_running_loop().call_later(REPLAY_AFTER_S, self._begin_replay)

    def _begin_replay(self) -> None:
        self._is_held_back = False
        for name, subscriber in self._pushed.items():
            subscriber.begin_with(self._streams.get(name).history())


def _past(stream: Stream, since: Since | None) -> list[Event | Gap]:
    if since is None:
        return [*stream.history()]
    if since.is_of_this_start and since.seq > stream.seq:
        raise InvalidParams(
            f"parameter since: {stream.declared.name} has had {stream.seq} events in this epoch, so there is no {since.seq}"
        )
    return stream.since(since)
