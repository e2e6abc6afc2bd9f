"""The three RPC listeners together: started last, stopped first."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pimd.clock import Clock
from pimd.limits import Bites
from pimd.rpc.auth import TokenAuth
from pimd.rpc.core_methods import rpc_methods
from pimd.rpc.dispatch import Dispatch
from pimd.rpc.http import HttpConfig, HttpRpcListener
from pimd.rpc.limits import GRACE_S, Budgets
from pimd.rpc.openrpc import Description
from pimd.rpc.reading import BigMessages
from pimd.rpc.registry import Registry
from pimd.rpc.streams import Streams
from pimd.rpc.token_book import TokenBook
from pimd.rpc.unix import UnixRpcListener


@dataclass(frozen=True)
class RpcConfig:
    """The configuration of each RPC listener; None closes it."""

    unix_socket: Path | None
    http: HttpConfig | None


class RpcServer:
    """Owns the method table, its streams, and the RPC listeners."""

    def __init__(
        self,
        clock: Clock,
        explain_absent: Callable[[str], dict[str, Any]],
        running_features: Callable[[], Sequence[str]],
        bites: Bites | None = None,
    ) -> None:
        self._bites = bites = bites or Bites()
        self.registry = Registry(explain_absent)
        self.streams = Streams(clock, bites)
        self.dispatch = Dispatch(self.registry, bites)
        self.budgets = Budgets(bites)
        self.big_messages = BigMessages(bites)
        self.unix: UnixRpcListener | None = None
        self.http: HttpRpcListener | None = None
        self._clock = clock
        self._describe = Description(self.registry)
        self.registry.add(rpc_methods(self.registry, self._describe, running_features))

    async def start(
        self, config: RpcConfig, token: str, group: asyncio.TaskGroup, tokens: TokenBook | None = None
    ) -> None:
        """Open the RPC listeners; on `SocketInUse` or OSError none stays open."""
        if config.http is not None:
            auth = TokenAuth(token, self._clock, self._bites, tokens)
            self.http = HttpRpcListener(
                config.http, auth, self.dispatch, self.streams, self.budgets, self.big_messages, self._describe
            )
            await self.http.start()
        if config.unix_socket is not None:
            self.unix = UnixRpcListener(
                config.unix_socket, self.dispatch, self.streams, self.budgets, self.big_messages
            )
            try:
                await self.unix.start(group)
            except BaseException:
                await self.stop()
                raise

    async def stop(self) -> None:
        """Begin no more calls, give those in flight 300 ms, then cancel them and close."""
        self.dispatch.stop()
        if self.unix is not None:
            self.unix.stop_accepting()
        if self.http is not None:
            self.http.stop_accepting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self.dispatch.idle.wait()
        self.dispatch.cancel()
        if self.unix is not None:
            self.unix.abort()
        if self.http is not None:
            await self.http.abort()
