"""Multicast DNS by python-zeroconf: announces one instance and listens for others."""

import ipaddress
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from zeroconf import (
    Error,
    RecordUpdate,
    RecordUpdateListener,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from pimd.contract import Bites, declare
from pimd_features.discovery.announcement import SERVICE_TYPE, TEXT, Properties, Service
from pimd_features.discovery.networks import Address, OwnAddress

LIFETIME_S = 1125
"""How long others cache an announcement that is not repeated; the shortest that python-zeroconf accepts."""
ASK_MS = 3000
"""Milliseconds that an instance has to answer with its port, addresses and text."""
BIND_TO_DEVICE = (1, 25)
"""SOL_SOCKET and SO_BINDTODEVICE (socket(7)). A socket that joined a group hears it on all interfaces on which any socket
joined. Each session would answer those of the others, with addresses that nobody there can reach."""
POINTER = 12
"""The type of the record that names an instance (RFC 1035)."""
LABEL_LIMIT = 63
"""Bytes of one part of a name (RFC 1035)."""
_IPV4_NAME = 2
"""Parts of the name of an IPv4 socket."""
POINTERS = declare(
    "announcements heard on one session",
    20_000,
    "announcements",
    "the session ends; within an hour nothing is heard for 30 s",
)
"""Repetitions included, because the memory of python-zeroconf grows with each."""


class MdnsReceiver(Protocol):
    """Is called by a session for each event of an instance; `ServiceBrowser` implements it."""

    def appeared(self, session: "Session", instance: str) -> None:
        """An instance is new on this session, or its records changed."""

    def heard(self, instance: str) -> None:
        """An instance repeated its announcement."""

    def vanished(self, instance: str) -> None:
        """An instance said goodbye, or its records expired."""


class Session:
    """Owns the multicast sockets of one interface; OSError or `zeroconf.Error` when they cannot be opened."""

    def __init__(self, own: Sequence[OwnAddress], receiver: MdnsReceiver, bites: Bites) -> None:
        self._bites = bites
        self.own = own
        self._receiver = receiver
        ipv4 = [str(one.ip) for one in own if one.ip.version == 4]  # noqa: PLR2004
        ipv6 = dict.fromkeys(one.index for one in own if one.ip.version == 6)  # noqa: PLR2004
        self._zeroconf = AsyncZeroconf(interfaces=[*ipv4, *ipv6])
        self._pointers = _Pointers(receiver, self._zeroconf.zeroconf, bites)
        self._browser: AsyncServiceBrowser | None = None
        self._announced: AsyncServiceInfo | None = None

    @property
    def is_worn_out(self) -> bool:
        """Whether the limit of announcements is reached and a new session is due."""
        return self._pointers.count > POINTERS.value

    async def listen(self) -> None:
        """Start to receive the announcements of others."""
        await self._zeroconf.zeroconf.async_wait_for_start()
        if sys.platform == "linux":
            for reader in self._zeroconf.zeroconf.engine.readers:
                with suppress(OSError):  # not allowed before Linux 5.7
                    reader.transport.get_extra_info("socket").setsockopt(
                        *BIND_TO_DEVICE, self.own[0].interface.encode()
                    )
        self._zeroconf.zeroconf.async_add_listener(self._pointers, None)
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._changed])

    def joined(self) -> list[OwnAddress]:
        """Return the addresses on whose networks it listens, after `listen`; the system may refuse some."""
        bound = [_bound(sender.sock_name) for sender in self._zeroconf.zeroconf.engine.senders]
        networks = {
            (one.index, one.ip.version) for one in self.own if (one.ip, one.index) in bound or (one.ip, 0) in bound
        }
        return [one for one in self.own if (one.index, one.ip.version) in networks]

    async def announce(self, port: int, addresses: Sequence[OwnAddress], properties: Properties) -> None:
        """Announce this node three times under new random names, then withdraw the names before."""
        before = self._announced
        self._announced = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{secrets.token_hex(16)}.{SERVICE_TYPE}",
            port,
            properties=dict(properties),
            server=f"{secrets.token_hex(16)}.local.",
            other_ttl=LIFETIME_S,
            addresses=[one.ip.packed for one in addresses],
        )
        # The names are random, so no probe for a conflict is needed.
        await (await self._zeroconf.async_register_service(self._announced, cooperating_responders=True))
        if before is not None:
            await (await self._zeroconf.async_unregister_service(before))

    def look_up(self, instance: str) -> Service | None:
        """Return the records received of an instance; None while some are missing."""
        with suppress(Error):
            info = AsyncServiceInfo(SERVICE_TYPE, instance)
            if info.load_from_cache(self._zeroconf.zeroconf):
                return self._service(info)
        return None

    async def ask(self, instance: str) -> Service | None:
        """Query an instance for missing records; None when it does not answer."""
        with suppress(Error):
            info = AsyncServiceInfo(SERVICE_TYPE, instance)
            if await info.async_request(self._zeroconf.zeroconf, ASK_MS):
                return self._service(info)
        return None

    async def close(self, *, goodbye: bool) -> None:
        """Close the sockets; with `goodbye` the announcement is withdrawn first."""
        if self._browser is not None:
            await self._browser.async_cancel()
        if not goodbye:
            self._zeroconf.zeroconf.generate_unregister_all_services()
        await self._zeroconf.async_close()

    def _service(self, info: AsyncServiceInfo) -> Service | None:
        if len(info.text) > TEXT.value:
            self._bites.count(TEXT)
            return None
        return Service(info.port, info.parsed_scoped_addresses(), info.properties) if info.port else None

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:  # the names are python-zeroconf's
        del zeroconf, service_type
        is_own = self._announced is not None and name == self._announced.name
        if is_own or not _can_be_asked_for(name):
            return
        if state_change is ServiceStateChange.Removed:
            self._receiver.vanished(name)
        else:
            self._receiver.appeared(self, name)


class _Pointers(RecordUpdateListener):
    """Counts every announcement, repetitions included.

    A name that was no UTF-8 is longer once decoded. python-zeroconf caches it, but cannot write it into the known
    answers of its next query. After that exception it never queries again, so the name is removed first.
    """

    def __init__(self, receiver: MdnsReceiver, zeroconf: Zeroconf, bites: Bites) -> None:
        self.count = 0
        self._bites = bites
        self._receiver = receiver
        self._zeroconf = zeroconf
        self._unwritable: list[RecordUpdate] = []

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Called by python-zeroconf with the records of one packet."""
        for update in records:
            record = update.new
            if record.type == POINTER and record.key == SERVICE_TYPE:
                self.count += 1
                if self.count == POINTERS.value + 1:
                    self._bites.count(POINTERS)
                instance: str = record.alias  # type: ignore[attr-defined] # every record of this type has one
                if _can_be_asked_for(instance):
                    self._receiver.heard(instance)
                else:
                    self._unwritable.append(update)

    def async_update_records_complete(self) -> None:
        """Remove the unwritable names, which python-zeroconf has cached by now."""
        self._zeroconf.cache.async_remove_records(update.new for update in self._unwritable)
        self._unwritable.clear()


def _bound(sock_name: tuple[Any, ...]) -> tuple[Address, int]:
    """Return address and scope of a socket; the scope of IPv4, and of an IPv6 address that needs none, is 0."""
    return ipaddress.ip_address(str(sock_name[0]).partition("%")[0]), sock_name[3] if len(sock_name) > _IPV4_NAME else 0


def _can_be_asked_for(instance: str) -> bool:
    return all(len(label.encode()) <= LABEL_LIMIT for label in instance.split("."))
