"""Tokens that every holder can narrow by itself: a chain of HMACs over caveats.

Birgisson et al., "Macaroons: Cookies with Contextual Caveats", NDSS 2014, section 2. What a caveat says is not looked at here.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

PREFIX = "pim1_"
"""Begins the text of each, so that people and secret scanners know one."""
ID_BYTES = 16
SIGNATURE_BYTES = 32
CAVEATS = 16
CAVEAT_BYTES = 2048
TEXT = 4000
"""Characters at most; fits into a header, and into the first message of a WebSocket."""


@dataclass(frozen=True)
class Macaroon:
    """Whose token it is, what narrows it, and the last HMAC of the chain, which is the secret."""

    id: bytes
    caveats: tuple[bytes, ...] = ()
    signature: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """As it is handed out; ValueError when it has too many or too long caveats."""
        parts = [len(caveat).to_bytes(2, "big") + caveat for caveat in self.caveats]
        raw = b"".join((self.id, *parts, self.signature))
        text = PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")
        if len(self.caveats) > CAVEATS or len(text) > TEXT:
            raise ValueError(f"a token is narrowed at most {CAVEATS} times and has at most {TEXT} characters")
        return text


def mint(key: bytes, id_: bytes, caveats: Sequence[bytes] = ()) -> Macaroon:
    """Make a token that only who has the key can make."""
    token = Macaroon(id_, (), _hmac(key, id_))
    for caveat in caveats:
        token = narrowed(token, caveat)
    return token


def narrowed(token: Macaroon, caveat: bytes) -> Macaroon:
    """Add a caveat; nobody who has the result alone can take it away."""
    if not 0 < len(caveat) <= CAVEAT_BYTES:
        raise ValueError(f"a caveat has 1 to {CAVEAT_BYTES} bytes, not {len(caveat)}")
    return Macaroon(token.id, (*token.caveats, caveat), _hmac(token.signature, caveat))


def parse(text: str) -> Macaroon:
    """Read a token's text; ValueError, which does not repeat it, for anything else."""
    refusal = ValueError("this is no token of pim: it begins with " + PREFIX)
    if not text.startswith(PREFIX) or len(text) > TEXT:
        raise refusal
    digits = text.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(digits + "=" * (-len(digits) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise refusal from None
    caveats: list[bytes] = []
    at, end = ID_BYTES, len(raw) - SIGNATURE_BYTES
    while at < end and len(caveats) < CAVEATS:
        size = int.from_bytes(raw[at : at + 2], "big")
        caveats.append(raw[at + 2 : at + 2 + size])
        at += 2 + size
    if at != end or not all(0 < len(caveat) <= CAVEAT_BYTES for caveat in caveats):
        raise refusal
    return Macaroon(raw[:ID_BYTES], tuple(caveats), raw[end:])


def chain(key: bytes, token: Macaroon) -> tuple[bytes, ...] | None:
    """Return the HMAC after each caveat; None when the token was not made with this key, or was changed."""
    after: list[bytes] = []
    signature = _hmac(key, token.id)
    for caveat in token.caveats:
        signature = _hmac(signature, caveat)
        after.append(signature)
    return tuple(after) if hmac.compare_digest(signature, token.signature) else None


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
