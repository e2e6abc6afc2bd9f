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
from pimd.limits import Bites, Budget
from pimd.rpc import envelope
from pimd.rpc.caveats import Asked
from pimd.rpc.connection import Connection
from pimd.rpc.envelope import INTERNAL_ERROR, INVALID_REQUEST, Batch, Fault, Request
from pimd.rpc.invoke import Failed, Handler, handler, invoke
from pimd.rpc.limits import BATCH_ANSWER, CALLS_IN_ALL, CALLS_PER_CONNECTION, OWN_BYTES, PARSED, VALUES, OverLimit
from pimd.rpc.registry import Method, Registry
from pimd.rpc.turns import TURN_S, Turns

log = logging.getLogger("pimd.rpc")

METHOD_NOT_FOUND = -32601
UNAUTHORIZED = -32003
OVERLOADED = -32005
VALUE_BYTES = 128
"""What a parsed value takes besides its text."""
UNDONE = "nothing was done, send it again"
FULL = "too many answers wait to be read over all connections"


@dataclass(frozen=True)
class Part:
    """The answer to one request object, and how many bytes of it are counted."""

    text: str | None
    held: int = 0


@dataclass(frozen=True)
class Message:
    """One message as `parse` found it, to be given to `answer` at once."""

    content: Request | Batch | Fault
    weight: int
    """Bytes that are counted until it is answered."""
    has_room: bool


