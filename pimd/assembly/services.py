"""What one plugin can reach: the core services it named, and those of the features it requires."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from pimd.assembly.declared import Declared
from pimd.assembly.guard import Guard
from pimd.assembly.timers import Timers
from pimd.assembly.views import made_of
from pimd.clock import TimerHandle
from pimd.contract import CORE_KEYS, DatagramReceiver, Datagrams, Feature, PluginPayload, Sent, ServiceKey
from pimd.ids import NodeId
from pimd.mesh.datagrams import CHANNEL_SIZE
from pimd.mesh.node import Node
from pimd.proto import ecies
from pimd.proto.control import check_payload
from pimd.proto.identity import KEY_SIZE, Identity, hkdf_sha256, signed_for_feature

T = TypeVar("T")


class ServicesView:
    """Implements `contract.Services` for one feature."""

    def __init__(
        self,
        feature: Feature,
        core: Mapping[str, object],
        provided: Callable[[str], Mapping[str, object]],
    ) -> None:
        self._feature = feature
        self._core = core
        self._provided = provided

    def __getitem__(self, key: ServiceKey[T]) -> T:
        if key.name in CORE_KEYS:
            self._require_use(key)
            return cast("T", self._core[key.name])
        providers = self._provided(key.name)
        for name in self._feature.requires:
            if name in providers:
                return cast("T", providers[name])
        if providers:
            raise PermissionError(
                f"feature {self._feature.name} takes {key.name} without requiring {', '.join(providers)}"
            )
        raise LookupError(f"nobody provides {key.name}")

    def providers(self, key: ServiceKey[T]) -> Sequence[T]:
        """All running providers, in start order."""
        self._require_use(key)
        return [cast("T", service) for service in self._provided(key.name).values()]

    def _require_use(self, key: ServiceKey[Any]) -> None:
        if key not in self._feature.uses:
            raise PermissionError(
                f"feature {self._feature.name} takes {key.name} without naming it; write: uses=({key.name.upper()},)"
            )


class PluginSender:
    """Implements `contract.ControlSender` for one feature: only the kinds it claimed, or named in `sent_kinds`, leave."""

    def __init__(self, feature: Declared, node: Node, yield_to_loop: Callable[[], Any]) -> None:
        self._name = feature.name
        self._kinds = frozenset((*feature.payload_kinds, *feature.sent_kinds))
        self._node = node
        self._yield = yield_to_loop

    async def send_direct(self, peer: NodeId, frame: PluginPayload) -> None:
        """Send to a neighbour, best effort; ValueError for a kind that the plugin does not name."""
        self._check(frame)
        self._node.send_direct(peer, frame)
        await self._yield()

    async def send_routed(self, dst: NodeId, frame: PluginPayload) -> Sent:
        """Send sealed, over any number of hops; ValueError for a kind that the plugin does not name."""
        self._check(frame)
        sent = self._node.send_routed(dst, frame)
        await self._yield()  # a plugin that sends in a tight loop must not starve the others
        return sent

    async def ready(self, dst: NodeId) -> bool:
        """Wait for room towards `dst`."""
        return await self._node.ready(dst)

    def _check(self, frame: PluginPayload) -> None:
        if frame.kind not in self._kinds:
            raise ValueError(
                f"feature {self._name} did not claim the payload kind {frame.kind!r}; add it to payload_kinds of its "
                "plugin, or to sent_kinds if others take it"
            )
        check_payload(frame)


def channel_of(feature: str) -> bytes:
    """Return the 4 bytes that separate the datagrams of one feature from those of others."""
    return hashlib.sha256(b"pim-channel-v1\0" + feature.encode()).digest()[:CHANNEL_SIZE]


def datagrams_of(feature: Feature, node: Node, guard: Guard) -> Datagrams:
    """Return the datagrams of one feature, on a channel named after it; what fails in its functions counts as its failure."""
    channel, seal_and_queue = channel_of(feature.name), node.datagrams.send
    told: Callable[[NodeId], None] | None = None

    def send(dst: NodeId, packet: bytes) -> Sent:
        given: Any = packet
        if not isinstance(given, bytes):
            raise TypeError(f"a datagram is bytes, not {type(given).__name__}")
        return seal_and_queue(channel, dst, packet, told)

    def set_receiver(receiver: DatagramReceiver) -> None:
        def take(src: NodeId, packet: bytes) -> None:
            if guard.stopping:
                node.counts.count("dropped_quarantined" if guard.quarantined else "dropped_unclaimed_datagrams")
            else:
                guard.call("the datagram receiver", receiver, src, packet)

        node.datagrams.register(channel, take)

    def set_writable(notice: Callable[[NodeId], None]) -> None:
        nonlocal told

        def tell(dst: NodeId) -> None:
            if not guard.stopping:
                guard.call("the writable notice", notice, dst)

        told = tell

    made: Datagrams = made_of(Datagrams, {"send": send, "set_receiver": set_receiver, "set_writable": set_writable})
    return made


class PluginIdentity:
    """Implements `contract.IdentitySecrets` for one feature."""

    def __init__(self, feature: Feature, identity: Identity) -> None:
        self._feature = feature
        self._identity = identity

    @property
    def node_id(self) -> NodeId:
        """The id of this node, derived from its Ed25519 public key."""
        return self._identity.node_id

    @property
    def ed25519_pub(self) -> bytes:
        """The public key that the id is made of."""
        return self._identity.ed25519_pub

    @property
    def x25519_pub(self) -> bytes:
        """The public key that other nodes seal to."""
        return self._identity.x25519_pub

    def signing_seed(self) -> bytes:
        """The raw seed, for features that declared the need."""
        if not self._feature.needs_signing_seed:
            raise PermissionError(f"feature {self._feature.name} does not declare needs_signing_seed")
        return self._identity.seed()

    def sign(self, domain: str, message: bytes) -> bytes:
        """Sign under the feature's own prefix."""
        return self._identity.sign(signed_for_feature(self._feature.name, domain, message))

    def derive(self, purpose: str) -> bytes:
        """HKDF-SHA256 over the seed, apart from the X25519 key by its prefix."""
        if "\0" in purpose:
            raise ValueError("the purpose of a key holds no NUL")
        info = b"\0".join((b"pim-feature-key-v1", self._feature.name.encode(), purpose.encode()))
        return hkdf_sha256(self._identity.seed(), info, KEY_SIZE)

    def open_sealed(self, ciphertext: bytes) -> bytes:
        """Open an ECIES ciphertext."""
        return ecies.open(self._identity, ciphertext)


class FeatureClock:
    """The daemon's clock for one feature: what its timers call goes through its guard, and ends with it."""

    def __init__(self, timers: Timers) -> None:
        self._clock = timers.clock
        self._timers = timers

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.now()

    def unix_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._clock.unix_ms()

    def lived_ms(self) -> int:
        """Milliseconds that the data directory has lived."""
        return self._clock.lived_ms()

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back through the guard; never once the feature is stopped."""
        return self._timers.call_at(when, callback)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await self._clock.sleep(seconds)
