"""Timers, blocking work and wrong events of a feature in the lab."""

import threading
from typing import Any, ClassVar

import pytest

from pimd.contract import PUBLISH, DaemonPlugin, EventStream, Feature, NoParams, PluginContext, Result, RpcError, rpc
from pimd.lab import Lab, run


class Beat(Result):
    """One event."""

    number: int


class BeatsPlugin(DaemonPlugin):
    """Counts hours, and hashes in what would be a thread."""

    name: ClassVar[str] = "beats"

    async def start(self, ctx: PluginContext) -> None:
        self._ctx = ctx
        self.hours = 0
        ctx.every(3600, self._strike)

    async def _strike(self) -> None:
        await self._ctx.clock.sleep(60)
        self.hours += await self._ctx.run_blocking(lambda: 1)

    @rpc("beats.hours")
    async def count(self, _: NoParams) -> int:
        """Count."""
        return self.hours

    @rpc("beats.thread")
    async def thread(self, _: NoParams) -> int:
        """Tell where blocking work runs."""
        return await self._ctx.run_blocking(threading.get_ident)

    @rpc("beats.tell")
    async def tell(self, _: NoParams) -> None:
        """Publish what is no beat."""
        wrong: Any = Beat.model_construct(number="one")  # type: ignore[arg-type] # that is the case
        self._ctx.services[PUBLISH]("beats.event", wrong)


FEATURE = Feature(
    "beats", "Beats.", ("beats",), BeatsPlugin, events=(EventStream("beats.event", Beat),), uses=(PUBLISH,)
)


@pytest.mark.slow
def test_a_day_of_timers_and_blocking_work_is_the_same_in_each_run() -> None:
    async def main() -> tuple[int, int, float]:
        async with Lab(seed=7, features=[FEATURE]) as lab:
            (one,) = lab.add_daemons(1)
            await lab.start()
            await lab.sleep(24 * 3600 + 61)
            hours = await one.call("beats.hours")
            before = one.running_daemon.core.clock.now()
            assert await one.call("beats.thread") == threading.get_ident()
            await one.call("features.disable", {"name": "beats"})
            await one.call("features.enable", {"name": "beats"})
            await lab.sleep(1800)
            await one.call("features.disable", {"name": "beats"})
            await one.call("features.enable", {"name": "beats"})
            await lab.sleep(3600 + 61)
            return hours, await one.call("beats.hours"), before

    first, second = run(main, seed=7), run(main, seed=7)
    assert first == second
    assert first[:2] == (24, 1)


def test_an_event_that_does_not_fit_its_model_is_an_error_in_the_lab() -> None:
    async def main() -> None:
        async with Lab(seed=7, features=[FEATURE]) as lab:
            (one,) = lab.add_daemons(1)
            await lab.start()
            with pytest.raises(RpcError, match=r"beats\.tell failed"):
                await one.call("beats.tell")
            assert any("does not fit its declared model: number: " in str(line) for line in lab.log_of(one))
            assert [event for event in one.events if event["method"] == "beats.event"] == []

    run(main, seed=7)
