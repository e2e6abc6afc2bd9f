"""Run inside a namespace: prints what so many instances announce, as anybody on that network can see it."""

import asyncio
import json
import sys
from typing import Any

import ifaddr
from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

TYPE = "_pim._tcp.local."


async def browse(count: int) -> list[dict[str, Any]]:
    """Return the instances once there are that many."""
    names: asyncio.Queue[str] = asyncio.Queue()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Added:
            names.put_nowait(name)

    addresses = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    network = AsyncZeroconf(interfaces=[address for address in addresses if address != "127.0.0.1"])
    browser = AsyncServiceBrowser(network.zeroconf, TYPE, handlers=[changed])
    found: list[dict[str, Any]] = []
    while len(found) < count:
        info = AsyncServiceInfo(TYPE, await names.get())
        assert await info.async_request(network.zeroconf, 5000)
        text = {key.decode(): (value or b"").decode() for key, value in info.properties.items()}
        found.append({"name": info.name, "host": info.server, "port": info.port, "text": text})
    await browser.async_cancel()
    await network.async_close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(browse(int(sys.argv[1])))))  # noqa: T201
