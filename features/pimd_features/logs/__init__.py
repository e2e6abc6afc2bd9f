"""The daemon's recent log records, and new ones as they come."""

from typing import Any, ClassVar, Literal

from pimd.contract import (
    LOG_RING,
    PUBLISH,
    DaemonPlugin,
    EventStream,
    Feature,
    Lagged,
    LogRecord,
    Params,
    PluginContext,
    Publish,
    Subscription,
)

Level = Literal["trace", "debug", "info", "warn", "error"]
RANK: dict[str, int] = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4}
STREAM = "logs.event"
HISTORY = 2048


class LogFilter(Params):
    """Which records to send; a record must meet all conditions given."""

    min_level: Level | None = None
    levels: list[Level] | None = None
    sources: list[str] | None = None
    """Prefixes of dotted names; an empty list lets all through."""


def accepts(wanted: Any, record: Any) -> bool:
    """Tell whether a record passes a `LogFilter`."""
    if wanted.min_level is not None and RANK[record.level] < RANK[wanted.min_level]:
        return False
    if wanted.levels and record.level not in wanted.levels:
        return False
    return not wanted.sources or any(_within(record.source, source) for source in wanted.sources)


def _within(source: str, prefix: str) -> bool:
    return source == prefix or source.startswith(prefix.rstrip(".") + ".")


class LogsPlugin(DaemonPlugin):
    """Publishes the records of the daemon's log ring."""

    name: ClassVar[str] = "logs"

    async def start(self, ctx: PluginContext) -> None:
        """Publish what the ring holds, then every new record."""
        ring, publish = ctx.services[LOG_RING], ctx.services[PUBLISH]
        subscription = ring.subscribe()
        for record in ring.records():
            publish(STREAM, record)
        ctx.spawn("records", _pump(subscription, publish))


async def _pump(subscription: Subscription[LogRecord], publish: Publish) -> None:
    with subscription:
        async for record in subscription:
            if isinstance(record, Lagged):
                publish.missed(STREAM, record.missed)
            else:
                publish(STREAM, record)


FEATURE = Feature(
    name="logs",
    summary="The daemon's recent log records, and new ones as they come.",
    namespaces=("logs",),
    plugin=LogsPlugin,
    events=(EventStream(STREAM, LogRecord, LogFilter, accepts, HISTORY, stamped=False),),
    uses=(LOG_RING, PUBLISH),
)
