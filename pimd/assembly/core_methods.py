"""The `features.*` and `daemon.*` methods, which every assembly has."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pimd import __version__, paths
from pimd.assembly.assembly import Assembly
from pimd.assembly.choice import AssemblyError
from pimd.clock import Clock
from pimd.contract import (
    ConfigSaveRejected,
    FeatureRow,
    InvalidParams,
    NodeIdHex,
    NoParams,
    Params,
    Result,
    after_answer,
    rpc,
)
from pimd.ids import NodeId
from pimd.rpc.registry import CORE, Method, method_of
from pimd.store.config_file import ConfigFile


class FeatureParams(Params):
    """A feature, and whether the change is also kept for later starts."""

    name: str
    persist: bool = False


class EnableParams(FeatureParams):
    """Also whether the code that is on disk now is to run."""

    reload: bool = False


class DaemonInfo(Result):
    """Name, version, id, directory, uptime in seconds and running features of this daemon."""

    name: str
    version: str
    node_id: NodeIdHex
    data_dir: str
    uptime_s: int
    features: list[str]


@dataclass(frozen=True)
class About:
    """The part of `daemon.info` that stays the same for the whole run."""

    name: str
    node_id: NodeId
    data_dir: Path


class CoreMethods:
    """The methods of the daemon itself."""

    def __init__(
        self, about: About, assembly: Assembly, config: ConfigFile, clock: Clock, shut_down: Callable[[], None]
    ) -> None:
        self._about = about
        self._assembly = assembly
        self._config = config
        self._clock = clock
        self._shut_down = shut_down
        self._started = clock.now()

    def methods(self) -> list[Method]:
        """Return the registrations for the method table, read from the `@rpc` marks."""
        own = (self.list_features, self.enable, self.disable, self.info, self.shutdown)
        return [method_of(function, CORE) for function in own]

    @rpc("features.list", reads=True)
    async def list_features(self, _: NoParams) -> list[FeatureRow]:
        """List every known feature, built or not, with its state and the reason for it."""
        return self._assembly.rows()

    @rpc("features.enable", errors=(InvalidParams, ConfigSaveRejected), timeout_s=75.0)
    async def enable(self, params: EnableParams) -> FeatureRow:
        """Start a feature without a restart.

        Also starts one anew that failed or is quarantined, and finds one that was installed since the start. With
        `reload` an installed one is stopped and imported anew. What starts gets its table as the configuration file has it
        now. With `persist` it also runs after restarts.
        """
        return await self._switch(params, self._assembly.enable(params.name, reload=params.reload), on=True)

    @rpc("features.disable", errors=(InvalidParams, ConfigSaveRejected))
    async def disable(self, params: FeatureParams) -> FeatureRow:
        """Stop a feature without a restart; its methods answer -32601 from now on.

        Refused while another running feature needs it. With `persist` it stays off after restarts.
        """
        return await self._switch(params, self._assembly.disable(params.name), on=False)

    @rpc("daemon.info", reads=True)
    async def info(self, _: NoParams) -> DaemonInfo:
        """Tell who this daemon is and what runs in it."""
        return DaemonInfo(
            name=self._about.name,
            version=__version__,
            node_id=self._about.node_id,
            data_dir=paths.shown(self._about.data_dir),
            uptime_s=int(self._clock.now() - self._started),
            features=self._assembly.running(),
        )

    @rpc("daemon.shutdown")
    async def shutdown(self, _: NoParams) -> None:
        """Stop the daemon as SIGTERM does, once this is answered."""
        after_answer(self._shut_down)

    async def _switch(self, params: FeatureParams, change: Awaitable[FeatureRow], *, on: bool) -> FeatureRow:
        try:
            row = await change
        except AssemblyError as error:
            raise InvalidParams(str(error), {"feature": params.name}) from None
        if params.persist:
            try:
                await self._config.set_feature(params.name, enabled=on)
            except OSError as error:
                raise ConfigSaveRejected(
                    f"{params.name} is {row.state}, but that was not kept for later starts: {error}"
                ) from error
        return row
