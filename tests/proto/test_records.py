"""Records of one direction: how long they may be, and when their key has done its share."""

import pytest

from pimd.proto.errors import LocalProtocolError, RemoteProtocolError
from pimd.proto.link_states import RekeyLimits
from pimd.proto.noise import CipherState
from pimd.proto.records import MAX_PLAINTEXT, RecordReader, RecordWriter


def cipher() -> CipherState:
    made = CipherState("ChaChaPoly")
    made.initialize_key(bytes(range(32)))
    return made


def writer(**limits: float) -> RecordWriter:
    return RecordWriter(cipher(), RekeyLimits(**limits), 100.0)  # type: ignore[arg-type]


def test_a_key_has_done_its_share_with_exactly_so_many_records_bytes_or_seconds() -> None:
    for limits, sizes in (({"records": 3}, (1, 1, 1)), ({"plaintext_bytes": 100}, (60, 39, 1))):
        one = writer(**limits)
        for _ in range(2):  # the next key begins anew
            for size in sizes:
                assert not one.wants_rekey(100.0)
                one.write(bytes(size))
            assert one.wants_rekey(100.0)
            one.rekeyed(100.0)
    one = writer(seconds=5.0)
    assert [one.wants_rekey(now) for now in (104.9, 105.0)] == [False, True]
    one.rekeyed(105.0)
    assert [one.wants_rekey(now) for now in (109.9, 110.0)] == [False, True]


def test_what_one_key_wrote_is_read_with_it_and_with_no_other() -> None:
    one, reader = writer(), RecordReader(cipher())
    for plaintext in (b"", b"x", bytes(MAX_PLAINTEXT)):
        record = one.write(plaintext)
        assert int.from_bytes(record[:2]) == len(record) - 2 == len(plaintext) + 16
        if plaintext:
            assert reader.read(record[2:]) == plaintext
        else:
            with pytest.raises(RemoteProtocolError, match="shorter than 17 bytes"):
                reader.read(record[2:])
            one, reader = writer(), RecordReader(cipher())
    one.rekeyed(0.0)
    changed = one.write(b"next key")[2:]
    with pytest.raises(RemoteProtocolError, match="does not authenticate"):
        RecordReader(cipher()).read(changed)
    reader.rekeyed()
    assert reader.read(changed) == b"next key"
    with pytest.raises(LocalProtocolError, match=f"a frame of {MAX_PLAINTEXT + 1} bytes"):
        one.write(bytes(MAX_PLAINTEXT + 1))
