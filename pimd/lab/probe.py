"""A feature for labs only: sends payloads with unique bodies, and reports those that arrive."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import ClassVar

from pimd.contract import DaemonPlugin, Feature, NodeIdHex, Params, PluginContext, PluginPayload, Result, rpc
from pimd.ids import NodeId

KIND = "lab.probe"

on_probe: ContextVar[Callable[[NodeId, bytes], None] | None] = ContextVar("on_probe", default=None)
"""Called with the proven source and the body of each probe, in the context of the daemon that got it."""


class ProbeParams(Params):
    """The body of a probe, and its destination."""

    node_id: NodeIdHex
    body: str


class Probed(Result):
    """Whether there was a route and a card."""

    sent: bool


class ProbePlugin(DaemonPlugin):
    """Sends and takes probes; no retry, no acknowledgement."""

    name: ClassVar[str] = "lab"
    payload_kinds: ClassVar[tuple[str, ...]] = (KIND,)

    async def start(self, ctx: PluginContext) -> None:
        """Note the context; nothing runs until `probe` is called."""
        self._ctx = ctx

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Call `on_probe` of this context with source and body; without it the payload is ignored."""
        del kind
        show = on_probe.get()
        if show is not None:
            show(src, body)

    @rpc("lab.probe")
    async def probe(self, params: ProbeParams) -> Probed:
        """Send one sealed payload."""
        payload = PluginPayload(KIND, params.body.encode())
        return Probed(sent=bool(await self._ctx.control.send_routed(params.node_id, payload)))


FEATURE = Feature(name="lab", summary="Probes between the daemons of a lab.", namespaces=("lab",), plugin=ProbePlugin)
