"""Looks up host names in threads that nothing waits for: the system's own lookup can hang as long as it likes."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from functools import partial

from aiohappyeyeballs import AddrInfoType


class Lookup:
    """One thread a name at most: whoever asks again while it hangs waits for the same answer.

    The event loop's own pool is joined at the end of the program and has few threads, which other work needs.
    """

    def __init__(self) -> None:
        self._underway: dict[tuple[str, int], asyncio.Future[Sequence[AddrInfoType]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Return the addresses for TCP, best first; `socket.gaierror` without any."""
        asked = (host, port)
        if asked not in self._underway:
            answer = self._underway[asked] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda _: self._underway.pop(asked, None))
            threading.Thread(target=_look_up, args=(*asked, answer), name=f"look up {host}", daemon=True).start()
        return await asyncio.shield(self._underway[asked])


def _look_up(host: str, port: int, answer: asyncio.Future[Sequence[AddrInfoType]]) -> None:
    try:
        tell = partial(answer.set_result, socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError:  # a label is empty or too long
        tell = partial(answer.set_exception, socket.gaierror(socket.EAI_NONAME, "it is no host name"))
    except OSError as error:
        tell = partial(answer.set_exception, error)
    with contextlib.suppress(RuntimeError):  # the program has ended
        answer.get_loop().call_soon_threadsafe(tell)
