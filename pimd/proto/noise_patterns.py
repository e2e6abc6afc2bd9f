"""The handshake patterns of the Noise specification (revision 34, sections 7, 9 and 18) as data."""

from dataclasses import dataclass

# name: "pre-messages | messages"; `->` is the initiator's, `<-` the responder's, in the notation of the specification.
_PATTERNS = """
N:    <- s ... -> e es
K:    -> s <- s ... -> e es ss
X:    <- s ... -> e es s ss
NN:   ... -> e <- e ee
NK:   <- s ... -> e es <- e ee
NX:   ... -> e <- e ee s es
KN:   -> s ... -> e <- e ee se
KK:   -> s <- s ... -> e es ss <- e ee se
KX:   -> s ... -> e <- e ee se s es
XN:   ... -> e <- e ee -> s se
XK:   <- s ... -> e es <- e ee -> s se
XX:   ... -> e <- e ee s es -> s se
IN:   ... -> e s <- e ee se
IK:   <- s ... -> e es s ss <- e ee se
IX:   ... -> e s <- e ee se s es
NK1:  <- s ... -> e <- e ee es
NX1:  ... -> e <- e ee s -> es
X1N:  ... -> e <- e ee -> s <- se
X1K:  <- s ... -> e es <- e ee -> s <- se
XK1:  <- s ... -> e <- e ee es -> s se
X1K1: <- s ... -> e <- e ee es -> s <- se
X1X:  ... -> e <- e ee s es -> s <- se
XX1:  ... -> e <- e ee s -> es s se
X1X1: ... -> e <- e ee s -> es s <- se
K1N:  -> s ... -> e <- e ee -> se
K1K:  -> s <- s ... -> e es <- e ee -> se
KK1:  -> s <- s ... -> e <- e ee se es
K1K1: -> s <- s ... -> e <- e ee es -> se
K1X:  -> s ... -> e <- e ee s es -> se
KX1:  -> s ... -> e <- e ee se s -> es
K1X1: -> s ... -> e <- e ee s -> se es
I1N:  ... -> e s <- e ee -> se
I1K:  <- s ... -> e es s <- e ee -> se
IK1:  <- s ... -> e s <- e ee se es
I1K1: <- s ... -> e s <- e ee es -> se
I1X:  ... -> e s <- e ee s es -> se
IX1:  ... -> e s <- e ee se s -> es
I1X1: ... -> e s <- e ee s -> se es
"""


@dataclass(frozen=True)
class HandshakePattern:
    """Pre-messages and messages as token tuples."""

    initiator_pre: tuple[str, ...]
    responder_pre: tuple[str, ...]
    messages: tuple[tuple[str, ...], ...]
    """The first is the initiator's, then they alternate."""
    psks: int


def _messages(text: str) -> list[tuple[str, tuple[str, ...]]]:
    parts = text.replace("->", "\n->").replace("<-", "\n<-").split("\n")
    return [(part[:2], tuple(part[2:].split())) for part in parts if part.strip()]


def _parse(line: str) -> tuple[str, HandshakePattern]:
    name, _, rest = line.partition(":")
    pre, _, body = rest.partition("...")
    pre_messages = dict(_messages(pre))
    messages = tuple(tokens for _, tokens in _messages(body))
    return name, HandshakePattern(pre_messages.get("->", ()), pre_messages.get("<-", ()), messages, 0)


_BASE = dict(_parse(line) for line in _PATTERNS.strip().splitlines())


def handshake_pattern(name: str) -> HandshakePattern:
    """Return the pattern of a name such as `XXpsk0`, its psk modifiers applied (section 9); ValueError when unknown."""
    base, *modifiers = name.replace("+", "").split("psk")
    if base not in _BASE:
        raise ValueError(f"no Noise handshake pattern is called {name}")
    pattern = _BASE[base]
    messages = [list(message) for message in pattern.messages]
    for modifier in modifiers:
        position = int(modifier)
        if position == 0:
            messages[0].insert(0, "psk")
        else:
            messages[position - 1].append("psk")
    return HandshakePattern(pattern.initiator_pre, pattern.responder_pre, tuple(map(tuple, messages)), len(modifiers))
