"""The method by which a user accepts another key for a peer."""

import asyncio

from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    PEER_DATA,
    PUBLISH,
    ConfigSaveRejected,
    DialError,
    DialInfo,
    InvalidParams,
    OtherKeyError,
    PeerEntry,
    PeerNotFound,
    PluginContext,
    StorageError,
    folded,
    rpc,
)
from pimd.ids import NodeId
from pimd_features.peers.errors import InvalidPeerAddress, PeerIdentityMismatch
from pimd_features.peers.identities import refuse_own_id
from pimd_features.peers.linking import checked_endpoint
from pimd_features.peers.models import STREAM, Accepted, AcceptParams, PeerAccepted
from pimd_features.peers.rows import Rows

DIAL_S = 8.0
"""Who answers must be known within this time, because clients stop waiting after 10 s."""
Answer = tuple[DialInfo, NodeId | None]
"""A configured address, and who answers there."""


@rpc(
    "peers.accept",
    errors=(PeerNotFound, PeerIdentityMismatch, InvalidParams, InvalidPeerAddress, ConfigSaveRejected, StorageError),
)
async def accept(ctx: PluginContext, params: AcceptParams) -> Accepted:
    """Accept that a peer has a new key, after asking it another way.

    `old` must be the key known so far, and `new` what answers at its configured address; of a contact without an address
    `new` must have been met. Moves label, contact mark and addresses, and links at once; but while `old` is linked, those
    addresses stay where `new` does not answer. Messages that `old` has not acknowledged follow only with `move_messages`;
    the history stays with `old`.
    """
    refuse_own_id(ctx, params.new)
    old, new = params.old, params.new
    if old == new:
        raise InvalidParams("parameter new: is the key that is known already")
    entries = await _answers(ctx, _entries_of(ctx, params), new)
    _check_new(ctx, new, entries)
    moving = _moving(ctx, old, new, entries)
    stayed = [dial.entry.endpoint for dial, _ in entries if dial not in moving]
    label = ctx.services[KEYSTORE].label(old)
    try:
        await ctx.services[CONFIG].rename_peers([dial.entry.endpoint for dial in moving], old, new)
    except OSError as error:
        raise ConfigSaveRejected(f"the configuration could not be changed: {error}") from error
    await ctx.services[KEYSTORE].replace_key(old, new, stayed)
    moved = 0
    if params.move_messages:
        moved = sum([await provider.reassign(old, new) for provider in ctx.services.providers(PEER_DATA)])
    _link(ctx, new, moving)
    ctx.log.info("%s is accepted as the key of %s, which was %s", new, label or _names(moving) or "a contact", old)
    ctx.services[PUBLISH](STREAM, PeerAccepted(old=old, peer=Rows(ctx).summary(new)))
    return Accepted(
        node_id=new,
        label=label or next((dial.entry.label for dial in moving if dial.entry.label), None),
        addresses=[dial.entry.endpoint.text for dial in moving],
        stayed=[endpoint.text for endpoint in stayed],
        moved_messages=moved,
        refusal=ctx.services[MESH].refusal(new),
    )


def _entries_of(ctx: PluginContext, params: AcceptParams) -> list[DialInfo]:
    """Return the configured addresses bound to `old`; `PeerNotFound` or `PeerIdentityMismatch` say what is known."""
    dials = [dial for dial in ctx.services[MESH].dials() if dial.configured]
    entries = [dial for dial in dials if dial.node_id == params.old]
    named = _named(ctx, dials, params)
    known = ctx.services[KEYSTORE].get(params.old)
    label = ctx.services[KEYSTORE].label(params.old)
    is_theirs = params.label is not None and folded(label or "") == folded(params.label)
    if named is not None and not is_theirs and not any(dial in entries for dial in named):
        told = "; ".join(map(_known, named)) or "no configured address and no label is called so"
        raise PeerIdentityMismatch(f"{params.old} is not the key known there: {told}. Nothing was changed")
    if not entries and label is None and (known is None or not known.contact):
        raise PeerNotFound(f"{params.old} is no contact, and no configured address is bound to it; nothing was changed")
    return entries


def _named(ctx: PluginContext, dials: list[DialInfo], params: AcceptParams) -> list[DialInfo] | None:
    """Return the addresses that the caller named; None when it named none."""
    if params.address is not None:
        endpoint = checked_endpoint(params.address)
        return [dial for dial in dials if dial.entry.endpoint == endpoint]
    if params.label is not None:
        labels = ctx.services[KEYSTORE].labels()
        wanted = folded(params.label)
        own = {node_id for node_id, label in labels.items() if folded(label) == wanted}
        return [dial for dial in dials if folded(dial.entry.label) == wanted or dial.node_id in own]
    return None


def _known(dial: DialInfo) -> str:
    answers = f", and {dial.answers} answers" if dial.answers is not None else ""
    return f"at {dial.entry.endpoint.text} {dial.node_id or 'nobody'} is known{answers}"


async def _answers(ctx: PluginContext, entries: list[DialInfo], new: NodeId) -> list[Answer]:
    """Return who answers at each address now; one that refused `new` need not be asked again."""
    async with asyncio.TaskGroup() as group:
        asked = [None if dial.answers == new else group.create_task(_who_answers(ctx, dial)) for dial in entries]
    return [(dial, new if task is None else task.result()) for dial, task in zip(entries, asked, strict=True)]


def _check_new(ctx: PluginContext, new: NodeId, entries: list[Answer]) -> None:
    """Raise `PeerIdentityMismatch` unless `new` answered at one of the addresses, or answers there now."""
    if any(who == new for _, who in entries):
        return
    others = [(dial, who) for dial, who in entries if who is not None]
    if others:
        told = "; ".join(f"at {dial.entry.endpoint.text} answers {who}" for dial, who in others)
        raise PeerIdentityMismatch(f"{new} is not who answers: {told}. Nothing was changed")
    known = ctx.services[KEYSTORE].get(new)
    if known is None or known.card is None:
        where = f"nobody answers at {_names([dial for dial, _ in entries])} now, and " if entries else ""
        raise PeerIdentityMismatch(f"{where}{new} was never met; link with it first (peers.pair). Nothing was changed")


def _moving(ctx: PluginContext, old: NodeId, new: NodeId, entries: list[Answer]) -> list[DialInfo]:
    """Return the addresses that are the new key's: all, unless the old one runs at another one."""
    runs = ctx.services[MESH].link(old) is not None or any(who == old for _, who in entries)
    return [dial for dial, who in entries if who == new or not runs]


async def _who_answers(ctx: PluginContext, dial: DialInfo) -> NodeId | None:
    try:
        async with asyncio.timeout(DIAL_S):
            return await ctx.services[MESH].dial(PeerEntry(dial.entry.endpoint, dial.entry.node_id))
    except OtherKeyError as error:
        return error.found.answers
    except (DialError, TimeoutError):
        return None


def _link(ctx: PluginContext, new: NodeId, entries: list[DialInfo]) -> None:
    mesh = ctx.services[MESH]
    mesh.resume(new)
    for dial in entries:
        entry = dial.entry
        node_id = new if entry.node_id is not None else None
        mesh.keep_dialling(PeerEntry(entry.endpoint, node_id, entry.label), configured=True)


def _names(entries: list[DialInfo]) -> str:
    return ", ".join(dial.entry.endpoint.text for dial in entries)
