"""The state of a caller's connection that methods and dispatch use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from pimd.contract import SubscriptionResult
from pimd.rpc.limits import CALLS_PER_CONNECTION, ConnectionBytes
from pimd.rpc.streams import Since
from pimd.rpc.token_book import Grant


class Feed(Protocol):
    """The notifications of one connection."""

    def subscribe(self, stream: str, params: object, since: Since | None = None) -> SubscriptionResult:
        """Begin a subscription, with `since` behind that event."""

    def unsubscribe(self, stream: str, subscription_id: str | None) -> None:
        """End one subscription, or with None all of that stream; unknown ids are no error."""

    def push_all(self) -> None:
        """Send every stream from now on (push mode)."""


@dataclass
class Connection:
    """One caller; over HTTP it lasts as long as the request."""

    listener: Literal["unix", "http", "websocket"]
    feed: Feed | None = None
    """None for HTTP, which cannot carry notifications."""
    greeted: bool = True
    """False until `rpc.hello` succeeded, on a listener that demands it."""
    authenticated: bool = True
    """False until `rpc.authenticate` succeeded, on a WebSocket that came without a token."""
    authenticate: Callable[[str], Grant | None] | None = None
    """Checks a token and raises Unauthorized or RateLimited; None on listeners without tokens."""
    grant: Grant | None = None
    """What a narrowed token lets it do; None for the Unix socket and the token in `rpc.token`, which may all."""
    push: bool = False
    output: ConnectionBytes | None = None
    """Answers that were not taken by the socket yet; None where nothing waits, inside the process."""
    has_left: Callable[[], bool] = lambda: False
    """Whether the caller is gone."""
    calls: int = 0
    """In flight."""
    turns: int = 0
    """Taken so far, `turns.Turns`."""

    @property
    def has_room(self) -> bool:
        """Whether one more call may start."""
        return self.calls < CALLS_PER_CONNECTION.value
