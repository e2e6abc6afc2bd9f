"""A feature that asks another node to echo a text, and answers such questions itself."""

from typing import ClassVar

from pydantic import Field

from pimd.contract import (
    PUBLISH,
    Arg,
    DaemonPlugin,
    EventStream,
    Feature,
    FeatureSettings,
    Line,
    NodeIdHex,
    Params,
    PeerNotFound,
    PluginContext,
    PluginPayload,
    Result,
    Verb,
    rpc,
)
from pimd.ids import NodeId

TEXT_LIMIT = 1000
"""Letters that are asked and answered; a stranger may send up to 60 000 bytes."""


class EchoSettings(FeatureSettings):
    """`[features.echo]`."""

    shout: bool = False


class AskParams(Params):
    """Whom to ask, and what."""

    node_id: NodeIdHex
    text: str = Field(max_length=TEXT_LIMIT)


class Echoed(Result):
    """An answer came."""

    kind: str = "echoed"
    node_id: NodeIdHex
    text: str


class EchoPlugin(DaemonPlugin[EchoSettings]):
    """Answers questions; publishes answers."""

    name: ClassVar[str] = "echo"
    payload_kinds: ClassVar[tuple[str, ...]] = ("echo.ask", "echo.answer")

    async def start(self, ctx: PluginContext[EchoSettings]) -> None:
        """Keep what is needed later."""
        self._ctx = ctx
        self._publish = ctx.services[PUBLISH]
        self._shout = ctx.settings.shout

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """`src` is proven; what it wrote is not to be trusted any further."""
        text = body.decode(errors="replace")[:TEXT_LIMIT]
        if kind == "echo.ask":
            answer = text.upper() if self._shout else text
            await self._ctx.control.send_routed(src, PluginPayload("echo.answer", answer.encode()))
        else:
            self._publish("echo.event", Echoed(node_id=src, text=text))

    @rpc("echo.ask", errors=(PeerNotFound,))
    async def ask(self, params: AskParams) -> None:
        """Ask a node to echo a text; the answer comes as `echo.event`."""
        frame = PluginPayload("echo.ask", params.text.encode())
        if not await self._ctx.control.send_routed(params.node_id, frame):
            raise PeerNotFound(f"{params.node_id} cannot be reached now; peers.list shows who can")


FEATURE = Feature(
    name="echo",
    summary="Asks another node to echo a text.",
    namespaces=("echo",),
    plugin=EchoPlugin,
    events=(EventStream("echo.event", Echoed),),
    verbs=(
        Verb(
            ("echo", "ask"),
            "ask a peer to echo a text",
            "echo.ask",
            args=(Arg("node_id", kind="peer"), Arg("text", help="what to echo")),
            show=Line("asked; the answer comes as echo.event"),
        ),
    ),
    settings=EchoSettings,
    uses=(PUBLISH,),
)
