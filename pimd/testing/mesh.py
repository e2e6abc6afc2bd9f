"""Whole daemons in memory, linked, under the virtual clock: the lab with what a test of a feature needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from pimd.contract import Feature
from pimd.lab.daemon import LabDaemon
from pimd.lab.lab import Lab, merged
from pimd.lab.topology import Topology, line
from pimd.testing.alone import NotRunning, refuse_failures, settings_table

QUIET_S = 1.0
LIMIT_S = 60.0


class DaemonMesh(Lab):
    """Use as an async context manager in a test under `virtual_time`; iterating yields the daemons.

    `shape` is one of `pimd.lab.topology`, a line unless given. `settings` maps a feature's name to an instance of its
    model or its table; `tables` are others of pim.toml. Everything that a `Lab` does can be done with it. `NotRunning` when
    one of `features` fails at the start, and AssertionError at the end when it failed later, unless `may_fail`.
    """

    def __init__(
        self,
        features: Sequence[Feature] = (),
        nodes: int = 2,
        *,
        settings: Mapping[str, BaseModel | Mapping[str, Any]] | None = None,
        tables: Mapping[str, Any] | None = None,
        shape: Callable[..., Topology] = line,
        seed: int = 1,
        may_fail: bool = False,
    ) -> None:
        if isinstance(settings, BaseModel):
            raise TypeError(
                f'settings are given by the name of the feature: settings={{"name": {type(settings).__name__}(...)}}'
            )
        own = {"features": {name: settings_table(table) for name, table in (settings or {}).items()}}
        super().__init__(seed, features=features, settings=merged(own if settings else {}, tables or {}))
        self._tested = () if may_fail else tuple(features)
        self._nodes = nodes
        self._shape = shape

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            self.build(self._shape(self._nodes, self.random))
            await self.start()
            self._refuse_failed()
            await self.converged(LIMIT_S)
        except BaseException as error:
            await super().__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        if error is None and self.crashes:
            raise AssertionError(f"daemons ended by themselves: {'; '.join(self.crashes)}")
        if error is None:
            refuse_failures((record for daemon in self for record in self.log_of(daemon)), self._tested)

    def _refuse_failed(self) -> None:
        for daemon in self:
            for feature in self._tested if daemon.is_up else ():
                row = daemon.running_daemon.assembly.row(feature.name)
                if row.state in {"failed", "quarantined"}:
                    raise NotRunning(f"{daemon.name}: feature {row.name} is {row.state}: {row.reason}")

    def __iter__(self) -> Iterator[LabDaemon]:
        return iter(self.daemons.values())

    async def settle(self, quiet_s: float = QUIET_S, limit_s: float = LIMIT_S) -> None:
        """Wait until for a virtual second no payload, event or datagram moved and no call ran; `NotInTime` otherwise.

        What happens by a timer later than that is not waited for: let time pass with `sleep`, or use `until`.
        """
        quiet_since, before = self.now, self._movement()

        def is_quiet() -> bool:
            nonlocal quiet_since, before
            now = self._movement()
            if now != before or self._works():
                quiet_since, before = self.now, now
            return self.now - quiet_since >= quiet_s

        await self.until(is_quiet, limit_s, "quiet")

    def _movement(self) -> list[int]:
        moved: list[int] = []
        for daemon in self:
            node = daemon.running
            if node is not None:
                links = node.service.links()
                frames = sum(kind.frames_in + kind.frames_out for one in links for kind in one.traffic.values())
                moved += [frames, node.service.counters().get("payloads_delivered", 0)]
            moved.append(len(daemon.events))
        return moved

    def _works(self) -> bool:
        for daemon in self:
            assembly = daemon.running_daemon.assembly if daemon.is_up else None
            for name in assembly.running() if assembly is not None else ():
                host = assembly.host(name) if assembly is not None else None
                if host is not None and not host.is_idle:
                    return True
        return False
