"""Methods that raise errors which are not what errors usually are."""

from tests.assembly.bad_features import runs

ERRORS = [
    runs(
        "method whose error has another class",
        log="): RuntimeError: E: (its text cannot be had: __str__ of E fails) (its attributes cannot be read)",
        top="class E(Exception):\n    __class__ = property(leave)\n    __str__ = __repr__ = __eq__ = __hash__ = leave",
        do="raise E",
        answer=-32603,
    ),
    runs(
        "method whose error has no traceback",
        log="): RuntimeError: E (its attributes cannot be read)",
        top="class E(Exception):\n    __traceback__ = __cause__ = __context__ = property(leave)",
        do="raise E",
        answer=-32603,
    ),
    runs(
        "method whose error has nothing",
        log="): RuntimeError: E: x (its attributes cannot be read)",
        top="class E(RpcError):\n    code: ClassVar[int] = -32070\n    def __getattribute__(self, name): leave()",
        rpc_more=", errors=(E,)",
        do="raise E('x')",
        answer=-32603,
    ),
    runs(
        "method whose error has a code without end",
        log="bad.do failed (reference ",
        top="class E(RpcError):\n    code: ClassVar[int] = -32070",
        rpc_more=", errors=(E,)",
        do="e = E('x'); e.code = 10 ** 5000; raise e",
        answer=-32603,
    ),
    runs(
        "method whose error has data without end",
        log="bad.do: the data of the error that it raised was left out: ValueError: it has 2000002 characters",
        top="class E(RpcError):\n    code: ClassVar[int] = -32070",
        rpc_more=", errors=(E,)",
        do="raise E('x', 'y' * 2_000_000)",
        answer=-32070,
    ),
    runs(
        "method that waits for nothing that can be awaited",
        log="): RuntimeError: Task got bad yield: 5",
        top="class A:\n    def __await__(self): yield 5",
        do="await A()",
        answer=-32603,
    ),
    runs(
        "method whose error is a group of ends",
        log="): BaseExceptionGroup: g (2 sub-exceptions)",
        do="raise BaseExceptionGroup('g', [SystemExit(3), BaseExceptionGroup('h', [KeyboardInterrupt()])])",
        answer=-32603,
    ),
]
