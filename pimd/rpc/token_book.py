"""The narrowed tokens that were handed out, and what a call with one is refused for."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pimd import macaroon
from pimd.contract import InvalidParams, Overloaded, RateLimited, RpcError, Unauthorized
from pimd.limits import Bites, RecentMap, declare
from pimd.macaroon import Macaroon
from pimd.rpc import caveats
from pimd.rpc.caveats import Asked, CallRate, Caveat
from pimd.store.secret_file import SecretFileError, read_secret_file, replace_secret_file

TOKENS = declare("tokens that are valid at a time", 256, "tokens", "tokens.create is refused with -32005; revoke some")
RATES = declare(
    "rates of narrowed tokens that are counted", 1024, "rates", "the one used longest ago begins with a full burst"
)
FILE_BYTES = 4 << 20


class TokenClock(Protocol):
    """The clocks that expiry looks at: a token ends when either says so."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""

    def unix_ms(self) -> int:
        """Milliseconds of the wall clock, which may be wrong."""

    def lived_ms(self) -> int:
        """Milliseconds that the data directory has lived."""


class Entry(BaseModel):
    """One token, without its secret."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    name: str
    caveats: list[Caveat]
    created_unix_ms: int
    created_lived_ms: int


class _Book(BaseModel):
    tokens: list[Entry] = Field(max_length=TOKENS.value)


@dataclass
class _Bucket:
    tokens: float
    at: float


class Grant:
    """What the holder of one token may do; made when it is shown, and asked for each call."""

    def __init__(self, book: "TokenBook", entry: Entry, token: Macaroon, found: Sequence[tuple[bytes, Caveat]]) -> None:
        self.entry = entry
        self.token = token
        self._book = book
        self._found = found

    def __repr__(self) -> str:
        return f"Grant({self.entry.name!r})"

    @property
    def over(self) -> str | None:
        """Why it is valid no more; None while it is."""
        return self._book.over(self.entry, [caveat for _, caveat in self._found])

    @property
    def follows_all(self) -> bool:
        """Whether no caveat keeps it from any stream, as push mode needs."""
        return all(caveat.methods is None and caveat.streams is None for _, caveat in self._found)

    def refusal(self, asked: Asked) -> RpcError | None:
        """Return why a call is refused, in words, and count it in the rates that it passes."""
        over = self.over
        if over is not None:
            return Unauthorized(over)
        for _, caveat in self._found:
            why = caveats.refusal(caveat, asked)
            if why is not None:
                return Unauthorized(f"the token {self.entry.name!r} does not allow this: {why}")
        for state, caveat in self._found:
            wait_s = 0.0 if caveat.rate is None else self._book.wait_s(state, caveat.rate)
            if wait_s:
                seconds = max(1, round(wait_s))
                return RateLimited(
                    f"the token {self.entry.name!r} allows {caveat.rate}; try again in {seconds} s",
                    {"retry_after_s": seconds},
                )
        return None


class TokenBook:
    """All valid tokens of a data directory, kept in one file; `SecretFileError` when it is damaged or cannot be read."""

    def __init__(self, path: Path, master: str, clock: TokenClock, bites: Bites) -> None:
        self._path = path
        self._key = hmac.new(master.encode(), b"pimd tokens", hashlib.sha256).digest()
        self._clock = clock
        self._bites = bites
        self._entries = {entry.id: entry for entry in _read(path)}
        self._rates: RecentMap[bytes, _Bucket] = RecentMap(RATES, bites)

    def __repr__(self) -> str:
        return f"TokenBook({len(self._entries)} tokens)"

    @property
    def entries(self) -> Sequence[Entry]:
        """The oldest first; those that expired are forgotten when the next one is made."""
        return tuple(self._entries.values())

    def create(self, name: str, caveat: Caveat | None, by: Grant | None) -> tuple[Entry, str]:
        """Make a token that may no more than `by`, the caller's own, and is on disk when this returns.

        Raises `InvalidParams` for a name that is taken or too much for one token, `Overloaded` over the limit.
        """
        self._forget_expired()
        if any(entry.name == name for entry in self._entries.values()):
            raise InvalidParams(f"there is a token named {name!r} already; revoke it, or choose another name")
        if len(self._entries) >= TOKENS.value:
            self._bites.count(TOKENS)
            raise Overloaded(f"there are {TOKENS.value} tokens; revoke some with tokens.revoke")
        written = (*(by.token.caveats if by is not None else ()), *((caveat.written,) if caveat is not None else ()))
        try:
            text = macaroon.mint(self._key, id_ := secrets.token_bytes(macaroon.ID_BYTES), written).text
        except ValueError as error:
            raise InvalidParams(str(error)) from None
        entry = Entry(
            id=id_.hex(),
            name=name,
            caveats=[found for one in written if (found := caveats.read(one)) is not None],
            created_unix_ms=self._clock.unix_ms(),
            created_lived_ms=self._clock.lived_ms(),
        )
        self._keep({**self._entries, entry.id: entry})
        return entry, text

    def revoke(self, name_or_id: str) -> Entry | None:
        """End a token and all that were narrowed from it; None for one that is not here."""
        found = next((entry for entry in self.entries if name_or_id in (entry.name, entry.id)), None)
        if found is not None:
            self._keep({id_: entry for id_, entry in self._entries.items() if id_ != found.id})
        return found

    def grant(self, text: str) -> Grant | None:
        """Return what a token's holder may do; None for one that is not genuine or was revoked."""
        try:
            token = macaroon.parse(text)
        except ValueError:
            return None
        states = macaroon.chain(self._key, token)
        entry = self._entries.get(token.id.hex())
        if states is None or entry is None:
            return None
        found = [(state, caveats.read(written)) for state, written in zip(states, token.caveats, strict=True)]
        known = [(state, caveat) for state, caveat in found if caveat is not None]
        if len(known) < len(found):
            raise Unauthorized(
                f"the token {entry.name!r} has a restriction that this version does not know; upgrade pimd"
            )
        return Grant(self, entry, token, known)

    def over(self, entry: Entry, of: Sequence[Caveat]) -> str | None:
        """Say why a token is valid no more; a clock that was set back does not revive it."""
        if entry.id not in self._entries:
            return f"the token {entry.name!r} was revoked"
        by_lived_ms = entry.created_unix_ms + self._clock.lived_ms() - entry.created_lived_ms
        now_s = max(self._clock.unix_ms(), by_lived_ms) / 1000
        expires = min((caveat.expires for caveat in of if caveat.expires is not None), default=None)
        return f"the token {entry.name!r} has expired" if expires is not None and now_s >= expires else None

    def unix_s(self) -> int:
        """Seconds of the wall clock, from which expiry is counted."""
        return self._clock.unix_ms() // 1000

    def wait_s(self, state: bytes, rate: CallRate) -> float:
        """Count a call; seconds to wait when there are too many. All that were narrowed from one token share its rate."""
        now = self._clock.now()
        bucket = self._rates.use(state)
        if bucket is None:
            bucket = _Bucket(rate.burst, now)
            self._rates.put(state, bucket)
        bucket.tokens = min(float(rate.burst), bucket.tokens + (now - bucket.at) * rate.per_s)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate.per_s
        bucket.tokens -= 1
        return 0.0

    def _forget_expired(self) -> None:
        kept = {id_: entry for id_, entry in self._entries.items() if self.over(entry, entry.caveats) is None}
        if len(kept) < len(self._entries):
            self._keep(kept)

    def _keep(self, entries: dict[str, Entry]) -> None:
        rows = [entry.model_dump(exclude_none=True) for entry in entries.values()]
        replace_secret_file(self._path, json.dumps({"tokens": rows}, indent=1).encode() + b"\n")
        self._entries = entries


def _read(path: Path) -> Sequence[Entry]:
    try:
        return _Book.model_validate_json(read_secret_file(path, FILE_BYTES)).tokens
    except FileNotFoundError:
        return ()
    except ValidationError:
        raise SecretFileError(
            path, "is damaged; move it away, and all tokens of `pim token create` are invalid"
        ) from None
