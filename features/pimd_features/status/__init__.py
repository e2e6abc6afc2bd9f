"""Identity, addresses, counters and peers of this node."""

from typing import ClassVar

from pydantic import Field

from pimd.contract import (
    ASSEMBLY,
    CONFIG,
    DEFAULT_ROUTE,
    KEYSTORE,
    MESH,
    PEER_SUMMARIES,
    PUBLISH,
    DaemonPlugin,
    EventStream,
    Feature,
    FeatureRow,
    Lagged,
    NodeIdHex,
    NoParams,
    PeerSummary,
    PluginContext,
    Result,
    Subscription,
    Timestamp,
    X25519Hex,
    rfc3339,
    rpc,
    tcp_endpoint,
)
from pimd.ids import NodeId
from pimd_features.status.events import (
    STREAM,
    FeatureChanged,
    FeatureDetail,
    GatewayDetail,
    GatewayLost,
    GatewaySelected,
    Role,
    RoleChanged,
    RoleDetail,
    RouteSwitched,
    StatusEvent,
)
from pimd_features.status.gateways import GatewayWatch


class Interface(Result):
    """The mesh interface; never up before there is a data plane."""

    name: str
    up: bool
    mtu: int


class TcpTransport(Result):
    """Where peers connect to."""

    port: int


class Transports(Result):
    """The ways peers can reach this node."""

    tcp: TcpTransport
    endpoints: list[str] = Field(
        description="Where this node takes links, such as tcp:[::]:9100 or unix:/run/pim/mesh.sock."
    )


class RouteCount(Result):
    """How many destinations have a route."""

    active: int
    expired: int
    selected_gateway: NodeIdHex | None


class Stats(Result):
    """Counters since the start."""

    forwarded_bytes: int
    forwarded_packets: int
    dropped: int
    dropped_reason: str | None = Field(description="The most frequent reason of drops.")
    congestion_drops: int
    bytes_in: int = Field(description="From all links since the start.")
    bytes_out: int
    rate_in: float = Field(description="Bytes a second over all links.")
    rate_out: float
    conntrack_size: int


class Warned(Result):
    """Something wrong that this node knows of."""

    kind: str = Field(description="Such as waits_for_person, same_key, other_key.")
    text: str = Field(description="What is wrong, and what to do, for people.")


class Status(Result):
    """This node at this moment."""

    node: str
    node_id: NodeIdHex
    node_id_short: str
    x25519_pubkey: X25519Hex
    mesh_ip: str
    interface: Interface
    role: list[Role]
    transport: Transports
    peers: list[PeerSummary]
    routes: RouteCount
    stats: Stats
    uptime_s: int
    route_on: bool = Field(description="The wish that traffic to the rest of the world goes through a gateway.")
    route_effective: bool = Field(description="Whether a gateway carries it; nothing is blocked while none does.")
    warnings: list[Warned] = Field(description="The gravest first; empty when all is well.")
    started_at: Timestamp


