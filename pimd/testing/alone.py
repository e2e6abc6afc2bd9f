"""One feature in a daemon of its own: what it sends is kept and goes nowhere, and a test hands it what would arrive."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, SecretBytes, SecretStr

from pimd.assembly.assembly import Assembly
from pimd.assembly.choice import installed_at_first
from pimd.assembly.known import known_features
from pimd.assembly.plugin_host import PluginHost
from pimd.assembly.services import channel_of
from pimd.contract import DaemonPlugin, Feature, FeatureRow, PluginPayload
from pimd.ids import NodeId
from pimd.lab.daemon import LabDaemon
from pimd.lab.lab import Lab
from pimd.lab.log import LabRecord
from pimd.mesh.node import Node
from pimd.rpc.connection import Connection
from pimd.testing.recording import Outbox, RecordingNode, SentDatagram, SentPayload

PATIENCE_S = 40.0
"""Virtual seconds; longer than the 30 s after which the daemon ends a call."""
STRANGER = NodeId(b"\x5a" * 16)
"""A node that nobody knows."""


class NotRunning(Exception):  # noqa: N818 - says what is the matter
    """The feature under test is failed, quarantined or off; the text is the reason in its row."""


class Alone:
    """Use as an async context manager in a test under `virtual_time`; the feature is stopped at the end.

    `settings` is an instance of its declared model, or its table. `beside` are features that it requires and that neither
    the build nor another distribution brings. With `must_run`, `NotRunning` is raised when the feature does not start.
    A failure of the feature that the daemon caught, such as an exception of `handle_payload`, is an AssertionError at the
    end unless `may_fail`.
    """

    def __init__(
        self,
        feature: Feature,
        *,
        settings: BaseModel | Mapping[str, Any] | None = None,
        beside: Sequence[Feature] = (),
        must_run: bool = True,
        may_fail: bool = False,
    ) -> None:
        self.feature = feature
        self._may_fail = may_fail
        self.outbox = Outbox()
        self.lab = Lab(1, features=[*beside, feature], log_level="debug")
        table = settings_table(settings)
        self._tables = {"features": {"enabled": _needed(feature, beside), **({feature.name: table} if table else {})}}
        self._must_run = must_run

    async def __aenter__(self) -> Self:
        await self.lab.__aenter__()
        try:
            make = partial(RecordingNode, outbox=self.outbox)
            self.daemon: LabDaemon = self.lab.add_daemon("alone", settings=self._tables, make_node=make)
            await self.daemon.start()
            if self._must_run:
                self.refuse_stopped()
        except BaseException as error:
            await self.lab.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.daemon.stop()
        await self.lab.__aexit__(kind, error, trace)
        if error is None and self._must_run and not self._may_fail:
            refuse_failures(self.logged, [self.feature])

    # --- what it is

    @property
    def _assembly(self) -> Assembly:
        return self.daemon.running_daemon.assembly

    @property
    def row(self) -> FeatureRow:
        """Its row in `features.list`."""
        return self._assembly.row(self.feature.name)

    @property
    def host(self) -> PluginHost:
        """What runs the plugin; `NotRunning` while it is off."""
        host = self._assembly.host(self.feature.name)
        if host is None:
            raise NotRunning(f"feature {self.feature.name} is {self.row.state}: {self.row.reason}")
        return host

    @property
    def plugin(self) -> DaemonPlugin:
        """The plugin object of the present start."""
        return self.host.plugin

    @property
    def node(self) -> Node:
        """The node that it runs on."""
        return self.daemon.node

    @property
    def id(self) -> NodeId:
        """The id of this node."""
        return self.daemon.id

    def refuse_stopped(self) -> None:
        """Raise `NotRunning` with the reason unless the feature runs."""
        if self.row.state != "running":
            raise NotRunning(f"feature {self.feature.name} is {self.row.state}: {self.row.reason}")

    # --- what it did

    @property
    def sent(self) -> list[SentPayload]:
        """The payloads that it sent; clear it as you like."""
        return self.outbox.payloads

    @property
    def datagrams(self) -> list[SentDatagram]:
        """The packets that it sent."""
        return self.outbox.datagrams

    def published(self, stream: str) -> list[dict[str, Any]]:
        """The params of all events on a stream so far, as subscribers would get them; ValueError for one that is not there."""
        return self.daemon.published(stream)

    @property
    def logged(self) -> list[LabRecord]:
        """All log records, of the daemon, too."""
        return self.lab.log_of(self.daemon)

    def forget_records(self) -> None:
        """Empty what was sent and published so far, also what the daemon holds for subscribers; the log stays."""
        self.sent.clear()
        self.datagrams.clear()
        self.daemon.events.clear()
        for stream in self.daemon.running_daemon.rpc.streams.all():
            stream.forget()

    # --- what comes to it

    async def deliver(self, kind: str, body: bytes = b"", src: NodeId = STRANGER) -> None:
        """Let a payload arrive; return when the plugin took it, after 40 virtual seconds at the latest.

        ValueError for a kind that the feature does not claim.
        """
        self.node.payloads.deliver(src, PluginPayload(kind, body))
        if kind not in self.row.payload_kinds:
            there = ", ".join(self.row.payload_kinds) or "none"
            raise ValueError(
                f"feature {self.feature.name} does not claim the payload kind {kind!r}; it claims: {there}"
            )
        await self.idle()

    async def deliver_datagram(self, packet: bytes, src: NodeId = STRANGER) -> None:
        """Let a packet arrive; return when the receiver took it. LookupError when the feature has set none."""
        receiver = self.outbox.receivers.get(channel_of(self.feature.name))
        if receiver is None:
            raise LookupError(f"feature {self.feature.name} has set no receiver of datagrams")

        async def take() -> None:
            receiver(src, packet)

        await self.daemon.within("a datagram", take)

    async def tell_writable(self, dst: NodeId) -> None:
        """Tell that a packet to `dst` may be sent again, if it was told otherwise before."""
        notice = self.outbox.writable.pop(dst, None)

        async def tell() -> None:
            if notice is not None:
                notice(dst)

        await self.daemon.within("a writable notice", tell)

    async def know(self, peer: NodeId, name: str = "", x25519_pub: bytes = b"\x42" * 32) -> None:
        """Enter a peer into the keystore, as `peers.import_identity` does."""
        keystore = self.daemon.running_daemon.core.keystore
        await self.daemon.within("an import", lambda: keystore.import_identity(peer, x25519_pub, name))

    async def forget(self, peer: NodeId) -> None:
        """Forget a peer that is known; returns after the plugin was told."""
        keystore = self.daemon.running_daemon.core.keystore
        await self.daemon.within("forgetting", lambda: keystore.forget(peer))

    async def neighbour(self, name: str = "neighbour") -> LabDaemon:
        """Link this node with a daemon without features, whose card and route it then has."""
        other = self.lab.add_daemon(name, settings={"features": {"enabled": []}})
        self.lab.connect(self.daemon, other)
        await self.lab.start(other)
        keystore, mesh = self.daemon.running_daemon.core.keystore, self.node.service
        await self.lab.until(lambda: mesh.route(other.id) is not None and keystore.get(other.id) is not None, 30)
        return other

    async def call(self, method: str, params: Mapping[str, Any] | None = None, feed: Connection | None = None) -> Any:
        """Call a method; returns its result as JSON, or raises `RpcError`."""
        return await self.daemon.call(method, params, feed)

    async def idle(self) -> None:
        """Return when no payload waits and no call runs, after 40 virtual seconds at the latest."""
        until = self.lab.now + PATIENCE_S
        while self.lab.now < until:
            for _ in range(3):
                await asyncio.sleep(0)
            host = self._assembly.host(self.feature.name)
            if host is None or host.is_idle:
                return
            await asyncio.sleep(0.02)

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    async def disable(self) -> None:
        """Stop the feature as `features.disable` does."""
        await self.call("features.disable", {"name": self.feature.name})

    async def enable(self) -> None:
        """Start it again; `RpcError` when it does not start."""
        await self.call("features.enable", {"name": self.feature.name})


def refuse_failures(records: Iterable[LabRecord], features: Iterable[Feature]) -> None:
    """AssertionError with the failures of these features that a daemon caught and logged."""
    starts = tuple(f"feature {feature.name}: " for feature in features)
    found = [one.text for one in records if one.level == "ERROR" and one.text.startswith(starts)]
    if starts and found:
        lines = "\n  ".join(dict.fromkeys(found))
        raise AssertionError(f"the daemon caught failures; a test that wants them says may_fail=True:\n  {lines}")


def settings_table(settings: BaseModel | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the table that the settings stand for; secrets are in the clear, and what is None is left out."""
    if settings is None:
        return {}
    if isinstance(settings, BaseModel):
        settings = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {key: _plain(value) for key, value in settings.items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case BaseModel() | Mapping():
            return settings_table(value)
        case SecretStr() | SecretBytes():
            return value.get_secret_value()
        case Enum():
            return value.value
        case PurePath():
            return str(value)
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in value]
    return value


def _needed(feature: Feature, beside: Iterable[Feature]) -> list[str]:
    """Names of the feature and of everything that it requires, itself last."""
    requires = {name: row.requires for name, row in known_features().items()}
    requires |= {one.name: one.requires for one in (*beside, feature)}
    installed = {candidate.name: candidate for candidate in installed_at_first()}
    found: dict[str, None] = {}
    waiting = [*(one.name for one in beside), feature.name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            if name not in requires and name in installed:
                declared = installed[name].load()
                requires[name] = declared.requires if isinstance(declared, Feature) else ()
            waiting.extend(requires.get(name, ()))
    return list(found)[::-1]
