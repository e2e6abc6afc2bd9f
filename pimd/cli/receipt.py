"""Checks a signed receipt of a message. It stands alone: `python3 receipt.py FILE` needs nothing but this file and Python 3.

The file is one line of JSON. The recipient signed with Ed25519 (RFC 8032), where NUL is a zero byte and | joins bytes:
    "pim-sign-v1" NUL "messaging" NUL "receipt" NUL | message id 16 | SHA-256(body) 32 | sender 16 | recipient 16 | time 8, big-endian
The recipient's id is the first 16 bytes of the SHA-256 of its key, so the key in the file cannot be another's.
What holds proves that who has that key had this text by then, by the clock of its machine, and nothing about who wrote it.
"""

import hashlib
import json
import sys

LONGEST = 65536
FIELDS = {"message_id": 16, "sender": 16, "recipient": 16, "recipient_key": 32, "signature": 64}
"""Those in hexadecimal digits, with their bytes."""

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int, int, int]
"""X, Y, Z, T: x = X/Z, y = Y/Z, x * y = T/Z (RFC 8032, 5.1.4)."""
NOTHING: Point = (0, 1, 1, 0)


def verify(raw: bytes) -> dict[str, object]:
    """Return what a receipt says; ValueError says why it does not hold."""
    if len(raw) > LONGEST:
        raise ValueError("it is too long for a receipt")
    try:
        found = json.loads(raw.decode())
        canonical = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON in UTF-8") from None
    if canonical != raw:
        raise ValueError("it is not written as receipts are: something was changed")
    names = ["pim_receipt", "message_id", "body", "sender", "recipient", "recipient_key", "time_ms", "signature"]
    if not isinstance(found, dict) or list(found) != names or repr(found["pim_receipt"]) != "1":
        raise ValueError("it is no receipt of this version")
    fields = {name: _bytes(name, found[name], size) for name, size in FIELDS.items()}
    body, time_ms = found["body"], found["time_ms"]
    if not isinstance(body, str) or type(time_ms) is not int or not 0 <= time_ms < 2**63:
        raise ValueError("its body is no text, or its time no time")
    if hashlib.sha256(fields["recipient_key"]).digest()[:16] != fields["recipient"]:
        raise ValueError("the key is not the one of the recipient's id")
    digest = hashlib.sha256(body.encode()).digest()
    signed = fields["message_id"] + digest + fields["sender"] + fields["recipient"] + time_ms.to_bytes(8, "big")
    if not signature_holds(fields["recipient_key"], b"pim-sign-v1\0messaging\0receipt\0" + signed, fields["signature"]):
        raise ValueError("the signature does not hold: it was signed with another key, or something was changed")
    return found


def _bytes(name: str, text: object, size: int) -> bytes:
    if not isinstance(text, str) or len(text) != 2 * size or text.strip("0123456789abcdef"):
        raise ValueError(f"{name} is not {2 * size} hexadecimal digits in lower case")
    return bytes.fromhex(text)


def signature_holds(key: bytes, message: bytes, signature: bytes) -> bool:
    """Verify Ed25519 (RFC 8032, 5.1.7); keys of small order, which sign anything, are refused."""
    public, s = _point(key), int.from_bytes(signature[32:], "little")
    if public is None or _is_nothing(_times(8, public)) or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    x, y, z, t = _times(h, public)
    x, y, z, _ = _add(_times(s, BASE), (-x % P, y, z, -t % P))
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def _point(encoded: bytes) -> "Point | None":
    """Return the point of its encoding (5.1.3); None for bytes that encode none."""
    y, sign = int.from_bytes(encoded, "little") & (2**255 - 1), encoded[31] >> 7
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _add(one: Point, other: Point) -> Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % P, (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * D * one[3] * other[3] % P, 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(factor: int, point: Point) -> Point:
    total = NOTHING
    while factor:
        total = _add(total, point) if factor & 1 else total
        point, factor = _add(point, point), factor >> 1
    return total


def _is_nothing(point: Point) -> bool:
    return point[0] == 0 and point[1] == point[2]


BASE = _point((4 * pow(5, -1, P) % P).to_bytes(32, "little")) or NOTHING


if __name__ == "__main__":
    try:
        with open(sys.argv[1], "rb") as file:  # noqa: PTH123
            print(verify(file.read(LONGEST + 1)))
    except ValueError as error:
        sys.exit(f"this is no receipt that holds: {error}")
