"""What `status.event` tells."""

from typing import Literal

from pimd.contract import NodeIdHex, Result

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
    """Which gateway."""

    node_id: NodeIdHex


class GatewaySelected(Result):
    """Another gateway is the nearest now, or the first was found."""

    kind: Literal["gateway_selected"] = "gateway_selected"
    detail: GatewayDetail


class GatewayLost(Result):
    """No gateway can be reached any more; the detail names the last one."""

    kind: Literal["gateway_lost"] = "gateway_lost"
    detail: GatewayDetail


class FeatureDetail(Result):
    """As in `features.list`."""

    name: str
    state: Literal["running", "disabled", "not_built", "failed", "quarantined"]
    reason: str


class FeatureChanged(Result):
    """A feature was turned on or off, failed, or was quarantined."""

    kind: Literal["feature_changed"] = "feature_changed"
    detail: FeatureDetail


StatusEvent = RoleChanged | GatewaySelected | GatewayLost | FeatureChanged
