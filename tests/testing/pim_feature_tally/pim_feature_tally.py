"""A feature of somebody else: nodes vote, and each counts the votes that it got."""

from typing import ClassVar

from pydantic import Field

from pimd.contract import (
    PUBLISH,
    DaemonPlugin,
    EventStream,
    Feature,
    FeatureSettings,
    NodeIdHex,
    NoParams,
    Params,
    PeerNotFound,
    PluginContext,
    PluginPayload,
    RecentMap,
    Result,
    declare,
    rpc,
)
from pimd.ids import NodeId

VOTERS = declare("voters of a tally", 256, "nodes", "the one that voted longest ago is forgotten")


class TallySettings(FeatureSettings):
    """`[features.tally]`."""

    choices: list[str] = Field(default=["yes", "no"], min_length=1, max_length=16)


class VoteParams(Params):
    """Whom to tell, and what."""

    node_id: NodeIdHex
    choice: str = Field(max_length=100)


class Counted(Result):
    """A vote came."""

    kind: str = "counted"
    node_id: NodeIdHex
    choice: str


class Tally(Result):
    """Votes by choice."""

    votes: dict[str, int]


class TallyPlugin(DaemonPlugin):
    """Keeps the newest vote of each node."""

    name: ClassVar[str] = "tally"
    payload_kinds: ClassVar[tuple[str, ...]] = ("tally.vote",)

    async def start(self, ctx: PluginContext) -> None:
        """Begin with no votes."""
        self._ctx = ctx
        self._publish = ctx.services[PUBLISH]
        self._choices = TallySettings.model_validate(ctx.settings.model_dump()).choices
        self._votes: RecentMap[NodeId, str] = RecentMap(VOTERS, ctx.bites)

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Count a vote for one of the choices; others are ignored."""
        choice = body.decode(errors="replace")
        if choice in self._choices:
            self._votes.put(src, choice)
            self._publish("tally.event", Counted(node_id=src, choice=choice))

    async def on_peer_forgotten(self, peer: NodeId) -> None:
        """Forget its vote."""
        self._votes.pop(peer, None)

    @rpc("tally.vote", errors=(PeerNotFound,))
    async def vote(self, params: VoteParams) -> None:
        """Send a vote to a node."""
        if not await self._ctx.control.send_routed(
            params.node_id, PluginPayload("tally.vote", params.choice.encode(errors="replace"))
        ):
            raise PeerNotFound(f"{params.node_id} cannot be reached now; peers.list shows who can")

    @rpc("tally.count")
    async def count(self, _: NoParams) -> Tally:
        """Count the votes."""
        votes = [choice for _, choice in self._votes.items()]
        return Tally(votes={choice: votes.count(choice) for choice in self._choices})


FEATURE = Feature(
    name="tally",
    summary="Counts votes of nodes.",
    namespaces=("tally",),
    plugin=TallyPlugin,
    events=(EventStream("tally.event", Counted),),
    settings=TallySettings,
    uses=(PUBLISH,),
)
