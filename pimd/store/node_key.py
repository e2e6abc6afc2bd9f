"""The seed from which the node's whole identity is derived (docs/protocol.md)."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from pimd.paths import sync_directory
from pimd.store.secret_file import SecretFileError, create_secret_file, read_secret_file

SEED_SIZE = 32


def load_or_create_seed(path: Path, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the 32 raw bytes in `path`; a new seed is on disk, with its directory entry, before it is returned.

    A file that others may read is refused, not tightened: its secret may have leaked, and only a person can tell.
    Raises `SecretFileError`, whose text never holds the bytes.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        _make_parent(path)
        # False when another process created one meanwhile, which is then used.
        create_secret_file(path, random(SEED_SIZE))
    try:
        return _load(path)
    except FileNotFoundError:
        raise SecretFileError(path, "vanished while it was being created; start again") from None


def replace_seed(path: Path, random: Callable[[int], bytes] = os.urandom) -> tuple[bytes, Path]:
    """Put a new seed into `path`; return it, and where the old one is kept. At every moment one of the two is in `path`.

    Raises FileNotFoundError and `SecretFileError`.
    """
    old, new = _load(path), random(SEED_SIZE)
    kept, coming = (_unused(path, ending) for ending in ("old", "new"))
    create_secret_file(kept, old)
    create_secret_file(coming, new)
    try:
        coming.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise SecretFileError(path, f"cannot be replaced: {error.strerror}") from error
    return new, kept


def _unused(path: Path, ending: str) -> Path:
    names = (path.with_name(f"{path.name}.{ending}{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def _load(path: Path) -> bytes:
    seed = read_secret_file(path, SEED_SIZE)
    if len(seed) != SEED_SIZE:
        size = f"{len(seed)} bytes" if len(seed) < SEED_SIZE else "more bytes than that"
        raise SecretFileError(
            path,
            f"a node key has exactly {SEED_SIZE} bytes, this file {size}; restore it from a backup or move it away",
        )
    return seed


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SecretFileError(path, f"its directory cannot be created: {error.strerror}") from error
