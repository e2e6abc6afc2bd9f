"""Looks up host names in threads that nothing waits for, because the system's look-up can hang."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Sequence
from functools import partial

from aiohappyeyeballs import AddrInfoType


class Lookup:
    """At most one thread for a name and port; later callers wait for the same answer.

    The event loop's own pool is not used: it is joined at the end of the program, and other work needs its few threads.
    """

    def __init__(self) -> None:
        self._underway: dict[tuple[str, int], asyncio.Future[Sequence[AddrInfoType]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Return the addresses for TCP, best first; `socket.gaierror` without any."""
        with contextlib.suppress(OSError, UnicodeError):  # an address needs no server
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        asked = (host, port)
        if asked not in self._underway:
            self._underway[asked] = self._ask(*asked)
        return await asyncio.shield(self._underway[asked])

    def _ask(self, host: str, port: int) -> asyncio.Future[Sequence[AddrInfoType]]:
        answer: asyncio.Future[Sequence[AddrInfoType]] = asyncio.get_running_loop().create_future()
        thread = threading.Thread(target=_look_up, args=(host, port, answer), name=f"look up {host}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "no thread is left to look the name up") from None
        answer.add_done_callback(partial(self._answered, (host, port)))
        return answer

    def _answered(self, asked: tuple[str, int], answer: asyncio.Future[Sequence[AddrInfoType]]) -> None:
        del self._underway[asked]
        answer.exception()  # without this nobody would read the result after all callers gave up


def _look_up(host: str, port: int, answer: asyncio.Future[Sequence[AddrInfoType]]) -> None:
    try:
        tell = partial(answer.set_result, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError:  # a label is empty or too long
        tell = partial(answer.set_exception, socket.gaierror(socket.EAI_NONAME, "it is no host name"))
    except OSError as error:
        tell = partial(answer.set_exception, error)
    with contextlib.suppress(RuntimeError):  # the program has ended
        answer.get_loop().call_soon_threadsafe(tell)
