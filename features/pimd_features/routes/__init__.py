"""The ways to other nodes, hop by hop, and the mesh they are in."""

from pimd.contract import CONFIG, DEFAULT_ROUTE, KEYSTORE, MESH, Feature
from pimd_features.routes.plugin import RoutesPlugin

FEATURE = Feature(
    name="routes",
    summary="The ways to other nodes, hop by hop, and the mesh they are in.",
    namespaces=("route", "mesh"),
    plugin=RoutesPlugin,
    uses=(MESH, KEYSTORE, CONFIG, DEFAULT_ROUTE),
)
