"""From one message to one answer, around jsonrpcserver, one request object at a time."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jsonrpcserver.async_dispatcher import dispatch_request
from jsonrpcserver.request import Request as LibraryRequest
from jsonrpcserver.sentinels import NODATA
from oslash.either import Left

from pimd.contract.methods import after_answer_callbacks
from pimd.limits import Bites
from pimd.rpc import envelope
from pimd.rpc.connection import Connection
from pimd.rpc.envelope import INTERNAL_ERROR, INVALID_REQUEST, Batch, Fault, Request
from pimd.rpc.invoke import Handler, handler, internal_error
from pimd.rpc.limits import CALLS_IN_ALL, CALLS_PER_CONNECTION
from pimd.rpc.registry import Method, Registry

log = logging.getLogger("pimd.rpc")

METHOD_NOT_FOUND = -32601
TURN_S = 0.01
"""Seconds that batch members which never wait may run before others get a turn."""
UNAUTHORIZED = -32003
OVERLOADED = -32005


@dataclass(frozen=True)
class Answer:
    """The answer, and the callbacks that run once it is sent."""

    text: str | None
    """None for a notification, which gets no answer."""
    after: Sequence[Callable[[], None]] = ()

    def sent(self) -> None:
        """Run the callbacks that wait until the answer is handed over."""
        for callback in self.after:
            try:
                callback()
            # The dispatch seam: a failure of a feature's callback ends here.
            except Exception:
                log.exception("what a feature does after an answer failed")


class Dispatch:
    """Answers the messages of all RPC listeners."""

    def __init__(self, registry: Registry, bites: Bites) -> None:
        self.bites = bites
        self.calls = 0
        """In flight, over all connections."""
        self.idle = asyncio.Event()
        """Set while no call is in flight."""
        self.idle.set()
        self._registry = registry
        self._handlers: dict[str, tuple[Method, Handler]] = {}

    async def answer(self, raw: bytes | str, connection: Connection) -> Answer:
        """Answer one message; errors of clients and methods become answers, so nothing is raised."""
        message = envelope.parse(raw, self.bites)
        if isinstance(message, Fault):
            return Answer(envelope.failure(message))
        if self.calls >= CALLS_IN_ALL.value or not connection.has_room:
            self.bites.count(CALLS_PER_CONNECTION if self.calls < CALLS_IN_ALL.value else CALLS_IN_ALL)
            return self._overloaded(message)
        self.calls += 1
        self.idle.clear()
        connection.calls += 1
        callbacks: list[Callable[[], None]] = []
        token = after_answer_callbacks.set(callbacks)
        try:
            return Answer(await self._answer_parsed(message, connection), callbacks)
        # The dispatch seam: a bug in answering one message must not end the daemon.
        except Exception:
            log.exception("a message could not be answered")
            return Answer(envelope.failure(Fault(INTERNAL_ERROR, "the daemon could not answer; its log has the cause")))
        finally:
            after_answer_callbacks.reset(token)
            self.calls -= 1
            if not self.calls:
                self.idle.set()
            connection.calls -= 1

    async def _answer_parsed(self, message: Request | Batch, connection: Connection) -> str | None:
        if isinstance(message, Request):
            return await self._answer_one(message, connection)
        texts: list[str] = []
        now = asyncio.get_running_loop().time
        since = now()
        for member in message.members:
            text = await self._answer_one(member, connection)
            if text is not None:
                texts.append(text)
            if now() - since > TURN_S:
                await asyncio.sleep(0)
                since = now()
        return envelope.batch_text(texts) if texts else None

    async def _answer_one(self, request: Request | Fault, connection: Connection) -> str | None:
        if isinstance(request, Fault):
            return envelope.failure(request)
        refusal = self._refusal(request, connection)
        outcome = refusal if refusal is not None else await self._run(request, connection)
        if request.is_notification:
            return None
        return envelope.failure(outcome) if isinstance(outcome, Fault) else outcome

    def _refusal(self, request: Request, connection: Connection) -> Fault | None:
        if not connection.authenticated and request.method != "rpc.authenticate":
            return Fault(
                UNAUTHORIZED,
                "the first message here is rpc.authenticate with the token from <data_dir>/rpc.token",
                id=request.id,
            )
        if not connection.greeted and request.method != "rpc.hello":
            return Fault(
                INVALID_REQUEST,
                "the first call on this socket is rpc.hello; nothing else is answered before it succeeded",
                id=request.id,
            )
        if self._registry.get(request.method) is None:
            why = self._registry.explain_absent(request.method)
            return Fault(METHOD_NOT_FOUND, f"Method not found: {why['hint']}", why, request.id)
        return None

    async def _run(self, request: Request, connection: Connection) -> str | Fault:
        run = self._handler(request.method)
        library_request = LibraryRequest(request.method, request.params, request.id)
        _, outcome = await dispatch_request({request.method: run}, connection, library_request)
        if not isinstance(outcome, Left):
            try:
                id_ = None if request.is_notification else request.id
                return envelope.success(id_, outcome._value.result)  # noqa: SLF001 - oslash has no other way
            except (ValueError, TypeError, RecursionError) as error:
                outcome = internal_error(request.method, error)
        fault = outcome._error  # noqa: SLF001 - see above
        data = None if fault.data is NODATA else fault.data
        return Fault(fault.code, fault.message, data, request.id)

    def _handler(self, name: str) -> Handler:
        method = self._registry.get(name)
        cached = self._handlers.get(name)
        if method is None:
            raise LookupError(name)
        if cached is None or cached[0] is not method:
            cached = self._handlers[name] = (method, handler(method))
        return cached[1]

    def _overloaded(self, message: Request | Batch) -> Answer:
        text = "too many calls are in flight; nothing was done, send it again when others have been answered"
        members: tuple[Any, ...] = message.members if isinstance(message, Batch) else (message,)
        faults = [
            member if isinstance(member, Fault) else Fault(OVERLOADED, text, id=member.id)
            for member in members
            if isinstance(member, Fault) or not member.is_notification
        ]
        texts = [envelope.failure(fault) for fault in faults]
        if not texts:
            return Answer(None)
        return Answer(envelope.batch_text(texts) if isinstance(message, Batch) else texts[0])
