"""The `identity.*` methods, which every assembly has: what a person decides about this node's key."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from pimd.contract import NodeIdHex, NoParams, NotSupported, Result, StorageError, rpc
from pimd.ids import NodeId
from pimd.mesh.node import Node
from pimd.proto.identity import Identity
from pimd.rpc.registry import CORE, Method, method_of
from pimd.store.node_key import replace_seed
from pimd.store.secret_file import SecretFileError


class IdentityInfo(Result):
    """The key of this node."""

    node_id: NodeIdHex
    fingerprint: str = Field(description="The id in groups of four digits, to be read aloud.")
    waits: bool = Field(description="Whether this node announces nothing, since another machine uses its key.")
    next_node_id: NodeIdHex | None = Field(description="The id from the next start on, after identity.new; else null.")


class NewIdentity(Result):
    """The key that the next start of the daemon takes."""

    node_id: NodeIdHex
    key_file: str
    old_key_file: str = Field(description="Where the key in use now is kept.")


class IdentityMethods:
    """Bound to one daemon; `key_file` is None where the key has no file."""

    def __init__(self, node: Node, own_id: NodeId, key_file: Path | None) -> None:
        self._node = node
        self._own_id = own_id
        self._key_file = key_file
        self._next: NodeId | None = None
        self._turn = asyncio.Lock()

    def methods(self) -> list[Method]:
        """Return the registrations for the method table."""
        own: tuple[Callable[..., object], ...] = (self.show, self.keep, self.new)
        return [method_of(function, CORE) for function in own]

    @rpc("identity.show", reads=True)
    async def show(self, _: NoParams) -> IdentityInfo:
        """Tell which key this node has, and whether it waits for a person because another machine uses it."""
        digits = str(self._own_id)
        return IdentityInfo(
            node_id=self._own_id,
            fingerprint=" ".join(digits[at : at + 4] for at in range(0, len(digits), 4)),
            waits=self._node.key_use.same_keys.waits,
            next_node_id=self._next,
        )

    @rpc("identity.keep", errors=(StorageError,))
    async def keep(self, _: NoParams) -> IdentityInfo:
        """Go on with this key here, although another machine was found to use it.

        Neighbours go on to refuse this node while the other one is linked with them and answers.
        """
        await self._node.key_use.keep()
        return await self.show(NoParams())

    @rpc("identity.new", errors=(StorageError, NotSupported))
    async def new(self, _: NoParams) -> NewIdentity:
        """Make a new key, which counts from the next start of the daemon on; the old one is kept in a file beside it.

        Peers, labels and messages stay. To others this is another node: whoever has it in a list accepts it with
        peers.accept.
        """
        if self._key_file is None:
            raise NotSupported("this daemon has no key file")
        async with self._turn:
            try:
                seed, kept = await asyncio.to_thread(replace_seed, self._key_file)
            except (SecretFileError, FileNotFoundError) as error:
                raise StorageError(f"no new key was made: {error}") from error
            await self._node.key_use.let_new_key_start()
            self._next = Identity.from_seed(seed).node_id
        return NewIdentity(node_id=self._next, key_file=str(self._key_file), old_key_file=str(kept))
