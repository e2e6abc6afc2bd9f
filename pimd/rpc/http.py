"""The HTTP RPC listener: `POST /rpc`, `GET /ws`, `GET /healthz`, `GET /openrpc.json`."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_request import BaseRequest

from pimd.contract import RateLimited, RpcError
from pimd.net.sockets import BACKLOG, tcp_listeners, without_delay
from pimd.rpc.auth import TokenAuth
from pimd.rpc.browser import BrowserRules
from pimd.rpc.connection import Connection
from pimd.rpc.dispatch import Dispatch
from pimd.rpc.envelope import INVALID_REQUEST, Fault, failure
from pimd.rpc.http_connection import BoundedConnection, BoundedServer
from pimd.rpc.limits import MESSAGE, ReadBudget
from pimd.rpc.streams import Streams
from pimd.rpc.websocket import WebSocketSession

log = logging.getLogger("pimd.rpc")

ABORT_S = 0.01
"""Seconds that a handler has to end once its connection is closed; for aiohttp 0 means no limit."""

Route = Callable[[BaseRequest], Awaitable[web.StreamResponse]]


class Refused(Exception):  # noqa: N818 - a refusal
    """Becomes an HTTP status with a JSON-RPC error as body."""

    def __init__(
        self,
        status: int,
        message: str,
        code: int = INVALID_REQUEST,
        headers: dict[str, str] | None = None,
        data: object = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.fault = Fault(code, message, data)
        self.headers = headers or {}


@dataclass(frozen=True)
class HttpConfig:
    """Address and rules of the HTTP listener."""

    host: str
    port: int
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()


class HttpRpcListener:
    """Serves HTTP and WebSocket on one port."""

    def __init__(
        self,
        config: HttpConfig,
        auth: TokenAuth,
        dispatch: Dispatch,
        streams: Streams,
        read_budget: ReadBudget,
        describe: Callable[[], object],
    ) -> None:
        self._config = config
        self._auth = auth
        self._dispatch = dispatch
        self._streams = streams
        self._describe = describe
        self._browser = BrowserRules(config.allowed_origins, config.allowed_hosts)
        self._server = BoundedServer(self._serve, read_budget)
        self._listeners: list[asyncio.Server] = []
        self._sessions: set[WebSocketSession] = set()
        self._stopping = False
        self._routes: dict[str, tuple[str, Route]] = {
            "/rpc": ("POST", self._rpc),
            "/ws": ("GET", self._websocket),
            "/healthz": ("GET", self._healthz),
            "/openrpc.json": ("GET", self._openrpc),
        }

    async def start(self) -> None:
        """Bind and accept; OSError when the port cannot be had."""
        loop = asyncio.get_running_loop()
        for bound in tcp_listeners(self._config.host, self._config.port, without_delay):
            self._listeners.append(await loop.create_server(self._server, sock=bound, backlog=BACKLOG))

    @property
    def port(self) -> int:
        """The bound port; before `start` the configured one, where 0 lets the system choose."""
        if not self._listeners:
            return self._config.port
        return int(self._listeners[0].sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The URL of `POST /rpc`."""
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        return f"http://{host}:{self.port}/rpc"

    def stop_accepting(self) -> None:
        """Close every connection without a call in flight."""
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        self._server.pre_shutdown()
        for session in tuple(self._sessions):
            session.finish()

    async def abort(self) -> None:
        """Close the remaining connections without waiting for calls."""
        for session in tuple(self._sessions):
            session.abort()
        await self._server.shutdown(ABORT_S)

    # --- one request

    async def _serve(self, request: BaseRequest) -> web.StreamResponse:
        try:
            response = await self._routed(request)
        except Refused as refused:
            response = _json(failure(refused.fault), refused.status, refused.headers)
            if not request.can_read_body:
                _connection(request).consumed()
            else:
                response.force_close()  # an unread body is not worth reading
        finally:
            _connection(request).serve(serving=False)
        if not response.prepared:
            response.headers.update(self._browser.cors(request.headers))
        return response

    async def _routed(self, request: BaseRequest) -> web.StreamResponse:
        found = self._routes.get(request.path)
        if found is None:
            raise Refused(404, "there is /rpc, /ws, /healthz and /openrpc.json here, nothing else")
        refusal = self._browser.refusal(request.headers)
        if refusal is not None:
            raise Refused(403, refusal)
        method, route = found
        if request.method == "OPTIONS" and "Origin" in request.headers:
            return _preflight(request, method)
        if request.method != method:
            raise Refused(405, f"{request.path} takes {method} only", headers={"Allow": method})
        return await route(request)

    async def _rpc(self, request: BaseRequest) -> web.StreamResponse:
        self._authorize(request)
        if (
            request.content_type != "application/json"
            or request.headers.get("Content-Encoding", "identity") != "identity"
        ):
            raise Refused(415, "send the request as application/json, not encoded otherwise")
        body = await self._body(request)
        connection = Connection("http")
        answer = await self._dispatch.answer(body, connection)
        response = web.Response(status=204) if answer.text is None else _json(answer.text)
        if answer.after:
            # Callbacks of `after_answer` run once the answer is written, not before.
            await response.prepare(request)
            await response.write_eof()
            answer.sent()
        return response

    async def _body(self, request: BaseRequest) -> bytes:
        if (request.content_length or 0) > MESSAGE.value:
            raise self._too_long()
        body = bytearray()
        try:
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MESSAGE.value:
                    raise self._too_long()
        except web.RequestPayloadError as error:
            raise Refused(400, f"the body could not be read: {error}") from error
        _connection(request).consumed()
        _connection(request).serve(serving=True)
        return bytes(body)

    def _too_long(self) -> Refused:
        self._dispatch.bites.count(MESSAGE)
        return Refused(413, f"a request body has at most {MESSAGE.value} bytes")

    async def _websocket(self, request: BaseRequest) -> web.StreamResponse:
        has_token = "Authorization" in request.headers
        if has_token:
            self._authorize(request)
        socket = web.WebSocketResponse(max_msg_size=MESSAGE.value, compress=False, autoping=False, autoclose=True)
        check = socket.can_prepare(request)
        if not check.ok:
            raise Refused(400, "this is the WebSocket RPC listener; ask for an upgrade, or use POST /rpc")
        session = WebSocketSession(
            socket, _connection(request), self._dispatch, self._streams, self._auth.check, authenticated=has_token
        )
        self._sessions.add(session)
        try:
            await socket.prepare(request)
            if self._stopping:
                session.finish()
            await session.run()
        finally:
            self._sessions.discard(session)
        return socket

    async def _healthz(self, request: BaseRequest) -> web.StreamResponse:
        _connection(request).consumed()
        if self._stopping:
            return _json(json.dumps({"status": "stopping"}), 503)
        return _json(json.dumps({"status": "ok"}))

    async def _openrpc(self, request: BaseRequest) -> web.StreamResponse:
        self._authorize(request)
        _connection(request).consumed()
        return _json(json.dumps(self._describe()))

    def _authorize(self, request: BaseRequest) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            self._auth.check(token.strip() if scheme.lower() == "bearer" else None)
        except RateLimited as error:
            headers = {"Retry-After": str(error.data["retry_after_s"])}
            raise Refused(429, error.message, error.code, headers, error.data) from None
        except RpcError as error:
            raise Refused(401, error.message, error.code, {"WWW-Authenticate": 'Bearer realm="pimd"'}) from None


def _connection(request: BaseRequest) -> BoundedConnection:
    protocol = request.protocol
    if not isinstance(protocol, BoundedConnection):
        raise TypeError(f"a request of another server: {protocol!r}")
    return protocol


def _json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


def _preflight(request: BaseRequest, method: str) -> web.Response:
    _connection(request).consumed()
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": method,
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        },
    )
