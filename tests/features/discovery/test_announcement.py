"""What a node says of itself, and whom it recognises."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimd.ids import NodeId
from pimd.proto.mesh_secret import MeshSecret, derive
from pimd_features.discovery.announcement import HOUR_MS, Announced, Announcements
from tests.mesh.conftest import StartNode

ALICE, BOB = NodeId(b"a" * 16), NodeId(b"b" * 16)
HOUR = 500_000


class Clock:
    """Unix time to be set."""

    def __init__(self, hour: int = HOUR) -> None:
        self.ms = hour * HOUR_MS + HOUR_MS - 1

    def __call__(self) -> int:
        return self.ms


def no_tag(_: int) -> None:
    return None


def tag(hour: int) -> bytes:
    return hmac.digest(b"members", hour.to_bytes(8), "sha256")[:16]


def test_in_an_open_mesh_the_id_and_the_version_are_announced() -> None:
    own = Announcements(ALICE, no_tag, Clock()).own()
    assert own == {b"id": b"61" * 16, b"v": b"2"}
    assert Announcements(BOB, no_tag, Clock()).read(own) == Announced(ALICE)


def test_in_a_private_mesh_nothing_but_the_tag_of_the_hour_is_announced() -> None:
    own = Announcements(ALICE, tag, Clock()).own()
    assert own == {b"t": tag(HOUR).hex().encode()}


@pytest.mark.parametrize(("apart", "recognised"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)], ids=str)
def test_members_recognise_each_other_with_clocks_an_hour_apart(apart: int, recognised: bool) -> None:  # noqa: FBT001
    own = Announcements(ALICE, tag, Clock(HOUR + apart)).own()
    seen = Announcements(BOB, tag, Clock()).read(own)
    assert seen == (Announced(None, tag(HOUR + apart)) if recognised else None)


def test_a_tag_is_no_longer_current_two_hours_later() -> None:
    clock = Clock()
    members = Announcements(ALICE, tag, clock)
    clock.ms += HOUR_MS
    assert members.is_current(tag(HOUR))
    clock.ms += HOUR_MS
    assert not members.is_current(tag(HOUR))


def test_members_strangers_and_members_of_another_mesh_do_not_recognise_each_other() -> None:
    member, stranger = Announcements(ALICE, tag, Clock()), Announcements(BOB, no_tag, Clock())
    other = Announcements(BOB, lambda hour: tag(hour)[::-1], Clock())
    assert stranger.read(member.own()) is None
    assert member.read(stranger.own()) is None
    assert member.read(other.own()) is None
    assert member.read({**stranger.own(), **other.own()}) is None


def test_the_own_id_is_passed_over() -> None:
    alice = Announcements(ALICE, no_tag, Clock())
    assert alice.read(alice.own()) is None


@given(st.dictionaries(st.sampled_from([b"id", b"v", b"t", b"x"]), st.none() | st.binary(max_size=70)))
def test_no_text_record_is_taken_for_a_member_or_breaks_the_reader(properties: dict[bytes, bytes | None]) -> None:
    assert Announcements(ALICE, tag, Clock()).read(properties) is None
    seen = Announcements(ALICE, no_tag, Clock()).read(properties)
    assert seen is None or str(seen.node_id).encode() == (properties[b"id"] or b"").lower()


def test_a_clock_at_zero_still_makes_a_tag() -> None:
    clock = Clock()
    clock.ms = 0
    members = Announcements(ALICE, tag, clock)
    assert Announcements(BOB, tag, clock).read(members.own()) is not None


async def test_the_mesh_makes_the_tag_of_the_protocol(start_node: StartNode) -> None:
    secret: MeshSecret = derive("correct horse battery staple", None, 8, 1, 1)
    member = await start_node(1, secret=secret)
    expected = hmac.digest(secret.discovery_key, b"pim-disco-tag-v1" + HOUR.to_bytes(8), "sha256")[:16]
    own = Announcements(member.id, member.node.service.discovery_tag, Clock()).own()
    assert own == {b"t": expected.hex().encode()}
    assert (await start_node(2)).node.service.discovery_tag(HOUR) is None
