"""The sections of the configuration file, both generations, as types."""

import functools
import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from pimd.addresses import Endpoint
from pimd.characters import check_plain
from pimd.ids import NodeId

DAY_S = 24 * 3600
NAME_LIMIT = 64
"""Bytes of UTF-8 of a node's name, as on its card (docs/protocol.md)."""


def _listed(value: Any) -> Any:
    """Accept a list; from the environment also JSON or a comma-separated text."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def _usable_name(value: str) -> str:
    if not value or len(value.encode(errors="surrogatepass")) > NAME_LIMIT:
        raise ValueError(f"must be 1 to {NAME_LIMIT} bytes of UTF-8")
    check_plain(value)
    return value


def _own_address(value: str) -> str:
    """Refuse names: the address of one, such as 127.0.1.1, is seldom reachable from other machines."""
    if value.lower() != "localhost":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError('must be an IP address of this machine, "::" for all of them, or "localhost"') from None
    return value


def _node_id(value: str) -> str:
    return str(NodeId.parse(value))


Strings = Annotated[list[str], BeforeValidator(_listed)]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[int, Field(ge=1, lt=2**63)]
OwnAddress = Annotated[str, AfterValidator(_own_address)]
NodeIdText = Annotated[str, AfterValidator(_node_id)]


class Section(BaseModel):
    """One table of the file; unknown keys are kept for the warning that names them."""

    model_config = ConfigDict(extra="allow", frozen=True)


class PeerCleanup(Section):
    """When stale identities are removed; the table needs all of its keys."""

    enabled: bool
    max_unreachable_lifetime_s: Count
    cleanup_interval_s: Count


class NodeSection(Section):
    """`[node]`: the name that peers see, and the data directory."""

    name: Annotated[str, AfterValidator(_usable_name)] | None = None
    """Announced to peers; the host name when absent."""
    data_dir: Path | None = None


class InterfaceSection(Section):
    """`[interface]`: shown by `status`; there is no data plane yet."""

    name: str = "pim0"
    mtu: Annotated[int, Field(ge=68, le=65535)] = 1400
    mesh_ip: str = "auto"
    mesh_ipv6: str | None = None
    mesh_ipv4_prefix: str | None = None
    mesh_ipv6_prefix: str | None = None

    @field_validator("mesh_ip")
    @classmethod
    def _auto_or_cidr(cls, value: str) -> str:
        if value != "auto":
            ipaddress.IPv4Interface(value)
        return value


class OldFeatureTable(Section):
    """A feature's table where it stood before `[features.<name>]`; the feature itself checks all keys but `enabled`."""

    keys_of_feature: ClassVar[bool] = True
    enabled: bool = True


class KdfSection(Section):
    """`[mesh.kdf]`: the cost of Argon2id; all members must agree."""

    m_cost_kib: Annotated[int, Field(ge=8, le=4 * 2**20)] = 65536
    t_cost: Annotated[int, Field(ge=1, le=1000)] = 3
    p_cost: Annotated[int, Field(ge=1, le=64)] = 1

    @model_validator(mode="after")
    def _enough_memory(self) -> Self:
        if self.m_cost_kib < 8 * self.p_cost:
            raise ValueError("m_cost_kib must be at least 8 times p_cost")
        return self


class MeshSection(Section):
    """`[mesh]`: open to everybody, or private to those who know the passphrase."""

    mode: Literal["open", "private"] = "open"
    passphrase: SecretStr | None = None
    passphrase_file: Path | None = None
    """Its first line, instead of `passphrase`."""
    mesh_id: str | None = None
    kdf: KdfSection = KdfSection()

    @property
    def passphrase_keys(self) -> list[str]:
        """Which of `passphrase` and `passphrase_file` are given, and not as an empty text."""
        has_text = self.passphrase is not None and bool(self.passphrase.get_secret_value())
        has_file = self.passphrase_file not in {None, Path()}
        return [key for key, given in (("passphrase", has_text), ("passphrase_file", has_file)) if given]


class TransportSection(Section):
    """`[transport]`: where peers reach this node, and how it reaches them."""

    type: Literal["tcp"] = "tcp"
    listen_host: OwnAddress = "::"
    """`::` stands for every address of both families."""
    listen_port: Port = 9100
    listen_unix: Path | None = None
    """An additional socket for nodes of the same host."""
    max_reconnect_attempts: Count = 20
    connect_timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 3000
    peer_cleanup: PeerCleanup | None = None


