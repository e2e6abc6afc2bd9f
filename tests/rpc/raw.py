"""HTTP by hand, for what no client library sends."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass
class Raw:
    """One TCP connection to the HTTP port."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: str | bytes) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, str, Any]:
        """Return status, headers as text, and the parsed body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = [int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length:")]
        body = await self.reader.readexactly(length[0] if length else 0)
        return int(head.split()[1]), head, json.loads(body) if body else None

    async def closed(self) -> bool:
        """Wait until the daemon has closed the connection."""
        try:
            return await self.reader.read() == b"" or self.reader.at_eof()
        except ConnectionResetError:
            return True
