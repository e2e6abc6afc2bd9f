"""Files that people edit keep their form, their place and their owner."""

import errno
import os
from pathlib import Path

import pytest

from pimd.store import text_file
from pimd.store.text_file import NotText, Text

MARK = b"\xef\xbb\xbf"


def changed(path: Path, before: bytes, add: str) -> bytes:
    path.write_bytes(before)
    text = text_file.read(path)
    text_file.replace(path, text_file.encode(text.content + add, text))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (b"a = 1\n", b"b = 2\n"),
        (b"a = 1\r\n", b"b = 2\r\n"),
        (MARK + b"a = 1\r\nc = 3\r\n", b"b = 2\r\n"),
        (MARK + b"a = 1\n", b"b = 2\n"),
        (b"a = 1\r\nmixed = 1\n", b"b = 2\n"),
        ("a = 'ü'\n".encode(), b"b = 2\n"),
        (b"", b"b = 2\n"),
        (MARK, b"b = 2\n"),
    ],
)
def test_mark_and_line_ends_stay(tmp_path: Path, before: bytes, added: bytes) -> None:
    assert changed(tmp_path / "x", before, "b = 2\n") == before + added


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"# one\n# caf\xe9\n", "is not UTF-8 text, from line 2 on"),
        ("a = 1\n".encode("utf-16"), "is UTF-16"),
        ("a = 1\n".encode("utf-16-be"), "x"),
    ],
)
def test_other_encodings_are_named(raw: bytes, said: str) -> None:
    if said == "x":
        assert text_file.decode(raw).content != "a = 1\n"  # NULs, which TOML refuses
    else:
        with pytest.raises(NotText, match=said):
            text_file.decode(raw)


def test_a_link_stays_and_what_it_leads_to_changes(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    real = tmp_path / "far" / "real.toml"
    real.write_text("one\n")
    real.chmod(0o640)
    (tmp_path / "middle").symlink_to("far/real.toml")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "middle")
    text_file.replace(link, b"two\n")
    assert link.is_symlink()
    assert (tmp_path / "middle").is_symlink()
    assert real.read_text() == "two\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "far" / "real.toml.bak").read_text() == "one\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "link", "middle"]


def test_a_link_to_a_file_that_is_not_there_yet_stays(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "deep" / "real.toml")
    text_file.replace(link, b"two\n")
    assert link.is_symlink()
    assert (tmp_path / "deep" / "real.toml").read_text() == "two\n"


def test_a_file_with_two_names_keeps_both(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a longer text\n")
    other.hardlink_to(one)
    text_file.replace(one, b"two\n")
    assert other.read_text() == "two\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("one\n")
    os.chown(path, 1234, 4321)
    path.chmod(0o644)
    text_file.replace(path, b"two\n")
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 4321, 0o644)
    assert not text_file.is_own(path)


def test_where_nothing_can_take_its_place_it_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_text("a longer text\n")
    real = Path.replace

    def busy(self: Path, target: Path) -> Path:
        if target == path:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    text_file.replace(path, b"two\n")
    assert path.read_text() == "two\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x", "x.bak"]


def test_a_text_that_does_not_fit_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("old\n")
    other.hardlink_to(one)
    real, room = os.write, [2]

    def write(descriptor: int, content: bytes) -> int:
        if content.startswith(b"old"):
            return real(descriptor, content)
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        text_file.replace(one, b"a text that is longer\n")
    assert one.read_text() == "old\n"


def test_windows_needs_all_line_ends() -> None:
    assert Text("a\r\nb\r\n").windows
    assert not Text("a\r\nb\n").windows
    assert not Text("").windows
