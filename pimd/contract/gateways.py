"""Which gateway is used: the one rule, for everybody who tells of it."""

from collections.abc import Iterable

from pimd.contract.mesh import RouteInfo
from pimd.contract.services import Keystore


def nearest_gateways(routes: Iterable[RouteInfo], keystore: Keystore) -> list[RouteInfo]:
    """Of `routes` those to nodes whose card says that they are gateways, the selected one first.

    The selected one is the nearest: of the smallest metric, then of the lowest id.
    """
    found = [route for route in routes if (known := keystore.get(route.destination)) is not None and known.is_gateway]
    return sorted(found, key=lambda route: (route.metric, route.destination))
