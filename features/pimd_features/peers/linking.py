"""Methods about the links and configured addresses of this node."""

import contextlib

from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    ConfigSaveRejected,
    DialInfo,
    Endpoint,
    InvalidParams,
    NoParams,
    NotSupported,
    PeerEntry,
    PeerNotFound,
    PeerSummary,
    PluginContext,
    rpc,
)
from pimd_features.peers.errors import InvalidPeerAddress, PeerAlreadyExists
from pimd_features.peers.models import Added, AddStaticParams, Configured, ListParams, RemoveParams
from pimd_features.peers.plugin import refuse_other_mechanisms
from pimd_features.peers.rows import Rows

ADDRESS_LIMIT = 280
"""Characters: a host name has at most 253."""


def checked_endpoint(text: str) -> Endpoint:
    """Read an address, spaces around it or not, or raise `InvalidPeerAddress` saying what is wrong."""
    address = text.strip()
    if len(address) > ADDRESS_LIMIT:
        raise InvalidPeerAddress(f"the address has more than {ADDRESS_LIMIT} characters; it must be host:port")
    try:
        return Endpoint.parse(address)
    except ValueError as error:
        raise InvalidPeerAddress(str(error)) from None


@rpc("peers.list", reads=True)
async def list_peers(ctx: PluginContext, params: ListParams) -> list[PeerSummary]:
    """List linked peers, nodes with a route, and configured peers that are down.

    A configured peer shows once its id is known; `peers.configured` lists the addresses. With `all` the identities without
    a route follow in order of their ids. At most 1 000 rows; `after` the id of the last one come the next. Who
    is linked or lost between two pages may be missing or come twice.
    """
    return await Rows(ctx).page(params.after, params.limit, everybody=params.all)


@rpc("peers.configured", reads=True)
async def configured(ctx: PluginContext, _: NoParams) -> list[Configured]:
    """List the configured addresses, those that are kept linked, and how that goes."""
    return [
        Configured(
            config_entry_id=str(dial.entry.endpoint),
            address=dial.entry.endpoint.text,
            endpoint=str(dial.entry.endpoint),
            label=dial.entry.label or None,
            node_id=dial.node_id,
            state=dial.state,
            last_error=dial.last_error,
            known=dial.node_id,
            answers=dial.answers,
        )
        for dial in ctx.services[MESH].dials()
        if dial.configured
    ]


@rpc("peers.add_static", errors=(InvalidPeerAddress, PeerAlreadyExists, NotSupported, ConfigSaveRejected))
async def add_static(ctx: PluginContext, params: AddStaticParams) -> Added:
    """Keep an address linked from now on, also after restarts."""
    refuse_other_mechanisms(params.mechanism)
    endpoint = checked_endpoint(params.address)
    mesh = ctx.services[MESH]
    if any(dial.configured and dial.entry.endpoint == endpoint for dial in mesh.dials()):
        raise PeerAlreadyExists(f"{endpoint.text} is configured already; peers.remove takes it out")
    # An entry that was taken out of the file by hand may have left a pin; the new one binds anew.
    await ctx.services[KEYSTORE].unpin(endpoint=endpoint)
    await configure(ctx, PeerEntry(endpoint, label=params.label or ""))
    return Added(node_id=None, config_entry_id=str(endpoint), warning=endpoint.fault)


async def configure(ctx: PluginContext, entry: PeerEntry) -> None:
    """Keep an entry linked, also after restarts; `ConfigSaveRejected` with nothing changed."""
    mesh = ctx.services[MESH]
    before = next((dial for dial in mesh.dials() if dial.entry.endpoint == entry.endpoint), None)
    mesh.keep_dialling(entry, configured=True)  # first: the file is written even when the caller has disconnected
    try:
        await ctx.services[CONFIG].add_peer(entry)
    except OSError as error:
        mesh.stop_dialling(entry.endpoint)
        if before is not None:
            mesh.keep_dialling(before.entry, configured=before.configured)
        raise ConfigSaveRejected(f"the configuration could not be changed: {error}") from error


@rpc("peers.remove", errors=(PeerNotFound, InvalidParams, ConfigSaveRejected))
async def remove(ctx: PluginContext, params: RemoveParams) -> None:
    """Take a peer out of the configuration, hang up, and do not dial it again.

    One that the administrator's file names is disabled here; `peers.add_static` of its address lets it count again.
    Also hangs up on a linked peer that is not configured; `peers.pair` or a restart brings it back.
    """
    mesh = ctx.services[MESH]
    if params.node_id is None and params.config_entry_id is None:
        raise InvalidParams("one of node_id and config_entry_id is needed")
    going = [dial for dial in mesh.dials() if dial.configured and _is_meant(dial, params)]
    peers = {dial.node_id for dial in going if dial.node_id is not None}
    if params.node_id is not None:
        peers.add(params.node_id)
    endpoints = [dial.entry.endpoint for dial in going]
    if params.config_entry_id is not None and not going:  # by hand, after the start
        with contextlib.suppress(ValueError):  # anything else that cannot be parsed names no entry
            endpoints.append(Endpoint.parse(params.config_entry_id))
    were_there = [await _unconfigure(ctx, endpoint) for endpoint in endpoints]
    hung_up = [await mesh.hang_up(peer) for peer in peers]
    if not going and not any(were_there) and not any(hung_up):
        what = params.config_entry_id or params.node_id
        raise PeerNotFound(f"{what} is neither configured nor linked; peers.list shows what is")


def _is_meant(dial: DialInfo, params: RemoveParams) -> bool:
    by_entry = params.config_entry_id is not None and str(dial.entry.endpoint) == params.config_entry_id
    return by_entry or (params.node_id is not None and dial.node_id == params.node_id)


async def _unconfigure(ctx: PluginContext, endpoint: Endpoint) -> bool:
    """Tell whether it was configured."""
    try:
        was_there = await ctx.services[CONFIG].remove_peer(endpoint)
    except OSError as error:
        raise ConfigSaveRejected(f"the configuration could not be changed: {error}") from error
    ctx.services[MESH].stop_dialling(endpoint)
    await ctx.services[KEYSTORE].unpin(endpoint=endpoint)
    return was_there
