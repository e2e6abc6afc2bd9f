"""Names are looked up aside: a lookup that hangs holds up neither other work nor the end of the program."""

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pimd.addresses import Endpoint
from pimd.net.lookup import Lookup
from pimd.net.transports.tcp import TcpTransport


class Resolver:
    """Stands for the system's, which asks servers that do not answer until `answer` is set."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.asked: list[str] = []
        self.found = "127.0.0.1"
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int, **how: Any) -> Any:
        if how.get("flags") == socket.AI_NUMERICHOST:
            return self._real(host, port, **how)
        self.asked.append(host)
        self.answer.wait(20)
        return self._real(self.found, port, **how)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    silent = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    yield silent
    silent.answer.set()


@pytest.fixture
async def event_loop_errors() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


async def dial(transport: TcpTransport, host: str) -> None:
    with pytest.raises(TimeoutError):
        await transport.dial(Endpoint.tcp(host, 9), asyncio.Protocol, 0.01)


def test_the_program_ends_and_works_while_lookups_hang(resolver: Resolver) -> None:
    async def main() -> str:
        transport = TcpTransport()
        for number in range(40):  # more than the event loop's own pool has threads
            await dial(transport, f"h{number}.example")
        return await asyncio.to_thread(lambda: "done")

    assert asyncio.run(main()) == "done"
    assert len(resolver.asked) == 40
    assert not resolver.answer.is_set()


async def test_a_name_that_hangs_is_asked_for_once_and_answers_all(resolver: Resolver) -> None:
    lookup = Lookup()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(lookup.addresses("h.example", port)) for port in (9, 9, 10)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        resolver.answer.set()
    assert [address[-1] for address in waiting[1].result()] == [("127.0.0.1", 9)]
    assert [address[-1] for address in waiting[2].result()] == [("127.0.0.1", 10)]
    assert resolver.asked == ["h.example"] * 2
    await lookup.addresses("h.example", 9)
    assert resolver.asked == ["h.example"] * 3


async def test_an_answer_that_nobody_waits_for_any_more_is_no_news(
    resolver: Resolver, event_loop_errors: list[dict[str, Any]]
) -> None:
    lookup = Lookup()
    resolver.found = "999.999.999.999"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lookup.addresses("h.example", 9), 0.01)
    late = lookup._underway["h.example", 9]
    resolver.answer.set()
    await asyncio.wait([late])
    assert not lookup._underway
    del late
    gc.collect()
    assert event_loop_errors == []


async def test_an_address_needs_no_thread(resolver: Resolver) -> None:
    for host, address in (("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1")):
        [found] = await Lookup().addresses(host, 9)
        assert found[-1][:2] == (address, 9)
    assert resolver.asked == []


async def test_where_no_thread_is_left_the_next_try_is_a_new_one(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        del thread
        raise RuntimeError("can't start new thread")

    lookup = Lookup()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="no thread is left"):
            await lookup.addresses("h.example", 9)
    resolver.answer.set()
    assert [address[-1] for address in await lookup.addresses("h.example", 9)] == [("127.0.0.1", 9)]


@pytest.mark.parametrize("host", ["relay..example.org", "x" * 64 + ".example.org"])
async def test_what_is_no_host_name_is_not_found(host: str) -> None:
    with pytest.raises(socket.gaierror, match="it is no host name"):
        await Lookup().addresses(host, 9)


async def test_what_is_not_found_says_why() -> None:
    with pytest.raises(socket.gaierror):
        await Lookup().addresses("999.999.999.999", 9)
