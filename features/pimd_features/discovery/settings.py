"""`[features.discovery]`, which was `[discovery]`."""

from typing import Annotated

from pydantic import Field, SecretStr

from pimd.contract import FeatureSettings

Count = Annotated[int, Field(ge=0, lt=2**63)]


class DiscoverySettings(FeatureSettings):
    """Which discovered nodes are dialled unasked, as far as the policy admits them."""

    connect_relays: bool = True
    """Without it they are only listed, until they are paired."""
    connect_gateways: bool = True
    """The same for nodes that are known to be gateways."""

    # Of another program's UDP broadcast; they are checked as it would, and have no effect.
    port: Annotated[int, Field(ge=0, le=65535)] = 9101
    broadcast_interval_ms: Count = 5000
    peer_timeout_ms: Count = 30000
    shared_key: SecretStr | None = None
