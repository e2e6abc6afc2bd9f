"""A thief with every file of both ends and a recording of all payloads tries everything on it."""

from collections.abc import Iterator, Sequence

from nacl.bindings import crypto_scalarmult_base

from pimd.ids import NodeId
from pimd.proto import mlkem as kem
from pimd_features.messaging.sessions import chain, header
from pimd_features.messaging.sessions.bundle import BUNDLE_KIND, Bundle, parse_answer
from pimd_features.messaging.sessions.header import BundleSecrets
from pimd_features.messaging.sessions.message import MSG_KIND, Msg2, open_with

Payload = tuple[NodeId, NodeId, str, bytes]
STEPS = 6
"""So many messages ahead each possible chain key is tried."""
AROUND = 4096
"""So near to the secret of a prekey the seed of its bundle is looked for."""
DISTINCT = 20
"""A random key of 32 bytes has more different bytes than that, but for one in a million."""


def opened(files: Sequence[bytes], recorded: Sequence[Payload]) -> set[bytes]:
    """Return the bodies of all messages that the files open."""
    messages = [(src, dst, Msg2.decode(body)) for src, dst, kind, body in recorded if kind == MSG_KIND]
    bodies = set(_with_keys_found(files, messages))
    for bundle, secrets in _bundles_found(files, recorded):
        bodies.update(_with_bundle(bundle, secrets, messages))
    return bodies


def _windows(files: Sequence[bytes], size: int = 32) -> Iterator[tuple[bytes, int, bytes]]:
    seen: set[bytes] = set()
    for content in files:
        for at in range(len(content) - size + 1):
            window = content[at : at + size]
            if not window[0] and not any(window):
                continue
            if window not in seen and len(set(window)) >= DISTINCT:
                seen.add(window)
                yield content, at, window


def _with_keys_found(files: Sequence[bytes], messages: Sequence[tuple[NodeId, NodeId, Msg2]]) -> Iterator[bytes]:
    """Take each 32 bytes for a message key and for a chain key."""
    for _, _, window in _windows(files):
        keys, link = [window], window
        for _ in range(STEPS):
            keys.append(chain.message_key(link))
            link = chain.next_chain(link)
        for key in keys:
            yield from _with_key(key, messages)


def _with_key(key: bytes, messages: Sequence[tuple[NodeId, NodeId, Msg2]]) -> Iterator[bytes]:
    for src, dst, msg in messages:
        try:
            yield open_with(msg, key, src, dst).body
        except ValueError:
            continue


def _bundles_found(files: Sequence[bytes], recorded: Sequence[Payload]) -> Iterator[tuple[Bundle, BundleSecrets]]:
    """Look for the secrets of each bundle that was given out."""
    given = {
        bundle.prekey: bundle
        for *_, kind, body in recorded
        if kind == BUNDLE_KIND and len(body) > NodeId.SIZE
        for bundle in parse_answer(body)
    }
    for content, at, window in _windows(files):
        bundle = given.get(crypto_scalarmult_base(window))
        if bundle is None:
            continue
        for _, _, seed in _windows([content[max(at - AROUND, 0) : at + AROUND]], kem.SEED_SIZE):
            if kem.public_of(seed) == bundle.kem_key:
                yield bundle, BundleSecrets(bundle.digest, window, seed)
                break


def _with_bundle(
    bundle: Bundle, secrets: BundleSecrets, messages: Sequence[tuple[NodeId, NodeId, Msg2]]
) -> Iterator[bytes]:
    for src, dst, msg in messages:
        if not msg.header or header.bundle_id_of(msg.header) != bundle.id:
            continue
        link = header.accept(secrets, src, dst, msg.header).chain
        for _ in range(256):
            yield from _with_key(
                chain.message_key(link), [one for one in messages if one[2].session_id == msg.session_id]
            )
            link = chain.next_chain(link)
