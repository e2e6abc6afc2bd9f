"""Methods about the broadcast of identities: how often this node's own goes out, which others are announced."""

import asyncio
from dataclasses import asdict, replace

from pimd.contract import (
    CONFIG,
    MESH,
    BroadcastConfig,
    ConfigSaveRejected,
    DaemonPlugin,
    InvalidParams,
    NoParams,
    PluginContext,
    rpc,
)
from pimd_features.peers.errors import BroadcastIntervalTooSmall
from pimd_features.peers.models import OUTGOING_INTERVAL_MIN_S, BroadcastNow, BroadcastParams, BroadcastState


class Broadcasts(DaemonPlugin):
    """These methods of the plugin; changes run one after the other, so that none overwrites another."""

    _ctx: PluginContext

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    @rpc("peers.broadcast_identity_now")
    async def broadcast_identity_now(self, _: NoParams) -> BroadcastNow:
        """Issue a new identity card and send it to all neighbours, from where it spreads over the mesh."""
        sent = await self._ctx.services[MESH].issue_card()
        return BroadcastNow(recipients=sent.recipients, sent_at_ms=sent.at_ms)

    @rpc(
        "peers.set_broadcast_config",
        errors=(BroadcastIntervalTooSmall, InvalidParams, ConfigSaveRejected),
    )
    async def set_broadcast_config(self, params: BroadcastParams) -> BroadcastState:
        """Change how identities are broadcast, at once and for later starts.

        What is absent stays as it is. `outgoing_interval_s` null turns the extra broadcasts off; the protocol's own, about every
        300 s, stay, so only a shorter interval changes anything. The other two say how much `peer_seen` tells of identities that
        come over other nodes; directly linked ones are always told of.
        """
        interval_s = params.outgoing_interval_s
        if interval_s is not None and interval_s < OUTGOING_INTERVAL_MIN_S:
            raise BroadcastIntervalTooSmall(
                f"parameter outgoing_interval_s: must be {OUTGOING_INTERVAL_MIN_S} or more, or null for off, not {interval_s}"
            )
        async with self._turn:
            before = self._ctx.services[CONFIG].broadcast()
            after = _changed(before, params)
            if after is not before:  # written even when it is in force already: the file may have been edited since
                await self._put_in_force(before, after)
        return self._state()

    @rpc("peers.get_broadcast_state", reads=True)
    async def get_broadcast_state(self, _: NoParams) -> BroadcastState:
        """Tell how identities are broadcast, and when this node's own last was."""
        return self._state()

    async def _put_in_force(self, before: BroadcastConfig, after: BroadcastConfig) -> None:
        try:
            await self._ctx.services[CONFIG].set_broadcast(after)
        except OSError as error:
            raise ConfigSaveRejected(f"nothing was changed, the configuration cannot be written: {error}") from error
        if after.outgoing_interval_s != before.outgoing_interval_s:
            self._ctx.services[MESH].set_broadcast_interval(after.outgoing_interval_s)

    def _state(self) -> BroadcastState:
        last = self._ctx.services[MESH].last_broadcast()
        return BroadcastState(
            **asdict(self._ctx.services[CONFIG].broadcast()),
            last_broadcast_ms=last.at_ms if last is not None else None,
            last_recipient_count=last.recipients if last is not None else None,
        )


def _changed(before: BroadcastConfig, params: BroadcastParams) -> BroadcastConfig:
    """Apply what was given; null means something for `outgoing_interval_s` only."""
    after = before
    if "outgoing_interval_s" in params.model_fields_set:
        after = replace(after, outgoing_interval_s=params.outgoing_interval_s)
    if params.watch_incoming is not None:
        after = replace(after, watch_incoming=params.watch_incoming)
    if params.min_peer_interval_s is not None:
        after = replace(after, min_peer_interval_s=params.min_peer_interval_s)
    return after
