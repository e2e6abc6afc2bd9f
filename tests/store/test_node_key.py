"""The seed file: created once, private, never shown."""

import os
import stat
from pathlib import Path

import pytest

from pimd.store.node_key import load_or_create_seed, replace_seed
from pimd.store.secret_file import SecretFileError, create_secret_file

SEED = bytes(range(100, 132))


def fixed(size: int) -> bytes:
    return SEED[:size]


def test_a_new_seed_is_random_private_and_found_again(tmp_path: Path) -> None:
    seed = load_or_create_seed(tmp_path / "node.key")
    assert len(seed) == 32
    assert load_or_create_seed(tmp_path / "node.key") == seed
    assert load_or_create_seed(tmp_path / "other.key") != seed
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["node.key", "other.key"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_file_is_for_its_owner_alone_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        load_or_create_seed(tmp_path / "node.key", fixed)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "node.key").stat().st_mode) == 0o600
    assert (tmp_path / "node.key").read_bytes() == SEED


def test_file_and_directory_are_synced_before_the_seed_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    load_or_create_seed(tmp_path / "node.key", fixed)
    assert synced == [f".node.key.{os.getpid()}.new", tmp_path.name]


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640, 0o660, 0o644])
def test_a_file_that_others_may_read_or_write_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(SEED)
    path.chmod(mode)
    with pytest.raises(SecretFileError, match=f"has mode {mode:04o}.*chmod 600") as caught:
        load_or_create_seed(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert "cdef" not in str(caught.value)


@pytest.mark.parametrize(("content", "words"), [(b"", "0 bytes"), (b"s" * 31, "31 bytes"), (b"s" * 33, "more bytes")])
def test_a_file_of_another_size_is_refused_and_left_alone(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SecretFileError, match=f"exactly 32 bytes, this file {words}") as caught:
        load_or_create_seed(path)
    assert path.read_bytes() == content
    assert "ssss" not in str(caught.value)


def test_a_symbolic_link_is_refused_even_when_it_points_to_a_good_key(tmp_path: Path) -> None:
    load_or_create_seed(tmp_path / "real.key")
    (tmp_path / "node.key").symlink_to(tmp_path / "real.key")
    with pytest.raises(SecretFileError, match="symbolic link"):
        load_or_create_seed(tmp_path / "node.key")


def test_a_dangling_symbolic_link_creates_nothing_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "node.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretFileError, match="symbolic link"):
        load_or_create_seed(tmp_path / "node.key")
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_in_its_place_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "node.key", 0o600)
    with pytest.raises(SecretFileError, match="not a regular file"):
        load_or_create_seed(tmp_path / "node.key")


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.key").mkdir(mode=0o700)
    with pytest.raises(SecretFileError, match="not a regular file"):
        load_or_create_seed(tmp_path / "node.key")


def test_a_key_made_meanwhile_by_another_process_is_the_one_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    other = b"o" * 32

    def random_while_another_creates(_size: int) -> bytes:
        create_secret_file(path, other)
        return SEED

    assert load_or_create_seed(path, random_while_another_creates) == other
    assert [file.name for file in tmp_path.iterdir()] == ["node.key"]


def test_what_a_killed_start_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / f".node.key.{os.getpid()}.new").write_bytes(b"half")
    assert load_or_create_seed(tmp_path / "node.key", fixed) == SEED


def test_a_missing_directory_is_created_for_its_owner_alone(tmp_path: Path) -> None:
    load_or_create_seed(tmp_path / "keys" / "node.key", fixed)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_place_that_cannot_be_written_is_a_clear_error_without_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretFileError, match="Not a directory") as caught:
        load_or_create_seed(tmp_path / "file" / "node.key", fixed)
    assert "defg" not in str(caught.value)


def test_a_replaced_seed_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    first = load_or_create_seed(path, fixed)
    second, kept = replace_seed(path)
    third, kept_too = replace_seed(path)
    assert len({first, second, third}) == 3
    assert [path.read_bytes(), kept.read_bytes(), kept_too.read_bytes()] == [third, first, second]
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["node.key", "node.key.old", "node.key.old1"]


def test_a_seed_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_seed(tmp_path / "node.key")
    path = tmp_path / "node.key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(SecretFileError):
        replace_seed(path)
    assert path.read_bytes() == b"short"
