"""Methods about identities: labels, blocks, import, export and removal."""

from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    PEER_DATA,
    InvalidParams,
    KeyConflict,
    PeerNotFound,
    PluginContext,
    ServiceFailed,
    StorageError,
    rpc,
)
from pimd.ids import NodeId
from pimd_features.peers.errors import PeerIdentityMismatch
from pimd_features.peers.models import (
    Exported,
    ExportParams,
    ForgetParams,
    Forgot,
    Imported,
    ImportParams,
    LabelParams,
    Peer,
    PeerParams,
)
from pimd_features.peers.rows import Rows


def refuse_own_id(ctx: PluginContext, node_id: NodeId) -> None:
    """Raise `InvalidParams` for this node's own id, where only another node makes sense."""
    if node_id == ctx.identity.node_id:
        raise InvalidParams("parameter node_id: this is the node itself")


def _peer(ctx: PluginContext, node_id: NodeId) -> Peer:
    keystore = ctx.services[KEYSTORE]
    known, row = keystore.get(node_id), Rows(ctx).summary(node_id)
    if known is not None:
        return Peer(**dict(row), known=known.known, contact=known.contact, blocked=known.blocked)
    if row.forgotten and row.state in ("active", "relayed"):
        return Peer(**dict(row), known="forgotten", contact=False, blocked=keystore.is_blocked(node_id))
    raise PeerNotFound(f"no peer {node_id} is known here; peers.list with all shows those that are")


@rpc("peers.get", errors=(PeerNotFound,), reads=True)
async def get(ctx: PluginContext, params: PeerParams) -> Peer:
    """Tell what is known of one peer."""
    return _peer(ctx, params.node_id)


@rpc("peers.label", errors=(PeerNotFound, StorageError))
async def label(ctx: PluginContext, params: LabelParams) -> Peer:
    """Give a peer a name of one's own, or with null take it away.

    A labelled peer is a contact; `pim` takes the label wherever it takes an id. One that is forgotten and still linked is
    learned again.
    """
    if ctx.services[KEYSTORE].is_forgotten(params.node_id):
        await ctx.services[MESH].fetch_card(params.node_id)
    _peer(ctx, params.node_id)
    await ctx.services[KEYSTORE].set_label(params.node_id, params.label)
    return _peer(ctx, params.node_id)


@rpc("peers.block", errors=(InvalidParams, StorageError))
async def block(ctx: PluginContext, params: PeerParams) -> None:
    """Refuse links and payloads of a node, known or not, until it is unblocked; survives forgetting it."""
    refuse_own_id(ctx, params.node_id)
    await ctx.services[KEYSTORE].set_blocked(params.node_id, blocked=True)
    await ctx.services[MESH].hang_up(params.node_id)


@rpc("peers.unblock", errors=(StorageError,))
async def unblock(ctx: PluginContext, params: PeerParams) -> None:
    """Accept links and payloads of a node again; its configured addresses are dialled at once."""
    await ctx.services[KEYSTORE].set_blocked(params.node_id, blocked=False)
    mesh = ctx.services[MESH]
    mesh.resume(params.node_id)
    for dial in mesh.dials():
        if dial.node_id == params.node_id and dial.state != "up":
            mesh.keep_dialling(dial.entry, configured=dial.configured)


@rpc("peers.forget", errors=(InvalidParams, StorageError))
async def forget(ctx: PluginContext, params: ForgetParams) -> Forgot:
    """Delete a peer's identity, label, pin and contact mark; its messages only when asked.

    The same card is not learned again; a newer one, or a link, makes the peer a stranger anew. An existing link stays.
    """
    refuse_own_id(ctx, params.node_id)
    known = await ctx.services[KEYSTORE].forget(params.node_id)
    messages, conversation = 0, False
    if params.also_delete_messages:
        for provider in ctx.services.providers(PEER_DATA):
            try:
                erased = await provider.erase(params.node_id)
            except ServiceFailed as error:
                ctx.log.error("not all messages with %s are deleted: %s", params.node_id.abbreviated, error)
                continue
            messages += erased.messages
            conversation = conversation or erased.conversation
    return Forgot(forgot_identity=known, deleted_messages=messages, deleted_conversation=conversation)


@rpc("peers.import_identity", errors=(PeerIdentityMismatch, InvalidParams, StorageError))
async def import_identity(ctx: PluginContext, params: ImportParams) -> Imported:
    """Store a key that came some other way, so that the peer can be written to before it is met.

    A signed card always replaces an imported key.
    """
    refuse_own_id(ctx, params.node_id)
    key = bytes.fromhex(params.x25519_pubkey)
    try:
        new = await ctx.services[KEYSTORE].import_identity(params.node_id, key, params.friendly_name or "")
    except KeyConflict as conflict:
        raise PeerIdentityMismatch(
            f"{params.node_id} has signed another key than the one given; the signed one stays",
            {
                "node_id": str(params.node_id),
                "supplied_x25519_pubkey": conflict.supplied.hex(),
                "existing_x25519_pubkey": conflict.existing.hex(),
            },
        ) from None
    except ValueError:
        raise InvalidParams("parameter x25519_pubkey: is no usable public key; copy it again") from None
    return Imported(node_id=params.node_id, node_id_short=params.node_id.short, imported=new)


@rpc("peers.export_identity", errors=(PeerNotFound,), reads=True)
async def export_identity(ctx: PluginContext, params: ExportParams) -> Exported:
    """Return an identity to give to others; one's own without `node_id`."""
    own = ctx.identity
    if params.node_id in (None, own.node_id):
        name, card = ctx.services[CONFIG].node_name(), ctx.services[MESH].own_card()
        return _exported(own.node_id, own.x25519_pub, name, card)
    known = ctx.services[KEYSTORE].get(params.node_id)
    if known is None:
        raise PeerNotFound(f"no peer {params.node_id} is known here; peers.list with all shows those that are")
    return _exported(known.node_id, known.x25519_pub, known.name, known.card)


def _exported(node_id: NodeId, x25519_pub: bytes, name: str, card: bytes | None) -> Exported:
    lines = ["# pim peer identity card", f"name = {name}", f"node_id = {node_id}", f"x25519 = {x25519_pub.hex()}"]
    if card is not None:
        lines.append(f"card = {card.hex()}")
    return Exported(
        node_id=node_id,
        x25519_pubkey=x25519_pub.hex(),
        name=name,
        card=card.hex() if card is not None else None,
        text="\n".join(lines) + "\n",
    )
