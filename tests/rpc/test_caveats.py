"""What a token lets pass, against a judge that was written from the description alone."""

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from pimd.rpc.caveats import ALWAYS, Asked, CallRate, Caveat, read, refusal

NAMESPACES = ("status", "peers", "messages", "rpc")
METHODS = ("status", "status.subscribe", "peers.list", "peers.forget", "peers.subscribe", "messages.send", "rpc.hello")
METHOD = st.sampled_from(METHODS)
PATTERN = METHOD | st.sampled_from(NAMESPACES).map(lambda name: name + ".*")
STREAMS = st.lists(st.sampled_from(NAMESPACES), max_size=3)
CAVEAT = st.builds(
    lambda **members: Caveat.model_validate({name: value for name, value in members.items() if value is not None}),
    methods=st.none() | st.lists(PATTERN, max_size=3),
    streams=st.none() | STREAMS,
    read_only=st.none() | st.just(value=True),
    expires=st.just(1),
    rate=st.none() | st.just(CallRate(per_s=1, burst=1)),
)


def asked(method: str, reads: bool) -> Asked:  # noqa: FBT001 - as hypothesis draws it
    return Asked(method, reads, method.partition(".")[0] if method.endswith(".subscribe") else None)


def may(caveat: Caveat, call: Asked) -> bool:
    """The naive judge."""
    if call.method in ("rpc.hello", "rpc.authenticate", "rpc.discover", "rpc.methods"):
        return True
    if caveat.read_only and not call.reads:
        return False
    if call.stream is not None and caveat.streams is not None:
        return call.stream in caveat.streams
    return caveat.methods is None or any(fnmatchcase(call.method, pattern) for pattern in caveat.methods)


@given(st.lists(CAVEAT, max_size=4), METHOD, st.booleans())
def test_a_call_passes_when_all_caveats_let_it(caveats: list[Caveat], method: str, reads: bool) -> None:  # noqa: FBT001
    call = asked(method, reads)
    refusals = [refusal(caveat, call) for caveat in caveats]
    assert (not any(refusals)) == all(may(caveat, call) for caveat in caveats)


@given(CAVEAT)
def test_a_caveat_is_read_as_it_was_written(caveat: Caveat) -> None:
    assert read(caveat.written) == caveat


def test_what_this_version_does_not_know_lets_nothing_pass() -> None:
    for written in (
        b"{}",
        b"",
        b"[]",
        b'{"weekdays":["mon"]}',
        b'{"methods":["peers.*"],"weekdays":[]}',
        b'{"read_only":false}',
    ):
        assert read(written) is None


def test_a_refusal_says_which_restriction_bit() -> None:
    only = Caveat(methods=["status", "peers.*"])
    assert refusal(only, Asked("messages.send", reads=False)) == "it may call only these methods: status, peers.*"
    assert refusal(Caveat(methods=[]), Asked("status", reads=True)) == "it may call only these methods: none"
    assert refusal(Caveat(streams=["peers"]), Asked("logs.subscribe", reads=True, stream="logs")) == (
        "it may follow only these streams: peers"
    )
    assert refusal(Caveat(read_only=True), Asked("peers.forget", reads=False)) == (
        "it is read-only, and peers.forget may change something"
    )
    assert all(refusal(Caveat(methods=[], streams=[]), Asked(name, reads=False)) is None for name in ALWAYS)
