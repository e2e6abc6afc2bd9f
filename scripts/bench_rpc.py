"""A server for the benchmark, in a process of its own: `ours`, or `plain` aiohttp and jsonrpcserver."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web
from jsonrpcserver import Success, async_dispatch

from pimd.clock import SystemClock
from pimd.contract import NoParams
from pimd.rpc.connection import Connection
from pimd.rpc.http import HttpConfig
from pimd.rpc.registry import Method
from pimd.rpc.server import RpcConfig, RpcServer

TOKEN = "0" * 64


async def ours(directory: Path) -> str:
    """Serve the real RPC listeners; returns the address line."""

    async def ping(_: Connection, __: NoParams) -> str:
        return "pong"

    server = RpcServer(SystemClock(), lambda name: {"hint": name}, list)
    server.registry.add([Method("ping", "bench", ping, "Ping.", str)])
    group = asyncio.TaskGroup()
    await group.__aenter__()
    await server.start(RpcConfig(directory / "s", HttpConfig("127.0.0.1", 0)), TOKEN, group)
    if server.http is None:
        raise RuntimeError("no HTTP RPC listener")
    return json.dumps({"unix": str(directory / "s"), "http": server.http.url, "port": server.http.port})


async def plain(directory: Path) -> str:
    """Serve the same with the libraries as their manuals show them."""

    async def ping() -> Any:
        return Success("pong")

    methods: dict[str, Any] = {"ping": ping, "rpc.hello": ping}

    async def post(request: web.Request) -> web.Response:
        text = await async_dispatch(await request.text(), methods)
        return web.Response(text=str(text), content_type="application/json")

    async def socket(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(str(await async_dispatch(message.data, methods)))
        return response

    async def lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(str(await async_dispatch(line.decode(), methods)).encode() + b"\n")
            await writer.drain()

    app = web.Application()
    app.add_routes([web.post("/rpc", post), web.get("/ws", socket)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await asyncio.start_unix_server(lines, directory / "s")
    port = runner.addresses[0][1]
    return json.dumps({"unix": str(directory / "s"), "http": f"http://127.0.0.1:{port}/rpc", "port": port})


async def main() -> None:
    """Serve until killed."""
    with tempfile.TemporaryDirectory() as directory:
        print(await {"ours": ours, "plain": plain}[sys.argv[1]](Path(directory)), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
