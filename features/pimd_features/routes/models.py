"""What `route.*` and `mesh.*` take and answer."""

from typing import Annotated, Literal

from pydantic import Field

from pimd.contract import NodeIdHex, Params, Result

ANSWER_S = 2.0
ANSWER_LIMIT_S = 10.0


class RouteEntry(Result):
    """The way to one node."""

    destination: NodeIdHex
    via: NodeIdHex = Field(description="The neighbour that frames go to.")
    hops: int = Field(ge=0, description="1 for a neighbour.")
    learned_from: NodeIdHex
    is_gateway: bool
    load: int = Field(ge=0)
    age_s: int = Field(ge=0, description="Since the neighbour last advertised it.")


class KnownGateway(Result):
    """A node whose card says that it leads out of the mesh."""

    node_id: NodeIdHex
    via: NodeIdHex
    hops: int = Field(ge=0)
    score: float = Field(description="0 to 1; higher is nearer.")
    selected: bool


class RouteTable(Result):
    """Every selected route, and the gateways among their destinations, the selected gateway first."""

    routes: list[RouteEntry]
    gateways: list[KnownGateway]


class TraceParams(Params):
    """Where to, and how long to wait for each hop."""

    node_id: NodeIdHex
    timeout_s: Annotated[float, Field(gt=0, le=ANSWER_LIMIT_S)] = ANSWER_S


class Hop(Result):
    """One node on the way."""

    hop: int = Field(ge=1, description="Position on the way; behind a silent hop the distance by this node's route.")
    node_id: NodeIdHex
    name: str = Field(description="What it calls itself.")
    label: str | None = Field(description="What the user calls it.")
    next_hop: NodeIdHex | None = Field(description="Where it passes frames on to; itself when it is the destination.")
    time_ms: float | None = Field(description="From question to answer.")
    state: Literal["answered", "silent", "no_route"]


class Traced(Result):
    """The hops of the way, each as it described itself."""

    destination: NodeIdHex
    reached: bool = Field(description="Whether the destination answered.")
    hops: list[Hop]
    note: str = Field(description="Why the trace ended where it did, or what is missing; empty when nothing is.")


class SplitParams(Params):
    """Whether traffic to the rest of the world is to go through a gateway."""

    on: bool = False


class SplitDefault(Result):
    """The wish, as it is kept."""

    on: bool
    via_gateway_id: NodeIdHex | None = Field(description="The nearest gateway while it is on; null when there is none.")


class MeshStatus(Result):
    """Which mesh this node is in."""

    mode: Literal["open", "private"]
    mesh_id: str | None = Field(description="Its configured name.")
    fingerprint: str | None = Field(
        pattern="^[0-9a-f]{16}$", description="The same on every machine of a private mesh; null in an open one."
    )
