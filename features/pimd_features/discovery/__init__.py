"""Finds other nodes on the local network, by DNS-SD."""

from pimd.contract import CONFIG, DISCOVERY, KEYSTORE, MESH, Feature, Provided
from pimd_features.discovery.plugin import DiscoveryPlugin
from pimd_features.discovery.settings import DiscoverySettings

FEATURE = Feature(
    name="discovery",
    summary="Finds other nodes on the local network.",
    plugin=DiscoveryPlugin,
    settings=DiscoverySettings,
    provides=(Provided(DISCOVERY),),
    uses=(MESH, KEYSTORE, CONFIG),
)
