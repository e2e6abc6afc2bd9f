"""The protocol's own known answers: identities, cards, frames, sealing, ECIES, mesh secrets."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto import cards, ecies, mesh_secret, sealed
from pimd.proto.control import PluginPayload, SignedPeerInfo, UnknownControl, decode_control, encode_control
from pimd.proto.errors import DecodeError, LocalProtocolError, PayloadTooLarge
from pimd.proto.frames import (
    ENTRIES_A_RECORD,
    CardsCutShort,
    RouteEntry,
    Routes,
    UnknownFrame,
    decode_frame,
    decode_mesh_data,
    encode_frame,
    encode_mesh_data,
)
from pimd.proto.identity import Identity, is_low_order_x25519
from pimd.proto.records import MAX_PLAINTEXT

FOLDER = Path(__file__).parents[1] / "vectors"
V = json.loads((FOLDER / "pim_link_v2.json").read_text())
SECRETS = json.loads((FOLDER / "pim_mesh_secret.json").read_text())["vectors"]
IDENTITIES = {row["who"]: Identity.from_seed(bytes.fromhex(row["seed"])) for row in V["identities"]}


def named(row: dict[str, Any]) -> str:
    return str(row.get("who") or row.get("name") or row.get("why") or row.get("mesh_id"))


@pytest.mark.parametrize("row", V["identities"], ids=named)
def test_every_key_follows_from_the_seed(row: dict[str, Any]) -> None:
    identity = IDENTITIES[row["who"]]
    assert identity.ed25519_pub.hex() == row["ed25519_pub"]
    assert identity.x25519_pub.hex() == row["x25519_pub"]
    assert identity.x25519_secret().hex() == row["x25519_secret"]
    assert identity.node_id.hex() == row["node_id"]
    assert identity.node_id.abbreviated == row["short"]
    assert identity.link_proof_signature.hex() == row["link_static_signature"]
    assert row["seed"] not in repr(identity)


@pytest.mark.parametrize("row", V["cards"], ids=named)
def test_cards_are_issued_and_read_byte_for_byte(row: dict[str, Any]) -> None:
    ext = bytes.fromhex(row["ext"])
    card = cards.issue(IDENTITIES[row["who"]], row["seq"], row["flags"], row["name"], ext)
    assert card.raw.hex() == row["card"]
    assert cards.parse(card.raw) == card


@pytest.mark.parametrize("row", V["cards"], ids=named)
def test_no_byte_of_a_card_can_be_changed(row: dict[str, Any]) -> None:
    raw = bytes.fromhex(row["card"])
    for position in range(len(raw)):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(cards.BadCard):
            cards.parse(changed)


@pytest.mark.parametrize("row", V["control_frames"], ids=named)
def test_control_frames_round_trip_and_bear_no_truncation_or_extension(row: dict[str, Any]) -> None:
    raw = bytes.fromhex(row["bytes"])
    frame = decode_control(raw)
    assert encode_control(frame) == raw  # type: ignore[arg-type] # the vectors hold known tags only
    whole = (
        {1 + sum(len(card) for card in frame.cards[:n]) for n in range(1, 3)}
        if isinstance(frame, SignedPeerInfo)
        else set()
    )
    for bad in [raw[:length] for length in range(len(raw)) if length not in whole] + [raw + b"\0"]:
        with pytest.raises(DecodeError):
            decode_control(bad)


@pytest.mark.parametrize("raw", V["control_frames_bad"])
def test_bad_control_frames_are_refused(raw: str) -> None:
    with pytest.raises(DecodeError):
        decode_control(bytes.fromhex(raw))


@pytest.mark.parametrize("raw", V["control_frames_unknown"])
def test_unknown_tags_are_named_not_refused(raw: str) -> None:
    assert decode_control(bytes.fromhex(raw)) == UnknownControl(int(raw[:2], 16))


def test_whole_cards_before_one_cut_short_are_kept() -> None:
    alice, bob = (bytes.fromhex(row["card"]) for row in V["cards"][:2])
    with pytest.raises(CardsCutShort) as caught:
        decode_control(b"\x09" + alice + bob[:-1])
    assert caught.value.whole.cards == (alice,)


def test_routes_and_heartbeats_round_trip() -> None:
    for kind, body in (
        ("07", V["routes"]["body"]),
        ("07", V["routes_with_hops"]["body"]),
        ("04", V["heartbeat"]["body"]),
    ):
        raw = bytes.fromhex(kind + body)
        frame = decode_frame(raw)
        assert not isinstance(frame, UnknownFrame | UnknownControl)
        assert encode_frame(frame) == raw


@pytest.mark.parametrize(("form", "hops"), [("routes", False), ("routes_with_hops", True)])
def test_routes_are_written_and_read_byte_for_byte_in_both_forms(form: str, *, hops: bool) -> None:
    row = V[form]
    entries = [
        (NodeId.parse(entry["destination"]), entry["seq"], entry["metric"], entry.get("hops", entry["metric"] // 256))
        for entry in row["entries"]
    ]
    frame = Routes(tuple(RouteEntry(*entry) for entry in entries), first=row["first"], last=row["last"], hops=hops)
    raw = bytes.fromhex("07" + row["body"])
    assert encode_frame(frame) == raw
    assert decode_frame(raw) == frame
    for bad in [raw[:length] for length in range(1, len(raw))] + [raw + b"\0"]:
        with pytest.raises(DecodeError):
            decode_frame(bad)


@pytest.mark.parametrize(("metric", "hops"), [(0, 0), (255, 0), (256, 1), (1023, 3), (65535, 255)])
def test_without_hops_a_metric_counts_as_one_for_each_256(metric: int, hops: int) -> None:
    told = Routes((RouteEntry(IDENTITIES["bob"].node_id, 1, metric, 77),), first=False, last=False)
    read = decode_frame(encode_frame(told))
    assert isinstance(read, Routes)
    assert read.entries[0].hops == hops


@pytest.mark.parametrize("hops", [False, True])
def test_a_record_holds_a_thousand_routes(*, hops: bool) -> None:
    entries = tuple(RouteEntry(NodeId(n.to_bytes(16)), 2**64 - 1, 65535, 255) for n in range(ENTRIES_A_RECORD))
    raw = encode_frame(Routes(entries, first=True, last=True, hops=hops))
    assert len(raw) <= MAX_PLAINTEXT
    assert decode_frame(raw) == Routes(entries, first=True, last=True, hops=hops)


def test_hops_that_do_not_fit_a_byte_are_refused() -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(Routes((RouteEntry(IDENTITIES["bob"].node_id, 1, 256, 256),), first=False, last=False, hops=True))


@given(st.binary(max_size=300))
def test_any_bytes_decode_to_what_encodes_back_or_are_refused(raw: bytes) -> None:
    try:
        frame = decode_frame(raw)
    except DecodeError:
        return
    if isinstance(frame, UnknownFrame | UnknownControl) or raw[:2] in {b"\x05\x07", b"\x05\x03", b"\x05\x0b"}:
        return  # unknown ones, and those with bits or numbers that read as something else
    if raw[0] == 7:
        raw = raw[:1] + bytes([raw[1] & 7]) + raw[2:]
    assert encode_frame(frame) == raw


def test_a_body_over_60_000_bytes_is_refused_before_anything_is_sent() -> None:
    assert len(encode_control(PluginPayload("a.b", bytes(60_000)))) == 60_000 + 7
    with pytest.raises(PayloadTooLarge):
        encode_control(PluginPayload("a.b", bytes(60_001)))
    with pytest.raises(DecodeError):
        decode_control(b"\x08\x03a.b" + (60_001).to_bytes(2) + bytes(60_001))


def test_the_sealed_frame_is_made_and_opened_byte_for_byte() -> None:
    row, alice, bob = V["sealed"], IDENTITIES["alice"], IDENTITIES["bob"]
    payload = decode_control(bytes.fromhex(row["control_frame"]))
    assert isinstance(payload, PluginPayload)
    made = sealed.Sealer(alice, Bites()).seal(
        payload,
        src=alice.node_id,
        dst=bob.node_id,
        dst_x25519=bob.x25519_pub,
        dst_seq=row["dst_seq"],
        counter=row["counter"],
        nonce=bytes.fromhex(row["nonce"]),
    )
    assert encode_mesh_data(made).hex() == row["mesh_data"]
    opened = sealed.Sealer(bob, Bites()).open(decode_mesh_data(bytes.fromhex(row["mesh_data"])), alice.x25519_pub)
    assert (opened.src, opened.dst_seq, opened.counter, opened.frame) == (alice.node_id, 1, row["counter"], payload)


@pytest.mark.parametrize("row", V["sealed_bad"], ids=named)
def test_a_relay_that_swaps_or_replaces_ids_is_found_out(row: dict[str, Any]) -> None:
    frame = decode_mesh_data(bytes.fromhex(row["mesh_data"]))
    for reader in ("alice", "bob"):
        other = IDENTITIES["bob" if reader == "alice" else "alice"]
        with pytest.raises(sealed.IdsDiffer):
            sealed.Sealer(IDENTITIES[reader], Bites()).open(frame, other.x25519_pub)


@given(st.lists(st.integers(0, 10_000), max_size=200))
def test_the_replay_window_agrees_with_a_set(counters: list[int]) -> None:
    window, seen, highest = sealed.ReplayWindow(), set[int](), -1
    for counter in counters:
        fresh = counter not in seen and counter >= highest - sealed.WINDOW
        assert window.accept(counter) is fresh
        seen.add(counter)
        highest = max(highest, counter)


def test_ecies_is_made_and_opened_byte_for_byte_and_bears_no_change() -> None:
    row, bob = V["ecies"], IDENTITIES["bob"]
    ciphertext = bytes.fromhex(row["ciphertext"])
    secret, nonce = bytes.fromhex(row["ephemeral_secret"]), bytes.fromhex(row["nonce"])
    assert ecies.seal(bob.x25519_pub, bytes.fromhex(row["plaintext"]), secret, nonce) == ciphertext
    assert ecies.open(bob, ciphertext).hex() == row["plaintext"]
    for position in range(len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[position] ^= 1
        with pytest.raises(ecies.EciesError):
            ecies.open(bob, bytes(changed))
    with pytest.raises(ecies.EciesError):
        ecies.open(bob, bytes(32) + ciphertext[32:])


@pytest.mark.parametrize("row", SECRETS, ids=named)
def test_mesh_secrets_follow_from_the_passphrase_and_are_not_shown(row: dict[str, Any]) -> None:
    costs = row["m_cost_kib"], row["t_cost"], row["p_cost"]
    secret = mesh_secret.derive(row["passphrase"], row["mesh_id"], *costs)
    assert secret.discovery_key.hex() == row["discovery_key"]
    assert secret.handshake_key.hex() == row["handshake_key"]
    assert secret.fingerprint == row["fingerprint"]
    assert repr(secret.handshake_key) not in repr(secret)


def test_low_order_points_are_known() -> None:
    assert is_low_order_x25519(bytes(32))
    assert not is_low_order_x25519(IDENTITIES["alice"].x25519_pub)