class RoutingSection(Section):
    """`[routing]`: accepted without effect."""

    max_hops: Annotated[int, Field(ge=1, le=255)] = 10
    algorithm: str = "distance-vector"
    route_expiry_s: Count = 300
    dns_servers: list[str] = []


class RouteSection(Section):
    """`[route]`: what the user wishes of this machine's own traffic."""

    split_default: bool = False
    """Whether it is to leave through a gateway of the mesh; no effect until there is a data plane."""


class GatewaySection(Section):
    """`[gateway]`: no effect until there is a data plane."""

    enabled: bool = False
    nat_interface: str = "eth0"
    max_connections: Count = 200


class RelaySection(Section):
    """`[relay]`: whether this node forwards for others."""

    enabled: bool = True


class SecuritySection(Section):
    """`[security]`: the node's key, and who may link."""

    key_file: Path | None = None
    """`<data_dir>/node.key` when absent."""
    require_encryption: bool = True
    authorization_policy: Literal["allow_all", "allow_list", "trust_on_first_use"] = "allow_all"
    authorized_peers: Annotated[list[NodeIdText], BeforeValidator(_listed)] = []
    trust_store_file: Path | None = None

    @field_validator("require_encryption")
    @classmethod
    def _always_encrypted(cls, value: bool) -> bool:  # noqa: FBT001 - pydantic's signature
        if not value:
            raise ValueError("must be true: pimd has no unencrypted links")
        return value


class BroadcastSection(Section):
    """`[messaging.broadcast]`: how often this node's card is sent again, and what `peers` lets announce of others."""

    outgoing_interval_s: Annotated[int, Field(ge=30)] | None = None
    """Of the core: a shorter period than the protocol's own for the card."""
    watch_incoming: bool = True
    min_peer_interval_s: Seconds = 60
    peer_cleanup: PeerCleanup | None = None


class MessagingSection(Section):
    """`[messaging]`: announcements of identities, and the removal of those not seen for long."""

    broadcast: BroadcastSection = BroadcastSection()
    peer_cleanup: PeerCleanup = PeerCleanup(
        enabled=True, max_unreachable_lifetime_s=90 * DAY_S, cleanup_interval_s=DAY_S
    )
    """When identities without a relation to the user that were not seen are removed from the keystore."""


class RpcSection(Section):
    """`[rpc]`: the RPC listeners for programs."""

    http_enabled: bool = True
    http_host: OwnAddress = "127.0.0.1"
    http_port: Port = 9102
    unix_enabled: bool = True
    unix_socket: Path | None = None
    allow_remote: bool = False
    allowed_origins: Strings = []
    allowed_hosts: Strings = []


class LogSection(Section):
    """`[log]`: the least severe level that is written to standard error."""

    level: Literal["debug", "info", "warn", "error"] = "info"


class FeaturesSection(Section):
    """`[features]`; a table `[features.<name>]` is checked by that feature."""

    enabled: Annotated[list[str], BeforeValidator(_listed)] | None = None
    """None for all present features that are on by default."""
    disabled: Strings = []
    required: Strings = []
    """The daemon does not start without these."""

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The tables `[features.<name>]` by name, unchecked; each feature validates its own at its start."""
        return {name: table for name, table in (self.model_extra or {}).items() if isinstance(table, dict)}


class PeerSection(Section):
    """`[[peers]]`: one address to keep linked."""

    mechanism: Literal["tcp", "bluetooth"]
    address: str | None = None
    """`host:port` or `unix:/path`, for tcp."""
    ip: str | None = None
    """For bluetooth, which this program does not speak."""
    node_id: NodeIdText | None = None
    label: Annotated[str, AfterValidator(str.strip)] = ""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.mechanism == "bluetooth":
            ipaddress.ip_address(self.ip or "")
        elif self.address is None:
            raise ValueError('a peer of mechanism "tcp" needs address = "host:port"')
        else:
            Endpoint.parse(self.address)
        return self

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint to dial; None for a mechanism that this program does not support."""
        return Endpoint.parse(self.address) if self.mechanism == "tcp" and self.address is not None else None


@functools.lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Tell whether a host means this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
