"""Methods that link with one node at once."""

import asyncio
import contextlib
from collections.abc import Sequence

from pimd.contract import (
    KEYSTORE,
    MESH,
    PUBLISH,
    ConfigSaveRejected,
    DialError,
    Endpoint,
    InvalidParams,
    NotSupported,
    PeerEntry,
    PeerNotFound,
    PeerSummary,
    PluginContext,
    RpcError,
    StorageError,
    rpc,
)
from pimd.ids import NodeId
from pimd_features.peers.errors import ConnectFailed, InvalidPeerAddress, PeerAlreadyExists
from pimd_features.peers.identities import refuse_own_id
from pimd_features.peers.linking import checked_endpoint, configure
from pimd_features.peers.models import STREAM, Connected, ConnectParams, PairParams, PeerChanged
from pimd_features.peers.nearby import nearby
from pimd_features.peers.plugin import refuse_other_mechanisms
from pimd_features.peers.rows import Rows

DIAL_S = 8.0
"""A link must be up within this time, because clients stop waiting after 10 s."""
TRIED_ENDPOINTS = 4
"""Of one node; who announces it is a stranger and may be wrong."""


@rpc(
    "peers.pair",
    errors=(
        PeerNotFound,
        ConnectFailed,
        InvalidPeerAddress,
        InvalidParams,
        NotSupported,
        PeerAlreadyExists,
        ConfigSaveRejected,
        StorageError,
    ),
)
async def pair(ctx: PluginContext, params: PairParams) -> PeerSummary:
    """Link with a node now; with `persist` also after restarts.

    Takes an address, or the id of a node that is discovered, linked, or dialled. Answers within 8 s.
    """
    refuse_other_mechanisms(params.mechanism)
    if params.node_id is not None:
        refuse_own_id(ctx, params.node_id)
    elif params.address is None:
        raise InvalidParams("one of address and node_id is needed")
    try:
        entry, node_id = await _linked(ctx, params)
    except RpcError as error:
        _tell_of_failure(ctx, params.node_id, error.message)
        raise
    if params.label:
        await ctx.services[KEYSTORE].set_label(node_id, params.label)
    if params.trust == "persist" and not _is_configured(ctx, entry, params):
        # Bound to who was linked with just now, not to who answers next.
        await ctx.services[KEYSTORE].pin(entry.endpoint, node_id)
        await configure(ctx, entry)
    return Rows(ctx).summary(node_id)


async def _linked(ctx: PluginContext, params: PairParams) -> tuple[PeerEntry, NodeId]:
    label = params.label or ""
    if params.address is None and params.node_id is not None:
        return await _link_with(ctx, params.node_id, label), params.node_id
    entry = PeerEntry(checked_endpoint(params.address or ""), params.node_id, label)
    if not _is_configured(ctx, entry, params):
        # An entry that was taken out of the file by hand may have left a pin; the user links anew.
        await ctx.services[KEYSTORE].unpin(endpoint=entry.endpoint)
    try:
        return entry, await _dial(ctx, entry)
    except DialError as error:
        raise InvalidPeerAddress(str(error)) from None


def _tell_of_failure(ctx: PluginContext, node_id: NodeId | None, reason: str) -> None:
    """Where it is not known whom the pairing was for there is no row to tell of."""
    if node_id is not None:
        row = Rows(ctx).summary(node_id)
        ctx.services[PUBLISH](STREAM, PeerChanged(kind="pair_failed", peer=row, reason=reason))


async def _link_with(ctx: PluginContext, node_id: NodeId, label: str) -> PeerEntry:
    endpoints = _endpoints_of(ctx, node_id)[:TRIED_ENDPOINTS]
    if not endpoints:
        raise PeerNotFound(
            f"no address of {node_id} is known: it is not dialled, and nobody sees it on the local network "
            "(the feature discovery looks there); give its address as host:port"
        )
    if ctx.services[MESH].link(node_id) is not None:
        return PeerEntry(endpoints[0], node_id, label)
    reasons: list[str] = []
    try:
        async with asyncio.timeout(DIAL_S):
            for endpoint in endpoints:
                entry = PeerEntry(endpoint, node_id, label)
                try:
                    await ctx.services[MESH].dial(entry)
                except DialError as error:
                    reasons.append(str(error))
                else:
                    return entry
    except TimeoutError:
        reasons.append(f"gave up after {DIAL_S:g} s")
    raise ConnectFailed("; ".join(reasons))


def _endpoints_of(ctx: PluginContext, node_id: NodeId) -> Sequence[Endpoint]:
    """Where the node may answer, the surest first, each once."""
    mesh = ctx.services[MESH]
    link = mesh.link(node_id)
    linked = [link.listens_at] if link is not None and link.listens_at is not None else []
    dialled = [dial.entry.endpoint for dial in mesh.dials() if dial.node_id == node_id]
    seen = [node.endpoint for node in nearby(ctx) if node.node_id == node_id]
    return list(dict.fromkeys([*linked, *dialled, *seen]))


def _is_configured(ctx: PluginContext, entry: PeerEntry, params: PairParams) -> bool:
    """Tell whether the file has that address, or, where the address was not the user's choice, that node."""
    configured = [dial for dial in ctx.services[MESH].dials() if dial.configured]
    by_id = params.address is None and any(dial.node_id == entry.node_id for dial in configured)
    return by_id or any(dial.entry.endpoint == entry.endpoint for dial in configured)


async def _dial(ctx: PluginContext, entry: PeerEntry) -> NodeId:
    try:
        async with asyncio.timeout(DIAL_S):
            return await ctx.services[MESH].dial(entry)
    except TimeoutError:
        raise DialError(f"no link with {entry.endpoint.text} came about within {DIAL_S:g} s") from None


@rpc("peers.connect_dynamic", errors=(InvalidParams, ConnectFailed))
async def connect_dynamic(ctx: PluginContext, params: ConnectParams) -> Connected:
    """Link with one node at one IP address and port now, and keep nothing.

    For programs that open a way to a node by themselves. Host names are not taken. Answers within 8 s.
    """
    endpoint = _ip_endpoint(params.address)
    try:
        await _dial(ctx, PeerEntry(endpoint, params.node_id))
    except DialError as error:
        raise ConnectFailed(str(error)) from None
    return Connected(node_id=params.node_id, address=endpoint.text, status="connected")


def _ip_endpoint(text: str) -> Endpoint:
    with contextlib.suppress(InvalidPeerAddress):
        endpoint = checked_endpoint(text)
        if endpoint.is_ip:
            return endpoint
    raise InvalidParams(
        "parameter address: must be an IP address and a port, such as 192.168.1.7:9100 or [fe80::1%eth0]:9100"
    )
