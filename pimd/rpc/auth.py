"""The bearer token of the HTTP and WebSocket RPC listeners."""

import hmac
import secrets
from collections import deque
from pathlib import Path

from pimd.clock import Clock
from pimd.contract import RateLimited, Unauthorized
from pimd.limits import Bites
from pimd.rpc.limits import WRONG_TOKENS
from pimd.rpc.token_book import Grant, TokenBook
from pimd.store.secret_file import SecretFileError, create_secret_file, read_secret_file

TOKEN_DIGITS = 64


def load_or_create_token(path: Path) -> str:
    """Return the 64 hex digits in `path`, made at first start; `SecretFileError` for a file that holds anything else."""
    create_secret_file(path, secrets.token_hex(TOKEN_DIGITS // 2).encode() + b"\n")
    token = read_secret_file(path, TOKEN_DIGITS + 1).decode(errors="replace").removesuffix("\n")
    if len(token) != TOKEN_DIGITS or not set(token) <= set("0123456789abcdef"):
        raise SecretFileError(
            path, f"does not hold {TOKEN_DIGITS} hexadecimal digits; delete it and start again for a new one"
        )
    return token


class TokenAuth:
    """Compares in constant time; wrong tokens are counted over all callers, the right one is always accepted."""

    def __init__(self, token: str, clock: Clock, bites: Bites, tokens: TokenBook | None = None) -> None:
        self._token = token.encode()
        self._tokens = tokens
        self._clock = clock
        self._bites = bites
        self._wrong: deque[float] = deque(maxlen=WRONG_TOKENS.value)

    def __repr__(self) -> str:
        return "TokenAuth(...)"

    def check(self, token: str | None) -> Grant | None:
        """Return None for the right token, and what one of `tokens.create` grants.

        Raises `Unauthorized` for none or a wrong one, `RateLimited` after ten wrong ones a minute.
        """
        if token is None:
            raise Unauthorized(
                "a token is needed: send `Authorization: Bearer` and the content of <data_dir>/rpc.token"
            )
        if hmac.compare_digest(token.encode(errors="surrogateescape"), self._token):
            return None
        grant = self._tokens.grant(token) if self._tokens is not None else None
        if grant is not None:
            if grant.over is not None:
                raise Unauthorized(grant.over)
            return grant
        now = self._clock.now()
        if len(self._wrong) == self._wrong.maxlen and now - self._wrong[0] < WRONG_TOKENS.period_s:
            self._bites.count(WRONG_TOKENS)
            wait = max(1, round(WRONG_TOKENS.period_s - (now - self._wrong[0])))
            raise RateLimited(
                f"too many wrong tokens; try again in {wait} s with the content of <data_dir>/rpc.token",
                {"retry_after_s": wait},
            )
        self._wrong.append(now)
        raise Unauthorized(
            "the token is wrong or was revoked: it must be the content of <data_dir>/rpc.token of this daemon, or one of tokens.create"
        )
