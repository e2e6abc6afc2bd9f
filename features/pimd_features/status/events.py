"""Payloads of `status.event`."""

from typing import Literal

from pimd.contract import FeatureState, NodeIdHex, Result

STREAM = "status.event"
Role = Literal["client", "relay", "gateway"]


class RoleDetail(Result):
    """What this node does for others."""

    role: list[Role]


class RoleChanged(Result):
    """Comes once after the start."""

    kind: Literal["role_changed"] = "role_changed"
    detail: RoleDetail


class GatewayDetail(Result):
    """The id of the gateway, whose card says that it leads out of the mesh."""

    node_id: NodeIdHex


class GatewaySelected(Result):
    """Another gateway is the nearest now, or the first was found."""

    kind: Literal["gateway_selected"] = "gateway_selected"
    detail: GatewayDetail


class GatewayLost(Result):
    """No gateway can be reached any more; the detail names the last one."""

    kind: Literal["gateway_lost"] = "gateway_lost"
    detail: GatewayDetail


class RouteSwitched(Result):
    """The user wishes traffic to the rest of the world to go through a gateway, or no longer; `route_on` of `status`."""

    kind: Literal["route_on", "route_off"]


class FeatureDetail(Result):
    """Name, state and reason as in the row of `features.list`, at the moment of the change."""

    name: str
    state: FeatureState
    reason: str


class FeatureChanged(Result):
    """A feature was turned on or off, failed, or was quarantined."""

    kind: Literal["feature_changed"] = "feature_changed"
    detail: FeatureDetail


StatusEvent = RoleChanged | GatewaySelected | GatewayLost | RouteSwitched | FeatureChanged