@dataclass(frozen=True)
class Answer:
    """The answer, and the callbacks that run once it is sent."""

    text: str | None
    """None for a notification, which gets no answer."""
    after: Sequence[Callable[[], None]] = ()
    held: int = 0
    """Bytes counted in `connection.output`; the listener gives them back once the socket took them."""

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
        self.turns = Turns()
        """Listeners take one before they give a message to `answer`; the members of a batch take theirs."""
        self._registry = registry
        self._handlers: dict[str, tuple[Method, Handler]] = {}
        self._parsed = Budget(PARSED, bites)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def stop(self) -> None:
        """Begin no more calls; those in flight go on."""
        self._stopping = True

    def cancel(self) -> None:
        """Cancel the calls in flight."""
        for task in tuple(self._tasks):
            task.cancel()

    def parse(self, raw: bytes | bytearray) -> Message:
        """Read one message and count it; nothing of `raw` is needed any more."""
        weight = _weight(raw)
        if not weight or self._parsed.take(weight):
            return Message(envelope.parse(raw, self.bites), weight, has_room=True)
        return Message(envelope.parse(raw, self.bites), 0, has_room=False)

    async def answer(self, message: Message, connection: Connection) -> Answer:
        """Answer one message; errors of clients and methods become answers, so nothing is raised."""
        content = message.content
        try:
            if isinstance(content, Fault):
                return Answer(envelope.failure(content))
            if self.calls >= CALLS_IN_ALL.value or not connection.has_room:
                self.bites.count(CALLS_PER_CONNECTION if self.calls < CALLS_IN_ALL.value else CALLS_IN_ALL)
                return self._overloaded(content)
            if not message.has_room:
                return self._overloaded(content)
            return await self._counted(content, connection)
        finally:
            self._parsed.give_back(message.weight)

    async def _counted(self, message: Request | Batch, connection: Connection) -> Answer:
        self.calls += 1
        self.idle.clear()
        connection.calls += 1
        callbacks: list[Callable[[], None]] = []
        token = after_answer_callbacks.set(callbacks)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            part = await self._answer_parsed(message, connection)
            return Answer(part.text, callbacks, part.held)
        # The dispatch seam: a bug in answering one message must not end the daemon.
        except Exception:
            log.exception("a message could not be answered")
            return Answer(envelope.failure(Fault(INTERNAL_ERROR, "the daemon could not answer; its log has the cause")))
        finally:
            after_answer_callbacks.reset(token)
            if task is not None:
                self._tasks.discard(task)
            self.calls -= 1
            if not self.calls:
                self.idle.set()
            connection.calls -= 1

    async def _answer_parsed(self, message: Request | Batch, connection: Connection) -> Part:
        if isinstance(message, Request):
            return await self._answer_one(message, connection)
        parts: list[Part] = []
        try:
            await self._answer_members(message, connection, parts)
        except BaseException:
            _give_back(connection, parts)
            raise
        texts = [part.text for part in parts if part.text is not None]
        return Part(envelope.batch_text(texts) if texts else None, sum(part.held for part in parts))

    async def _answer_members(self, message: Batch, connection: Connection, parts: list[Part]) -> None:
        """Run one after the other; when the caller left, those that did not begin are dropped."""
        now = asyncio.get_running_loop().time
        began, size = now(), 0
        for number, member in enumerate(message.members):
            if number:
                await self.turns.take(connection)
            # Within a turn it is not looked: who sends quick notifications may leave at once.
            if now() - began > TURN_S and connection.has_left():
                return
            if size < BATCH_ANSWER.value or not _is_answered(member):
                part = await self._answer_one(member, connection)
            else:
                self.bites.count(BATCH_ANSWER)
                part = Part(self._failure(member, f"the answers of a batch have at most {BATCH_ANSWER}; {UNDONE}"))
            if part.text is not None:
                parts.append(part)
                size += len(part.text)

    async def _answer_one(self, request: Request | Fault, connection: Connection) -> Part:
        if isinstance(request, Fault):
            return Part(envelope.failure(request))
        refusal = self._refusal(request, connection)
        outcome = refusal if refusal is not None else await self._run(request, connection)
        if request.is_notification:
            return Part(None)
        text = envelope.failure(outcome) if isinstance(outcome, Fault) else outcome
        if connection.output is None or refusal is not None:  # a refusal is short
            return Part(text)
        try:
            connection.output.take(len(text))
        except OverLimit:
            done = "it failed" if isinstance(outcome, Fault) else "it was done"
            why = f"{done}, but its answer of {len(text)} bytes found no room: {FULL}"
            return Part(self._failure(request, why))
        return Part(text, len(text))

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
        method = self._registry.get(request.method)
        if method is None:
            why = self._registry.explain_absent(request.method)
            return Fault(METHOD_NOT_FOUND, f"Method not found: {why['hint']}", why, request.id)
        if connection.grant is not None:
            refused = connection.grant.refusal(Asked(method.name, method.reads, method.stream))
            if refused is not None:
                return Fault(refused.code, refused.message, refused.data, request.id)
        if self._stopping:
            return Fault(OVERLOADED, "the daemon is stopping; nothing was done", id=request.id)
        if connection.output is not None and not connection.output.has_room:
            return Fault(OVERLOADED, f"{FULL}; {UNDONE}", id=request.id)
        return None

    async def _run(self, request: Request, connection: Connection) -> str | Fault:
        method = self._registry.get(request.method)
        if method is None:
            raise LookupError(request.method)
        if isinstance(
            request.params, dict
        ):  # which the method's model validates, so that nothing is left to the library
            outcome = await invoke(method, connection, (), request.params)
        else:
            outcome = await self._run_by_position(method, request, connection)
        if isinstance(outcome, Failed):
            return Fault(outcome.code, outcome.message, outcome.data, request.id)
        return envelope.success(None if request.is_notification else request.id, outcome)

    async def _run_by_position(self, method: Method, request: Request, connection: Connection) -> str | Failed:
        library_request = LibraryRequest(request.method, request.params, request.id)
        _, found = await dispatch_request({request.method: self._handler(method)}, connection, library_request)
        if not isinstance(found, Left):
            return str(found._value.result)  # noqa: SLF001 - oslash has no other way
        error = found._error  # noqa: SLF001 - see above
        return Failed(error.code, error.message, None if error.data is NODATA else error.data)

    def _handler(self, method: Method) -> Handler:
        cached = self._handlers.get(method.name)
        if cached is None or cached[0] is not method:
            cached = self._handlers[method.name] = (method, handler(method))
        return cached[1]

    def _overloaded(self, message: Request | Batch) -> Answer:
        text = f"too many calls are in flight; {UNDONE} when others have been answered"
        members: tuple[Any, ...] = message.members if isinstance(message, Batch) else (message,)
        texts = [self._failure(member, text) for member in members if _is_answered(member)]
        if not texts:
            return Answer(None)
        return Answer(envelope.batch_text(texts) if isinstance(message, Batch) else texts[0])

    @staticmethod
    def _failure(member: Request | Fault, text: str) -> str:
        return envelope.failure(member if isinstance(member, Fault) else Fault(OVERLOADED, text, id=member.id))


def _is_answered(member: Request | Fault) -> bool:
    return isinstance(member, Fault) or not member.is_notification


def _give_back(connection: Connection, parts: Sequence[Part]) -> None:
    if connection.output is not None:
        connection.output.give_back(sum(part.held for part in parts))


def _weight(raw: bytes | bytearray) -> int:
    """Bytes that a parsed message may take; 0 for a small one. One character that is not ASCII makes four bytes of each."""
    if len(raw) * (VALUE_BYTES + 4) <= OWN_BYTES:
        return 0
    values = min(sum(map(raw.count, envelope.MARKS)), VALUES.value)
    size = (len(raw) if raw.isascii() else 4 * len(raw)) + VALUE_BYTES * values
    return size if size > OWN_BYTES else 0