class StatusPlugin(DaemonPlugin):
    """Answers `status`, and tells what changes."""

    name: ClassVar[str] = "status"

    async def start(self, ctx: PluginContext) -> None:
        """Note when that was, and begin to tell."""
        self._ctx = ctx
        self._started = ctx.clock.now()
        self._started_ms = ctx.clock.unix_ms()
        self._mesh = ctx.services[MESH]
        self._config = ctx.services[CONFIG]
        self._peers = ctx.services[PEER_SUMMARIES]
        self._publish = ctx.services[PUBLISH]
        self._default_route = ctx.services[DEFAULT_ROUTE]
        self._gateways = GatewayWatch(ctx)
        self._publish(STREAM, RoleChanged(detail=RoleDetail(role=self._role())))
        ctx.spawn("features", self._tell_features(ctx.services[ASSEMBLY].subscribe()))
        ctx.spawn("default route", self._tell_switch(self._default_route.subscribe()))
        ctx.spawn("routes", self._gateways.follow_routes(self._mesh.subscribe()))
        ctx.spawn("cards", self._gateways.follow_cards(ctx.peers.subscribe()))
        ctx.spawn("gateway", self._gateways.watch(self._tell_gateway))

    @rpc("status", reads=True)
    async def status(self, _: NoParams) -> Status:
        """Tell what this node is, whom it sees, and how it does."""
        own = self._ctx.identity
        name, mtu = self._config.interface()
        return Status(
            node=self._config.node_name(),
            node_id=own.node_id,
            node_id_short=own.node_id.short,
            x25519_pubkey=own.x25519_pub.hex(),
            mesh_ip=self._config.mesh_cidr(),
            interface=Interface(name=name, up=False, mtu=mtu),
            role=self._role(),
            transport=Transports(
                tcp=TcpTransport(port=tcp_endpoint(self._mesh).port),
                endpoints=[str(endpoint) for endpoint in self._mesh.listen_endpoints],
            ),
            peers=list(self._peers.neighbours()),
            routes=RouteCount(
                active=len(self._mesh.destinations()), expired=0, selected_gateway=self._gateways.selected()
            ),
            stats=self._stats(),
            uptime_s=int(self._ctx.clock.now() - self._started),
            route_on=self._default_route.wanted,
            route_effective=self._default_route.effective,
            warnings=[Warned(kind=problem.kind, text=problem.text) for problem in self._mesh.problems()],
            started_at=rfc3339(self._started_ms),
        )

    async def _tell_features(self, rows: Subscription[FeatureRow]) -> None:
        with rows:
            async for row in rows:
                if isinstance(row, Lagged):
                    self._publish.missed(STREAM, row.missed)
                else:
                    detail = FeatureDetail(name=row.name, state=row.state, reason=row.reason)
                    self._publish(STREAM, FeatureChanged(detail=detail))

    async def _tell_switch(self, wishes: Subscription[bool]) -> None:
        with wishes:
            async for wish in wishes:
                if isinstance(wish, Lagged):
                    self._publish.missed(STREAM, wish.missed)
                else:
                    self._publish(STREAM, RouteSwitched(kind="route_on" if wish else "route_off"))

    def _tell_gateway(self, before: NodeId | None, now: NodeId | None) -> None:
        if now is not None:
            self._publish(STREAM, GatewaySelected(detail=GatewayDetail(node_id=now)))
        elif before is not None:
            self._publish(STREAM, GatewayLost(detail=GatewayDetail(node_id=before)))

    def _role(self) -> list[Role]:
        return ["client", "relay"] if self._mesh.relays else ["client"]

    def _stats(self) -> Stats:
        counters = self._mesh.counters()
        drops = {name: count for name, count in counters.items() if name.startswith("dropped_")}
        links = self._mesh.links()
        most = max(drops, key=drops.__getitem__) if drops else None
        return Stats(
            forwarded_bytes=counters.get("forwarded_bytes", 0),
            forwarded_packets=counters.get("forwarded_frames", 0),
            dropped=sum(drops.values()),
            dropped_reason=most.removeprefix("dropped_") if most else None,
            congestion_drops=counters.get("dropped_congestion", 0),
            bytes_in=counters.get("bytes_in", 0),
            bytes_out=counters.get("bytes_out", 0),
            rate_in=round(sum(link.rate_in for link in links), 1),
            rate_out=round(sum(link.rate_out for link in links), 1),
            conntrack_size=0,
        )


FEATURE = Feature(
    name="status",
    summary="What this node is and whom it sees.",
    namespaces=("status",),
    plugin=StatusPlugin,
    events=(
        # A client that connects later gets the current roles, but no past events.
        EventStream(STREAM, StatusEvent, history=1, remembers=lambda event: isinstance(event, RoleChanged)),
    ),
    requires=("peers",),
    uses=(ASSEMBLY, CONFIG, DEFAULT_ROUTE, KEYSTORE, MESH, PUBLISH),
)
