"""The HTTP RPC listener: `POST /rpc`, `GET /ws`, `GET /healthz`, `GET /openrpc.json`."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import HttpVersion11, web
from aiohttp.web_request import BaseRequest

from pimd.contract import RateLimited, RpcError
from pimd.net.sockets import BACKLOG, tcp_listeners, without_delay
from pimd.rpc.auth import TokenAuth
from pimd.rpc.browser import BrowserRules
from pimd.rpc.dispatch import Dispatch
from pimd.rpc.envelope import INVALID_REQUEST, Fault, failure
from pimd.rpc.http_connection import SERVER, BoundedConnection, BoundedServer, json_response
from pimd.rpc.limits import MESSAGE, OWN_BYTES, Budgets
from pimd.rpc.reading import BigMessages
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
        budgets: Budgets,
        big_messages: BigMessages,
        describe: Callable[[], object],
    ) -> None:
        self._config = config
        self._auth = auth
        self._dispatch = dispatch
        self._streams = streams
        self._describe = describe
        self._browser = BrowserRules(config.allowed_origins, config.allowed_hosts)
        self._server = BoundedServer(self._serve, budgets, big_messages)
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
        self._server.stop_lingering()
        await self._server.shutdown(ABORT_S)

    # --- one request

    async def _serve(self, request: BaseRequest) -> web.StreamResponse:
        try:
            response = await self._routed(request)
        except Refused as refused:
            response = json_response(failure(refused.fault), refused.status, refused.headers)
            if not request.can_read_body:
                _connection(request).consumed()
            else:
                response.force_close()  # the connection reads and drops the body
        finally:
            _connection(request).serve(serving=False)
        if not response.prepared:
            response.headers.update(self._browser.cors(request.headers))
        return response

    async def _routed(self, request: BaseRequest) -> web.StreamResponse:
        found = self._routes.get(request.path)
        if found is None:
            raise Refused(404, "there is /rpc, /ws, /healthz and /openrpc.json here, nothing else")
        refusal = self._browser.refusal(request.headers, request.raw_path)
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
        carrier = _connection(request)
        size = carrier.arrived()
        carrier.serve(serving=True)
        await self._dispatch.turns.take(carrier.caller)
        message = self._dispatch.parse(body)
        del body
        carrier.release(size)
        answer = await self._dispatch.answer(message, carrier.caller)
        del message
        if answer.text is None:
            response: web.StreamResponse = json_response(None, 204)
        else:
            response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8", "Server": SERVER})
            response.content_length = len(answer.text)  # dispatch writes ASCII
        response.headers.update(self._browser.cors(request.headers))
        await response.prepare(request)
        for start in range(0, len(answer.text or ""), OWN_BYTES):
            await response.write((answer.text or "")[start : start + OWN_BYTES].encode())
        await response.write_eof()
        carrier.output.give_back(answer.held)
        answer.sent()
        return response

    async def _body(self, request: BaseRequest) -> bytearray:
        if (request.content_length or 0) > MESSAGE.value:
            raise self._too_long()
        self._expect(request)
        body = bytearray()
        try:
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MESSAGE.value:
                    raise self._too_long()
                await _connection(request).may_read_on()
        except web.RequestPayloadError as error:
            raise Refused(400, "the body could not be read: it is no valid HTTP, or ended early") from error
        return body

    @staticmethod
    def _expect(request: BaseRequest) -> None:
        """Tell a client that waits for it to send the body (RFC 9110, 10.1.1)."""
        expected = request.headers.get("Expect")
        if expected is None or request.version < HttpVersion11:
            return
        if expected.lower() != "100-continue":
            raise Refused(417, "only 100-continue can be expected here")
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_long(self) -> Refused:
        self._dispatch.bites.count(MESSAGE)
        return Refused(413, f"a request body has at most {MESSAGE.value} bytes")

    async def _websocket(self, request: BaseRequest) -> web.StreamResponse:
        has_token = "Authorization" in request.headers
        if has_token:
            self._authorize(request)
        # Some clients send a token as a protocol, and aiohttp logs those that it does not know.
        headers = request.headers.copy()
        headers.popall("Sec-WebSocket-Protocol", None)
        request = request.clone(headers=headers)
        socket = web.WebSocketResponse(
            max_msg_size=MESSAGE.value, compress=False, autoping=False, autoclose=True, decode_text=False
        )
        check = socket.can_prepare(request)
        if not check.ok:
            raise Refused(400, "this is the WebSocket RPC listener; ask for an upgrade, or use POST /rpc")
        socket.headers["Server"] = SERVER
        session = WebSocketSession(
            socket,
            _connection(request),
            self._dispatch,
            self._streams,
            self._auth.check,
            authenticated=has_token,
            grant=_connection(request).caller.grant if has_token else None,
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
            return json_response(json.dumps({"status": "stopping"}), 503)
        return json_response(json.dumps({"status": "ok"}))

    async def _openrpc(self, request: BaseRequest) -> web.StreamResponse:
        self._authorize(request)
        _connection(request).consumed()
        return json_response(json.dumps(self._describe()))

    def _authorize(self, request: BaseRequest) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            grant = self._auth.check(token.strip() if scheme.lower() == "bearer" else None)
        except RateLimited as error:
            headers = {"Retry-After": str(error.data["retry_after_s"])}
            raise Refused(429, error.message, error.code, headers, error.data) from None
        except RpcError as error:
            raise Refused(401, error.message, error.code, {"WWW-Authenticate": 'Bearer realm="pimd"'}) from None
        connection = _connection(request)
        connection.caller.grant = grant
        connection.prove()


def _connection(request: BaseRequest) -> BoundedConnection:
    protocol = request.protocol
    if not isinstance(protocol, BoundedConnection):
        raise TypeError(f"a request of another server: {protocol!r}")
    return protocol


def _preflight(request: BaseRequest, method: str) -> web.Response:
    _connection(request).consumed()
    return json_response(
        None,
        204,
        {
            "Access-Control-Allow-Methods": method,
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        },
    )
