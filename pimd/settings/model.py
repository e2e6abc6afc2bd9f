"""The whole configuration as one type, filled from the file and the environment."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from pimd.settings.sections import (
    FeaturesSection,
    GatewaySection,
    InterfaceSection,
    LogSection,
    MeshSection,
    MessagingSection,
    NodeSection,
    OldFeatureTable,
    PeerSection,
    RelaySection,
    RouteSection,
    RoutingSection,
    RpcSection,
    SecuritySection,
    TransportSection,
)

ENV_PREFIX = "PIMD_"
RADIO_SECTIONS = ("wifi_direct", "bluetooth", "bluetooth_rfcomm")
"""Sections of hardware that this program does not drive: accepted, with a warning."""


class Settings(BaseModel):
    """Every section at its default."""

    model_config = ConfigDict(extra="allow", frozen=True)

    node: NodeSection = NodeSection()
    interface: InterfaceSection = InterfaceSection()
    discovery: OldFeatureTable = OldFeatureTable()
    mesh: MeshSection = MeshSection()
    transport: TransportSection = TransportSection()
    routing: RoutingSection = RoutingSection()
    route: RouteSection = RouteSection()
    gateway: GatewaySection = GatewaySection()
    relay: RelaySection = RelaySection()
    security: SecuritySection = SecuritySection()
    messaging: MessagingSection = MessagingSection()
    rpc: RpcSection = RpcSection()
    log: LogSection = LogSection()
    features: FeaturesSection = FeaturesSection()
    peers: list[PeerSection] = []


def from_sources(table: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Validate the file's table and `PIMD_<SECTION>__<KEY>`, which beats it; pydantic's ValidationError says what is wrong."""

    class Environment(EnvSettingsSource):
        """Reads the given variables instead of the process's."""

        def _load_env_vars(self) -> Mapping[str, str | None]:
            # A variable without a section, such as PIMD_FEATURES, is for the build.
            return {
                name.lower(): value for name, value in environ.items() if name.startswith(ENV_PREFIX) and "__" in name
            }

    class FromSources(BaseSettings, Settings):
        """The environment, then the file's table, which is passed in as arguments."""

        model_config = SettingsConfigDict(
            env_prefix=ENV_PREFIX,
            env_nested_delimiter="__",
            enable_decoding=False,
            nested_model_default_partial_update=True,
            extra="allow",
            frozen=True,
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return Environment(settings_cls), init_settings

    return FromSources(**table)
