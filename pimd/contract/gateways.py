"""The rule that selects a gateway, shared by all features that show one."""

from collections.abc import Iterable

from pimd.contract.mesh import RouteInfo
from pimd.contract.services import Keystore


def nearest_gateways(routes: Iterable[RouteInfo], keystore: Keystore) -> list[RouteInfo]:
    """Return the routes to gateways by their cards, the selected one first.

    The selected one is the nearest: the smallest metric, then the lowest id.
    """
    found = [route for route in routes if (known := keystore.get(route.destination)) is not None and known.is_gateway]
    return sorted(found, key=lambda route: (route.metric, route.destination))
