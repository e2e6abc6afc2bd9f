"""Two or more ends with a network between them that the test empties by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions.account import Moment
from pimd_features.messaging.sessions.bundle import Bundle, make
from pimd_features.messaging.sessions.message import MSG_KIND, Msg2
from tests.features.messaging.sessions.endpoint import Endpoint

Payload = tuple[NodeId, NodeId, str, bytes]
"""Source, destination, kind, body."""


class Net:
    """Keeps what was sent, in order; all of it stays in `recorded`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.on_way: list[Payload] = []
        self.recorded: list[Payload] = []
        self.ends: dict[NodeId, Endpoint] = {}
        self.round_trips = 0
        self.written = 0

    def add(self, name: str) -> Endpoint:
        def send(dst: NodeId, kind: str, body: bytes) -> None:
            self.on_way.append((endpoint.id, dst, kind, body))
            self.recorded.append(self.on_way[-1])

        endpoint = Endpoint(name.encode(), self.directory / f"{name}.db", send)
        self.ends[endpoint.id] = endpoint
        return endpoint

    def deliver(self, lose: Callable[[Payload], bool] = lambda _: False) -> None:
        """Hand over what is on its way now."""
        now, self.on_way = self.on_way, []
        for payload in now:
            src, dst, kind, body = payload
            if not lose(payload):
                self.ends[dst].take(src, kind, body)

    def settle(self, lose: Callable[[Payload], bool] = lambda _: False) -> int:
        """Deliver until all is quiet; return how often it took."""
        turns = 0
        while self.on_way:
            turns += 1
            assert turns < 20
            self.deliver(lose)
        return turns

    def turns_until(self, holds: Callable[[], bool]) -> int:
        """Deliver until it holds; return how often it took, two being a round trip."""
        turns = 0
        while not holds():
            turns += 1
            assert self.on_way
            self.deliver()
        return turns

    def say(self, src: Endpoint, dst: Endpoint, text: str) -> MessageId:
        """Write and send; the message is on its way, or a question for a bundle."""
        self.written += 1
        id_ = MessageId(self.written.to_bytes(16))
        src.write(dst.id, id_, text)
        src.pump_to(dst.id)
        return id_

    def wait(self, ms: int) -> None:
        for endpoint in self.ends.values():
            endpoint.moment = Moment(endpoint.moment.lived_ms + ms, endpoint.moment.unix_ms + ms)

    def bodies(self, kind: str) -> list[bytes]:
        """All payloads of a kind so far."""
        return [body for _, _, one, body in self.recorded if one == kind]


def count(endpoint: Endpoint, table: str) -> int:
    return int(endpoint.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def is_message(payload: Payload) -> bool:
    return payload[2] == MSG_KIND


def first_session(net: Net, alice: Endpoint, bob: Endpoint) -> bytes:
    net.say(alice, bob, "hello")
    net.settle()
    return sessions(net)[0]


def bundle(endpoint: Endpoint, *, one_time: bool, created_ms: int = 1_800_000_000_000) -> Bundle:
    return make(endpoint.identity, endpoint.account, one_time=one_time, created_ms=created_ms).bundle


def sessions(net: Net) -> list[bytes]:
    """The sessions of all messages sent so far, each once, in order."""
    return list(dict.fromkeys(Msg2.decode(body).session_id for body in net.bodies(MSG_KIND)))


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    yield net
    for endpoint in net.ends.values():
        endpoint.stop()


@pytest.fixture
def alice(net: Net) -> Endpoint:
    return net.add("alice")


@pytest.fixture
def bob(net: Net) -> Endpoint:
    return net.add("bob")
