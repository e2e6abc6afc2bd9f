"""Asks the hops of a way, answers those who ask this one, and shows the table."""

from typing import ClassVar

from pimd.contract import (
    CONFIG,
    DEFAULT_ROUTE,
    KEYSTORE,
    MESH,
    Budget,
    ConfigSaveRejected,
    DaemonPlugin,
    NoParams,
    Overloaded,
    PeerNotFound,
    PluginContext,
    PluginPayload,
    RouteInfo,
    declare,
    nearest_gateways,
    rpc,
)
from pimd.ids import NodeId
from pimd_features.routes.asking import AnswerRate, Questions
from pimd_features.routes.models import (
    Hop,
    KnownGateway,
    MeshStatus,
    RouteEntry,
    RouteTable,
    SplitDefault,
    SplitParams,
    Traced,
    TraceParams,
)
from pimd_features.routes.path import Path, Step
from pimd_features.routes.wire import ANSWER_KIND, ASK_KIND, Answer, Ask

TRACE_S = 25.0
"""Of the 30 s that a call may take."""
TRACES = declare("traces at once", 32, "traces", "the call is refused with -32005")
"""Each has one question out."""


class RoutesPlugin(DaemonPlugin):
    """Owns `route.*` and `mesh.*`."""

    name: ClassVar[str] = "routes"
    payload_kinds: ClassVar[tuple[str, ...]] = (ASK_KIND, ANSWER_KIND)

    async def start(self, ctx: PluginContext) -> None:
        """Note the context, and say what is wished; nothing is sent before the first trace."""
        self._ctx = ctx
        self._mesh = ctx.services[MESH]
        self._keystore = ctx.services[KEYSTORE]
        self._own_id = ctx.identity.node_id
        self._own_name = ctx.services[CONFIG].node_name()
        self._questions = Questions(ctx)
        self._answers = AnswerRate(ctx.clock.now(), ctx.bites)
        self._traces = Budget(TRACES, ctx.bites)
        self._default_route = ctx.services[DEFAULT_ROUTE]
        self._say_what_is_wished()

    async def handle_payload(self, src: NodeId, kind: str, body: bytes) -> None:
        """Answer a question or take an answer; a malformed, late or unrequested one is ignored."""
        if kind == ASK_KIND:
            await self._answer(src, body)
        elif not self._questions.take(src, body):
            self._ctx.log.debug("an answer of %s came late or unasked", src.abbreviated)

    # --- methods

    @rpc("route.table", reads=True)
    async def table(self, _: NoParams) -> RouteTable:
        """List the way to every node, and the gateways among them."""
        routes, now = self._mesh.routes(), self._ctx.clock.now()
        gateways = nearest_gateways(routes, self._keystore)
        ids = {route.destination for route in gateways}
        return RouteTable(
            routes=[_entry(route, now, is_gateway=route.destination in ids) for route in routes],
            gateways=[_gateway(route, selected=route is gateways[0]) for route in gateways],
        )

    @rpc("route.trace", errors=(PeerNotFound, Overloaded), reads=True)
    async def trace(self, params: TraceParams) -> Traced:
        """Ask one hop after another who it is and where it passes frames for a node on to.

        A hop that does not answer within `timeout_s` is silent, as one without this feature is; the destination is asked
        all the same. Takes 25 s at most.
        """
        destination = params.node_id
        route = self._mesh.route(destination)
        if destination == self._own_id:
            return Traced(destination=destination, reached=True, hops=[], note="this is the node itself")
        if route is None:
            if self._keystore.get(destination) is None:
                raise PeerNotFound(f"no peer {destination} is known here; peers.list with all shows those that are")
            return Traced(
                destination=destination, reached=False, hops=[], note=f"there is no route to {destination} now"
            )
        path = await self._followed(route, params.timeout_s)
        hops = [self._hop(step) for step in path.steps]
        return Traced(destination=destination, reached=path.reached, hops=hops, note=path.note)

    @rpc("route.set_split_default", errors=(ConfigSaveRejected,))
    async def set_split_default(self, params: SplitParams) -> SplitDefault:
        """Keep the wish that traffic to the rest of the world goes through a gateway, or no longer.

        It holds over restarts, whether or not there is a gateway. pimd carries no such traffic yet: until it does, nothing is
        sent through a gateway and nothing is blocked; `route_effective` of `status` says so.
        """
        was = self._default_route.wanted
        try:
            await self._default_route.want(on=params.on)
        except OSError as error:
            raise ConfigSaveRejected(f"the wish stays as it was: {error}") from error
        if params.on and not was:
            self._say_what_is_wished()
        gateways = nearest_gateways(self._mesh.routes(), self._keystore) if params.on else []
        return SplitDefault(on=params.on, via_gateway_id=gateways[0].destination if gateways else None)

    @rpc("mesh.status", reads=True)
    async def mesh_status(self, _: NoParams) -> MeshStatus:
        """Tell which mesh this node is in; all machines of a private one show the same fingerprint."""
        membership = self._mesh.membership
        return MeshStatus(mode=membership.mode, mesh_id=membership.mesh_id, fingerprint=membership.fingerprint)

    # --- inside

    def _say_what_is_wished(self) -> None:
        if self._default_route.wanted and not self._default_route.effective:
            self._ctx.log.info(
                "traffic to the rest of the world is to go through a gateway; pimd cannot carry it yet, so the wish is kept, "
                "nothing is sent there and nothing is blocked"
            )

    async def _answer(self, src: NodeId, body: bytes) -> None:
        try:
            ask = Ask.decode(body)
        except ValueError:
            return
        if not self._answers.allows(src, self._ctx.clock.now()):
            self._ctx.log.debug("%s asks more questions of traces than are answered", src.abbreviated)
            return
        answer = Answer(ask.id, self._next_hop(ask.destination), self._own_name)
        await self._ctx.control.send_routed(src, PluginPayload(ANSWER_KIND, answer.encode()))

    def _next_hop(self, destination: NodeId) -> NodeId | None:
        if destination == self._own_id:
            return self._own_id
        route = self._mesh.route(destination)
        return route.next_hop if route is not None else None

    async def _followed(self, route: RouteInfo, timeout_s: float) -> Path:
        if not self._traces.take(1):
            raise Overloaded(f"{TRACES.value} traces run already; wait until one is done")
        try:
            return await self._follow(Path(self._own_id, route), route.destination, timeout_s)
        finally:
            self._traces.give_back(1)

    async def _follow(self, path: Path, destination: NodeId, timeout_s: float) -> Path:
        clock = self._ctx.clock
        end = clock.now() + TRACE_S
        while path.next is not None:
            asked_at = clock.now()
            if asked_at + timeout_s > end:
                path.end(f"the hops answered slowly; a trace ends after {TRACE_S:g} s")
                break
            answer = await self._questions.ask(path.next, destination, timeout_s)
            path.take(answer, clock.now() - asked_at)
        return path

    def _hop(self, step: Step) -> Hop:
        known = self._keystore.get(step.node_id)
        answered = step.answer.name if step.answer is not None else ""
        return Hop(
            hop=step.hop,
            node_id=step.node_id,
            name=answered or (known.name if known is not None else ""),
            label=known.label if known is not None else None,
            next_hop=step.answer.next_hop if step.answer is not None else None,
            time_ms=round(step.took_s * 1000, 1) if step.answer is not None else None,
            state=step.state,
        )


def _entry(route: RouteInfo, now: float, *, is_gateway: bool) -> RouteEntry:
    return RouteEntry(
        destination=route.destination,
        via=route.next_hop,
        hops=route.hops,
        learned_from=route.next_hop,
        is_gateway=is_gateway,
        load=0,
        age_s=max(0, int(now - route.learned_at)),
    )


def _gateway(route: RouteInfo, *, selected: bool) -> KnownGateway:
    return KnownGateway(
        node_id=route.destination, via=route.next_hop, hops=route.hops, score=1 / route.hops, selected=selected
    )
