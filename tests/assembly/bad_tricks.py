"""Features whose declaration is made of things that behave otherwise than they look."""

from tests.assembly.bad_features import Bad

FIVE = "5 failures within 60 s, the last in "
UNREADABLE = """
class Odd_(str):
    def __hash__(self): raise SystemExit(4)
    def __eq__(self, other): raise SystemExit(5)
    def __ne__(self, other): raise SystemExit(5)
    def __repr__(self): raise SystemExit(6)
"""
LIAR = """
class Liar(Feature):
    honest = True
    def __getattribute__(self, name):
        if not Liar.honest and name in ("requires", "namespaces", "events"): raise SystemExit(3)
        return super().__getattribute__(name)
FEATURE = Liar(name="bad", summary="Lies.", namespaces=("bad",), plugin=Plugin)
"""
CHANGES = """for part in ("requires", "namespaces", "events", "provides"):
            object.__setattr__(FEATURE, part, 5)
        Plugin.payload_kinds = None; Plugin.name = None"""


def refused(what: str, reason: str, **parts: str) -> Bad:
    return Bad(what, parts, reason=reason)


def feature(**members: str) -> str:
    given = ", ".join(f"{name}={text}" for name, text in members.items())
    return f"import dataclasses\nFEATURE = dataclasses.replace(FEATURE, {given})"


TRICKS = [
    refused(
        "metaclass that leaves when it is asked",
        "its declaration cannot be read: SystemExit: 3",
        top="class Meta(type):\n    payload_kinds = property(leave)",
        base="DaemonPlugin, metaclass=Meta",
    ),
    refused(
        "metaclass that leaves when it is called",
        "it cannot be constructed: SystemExit: 7",
        top="class Meta(type):\n    def __call__(cls, *args): raise SystemExit(7)",
        base="DaemonPlugin, metaclass=Meta",
    ),
    refused("class that makes something else", "it makes int, no DaemonPlugin", body="def __new__(cls): return 5"),
    refused(
        "name of a plugin that cannot be compared",
        "its declaration cannot be read: SystemExit: 5",
        top=UNREADABLE,
        body='name = Odd_("bad")',
    ),
    refused(
        "kinds without a text",
        "its declaration cannot be read: SystemExit: 6",
        top=UNREADABLE,
        body='payload_kinds = Odd_("bad.x")',
    ),
    refused(
        "requirement that is no text", "requires has 1, which is no text; write: requires=", more=", requires=(1,)"
    ),
    refused("namespace that is no text", "namespaces has 1, which is no text", namespaces='(1, "bad")'),
    refused(
        "namespace that writes to the terminal",
        "namespaces has 'b\\x1b[2J', which is no name",
        namespaces='("bad", "b\\x1b[2J")',
    ),
    refused("namespace without end", "which is no name: at most 64", namespaces='("bad", "n" * 1_000_000)'),
    refused("offer that is none", "provides has 1, which is no Provided; write: provides=", more=", provides=(1,)"),
    refused("use that is none", "uses has None, which is no ServiceKey; write: uses=(MESH,)", more=", uses=(None,)"),
    refused("method that is none", "is not marked with @rpc; write: async def", more=", methods=(leave,)"),
    refused("stream that is none", "it cannot be imported", more=", events=(1,)"),
    refused(
        "memory of a stream that is no number",
        "history of the stream bad.event is None, no number of events; write: history=0",
        more=', events=(EventStream("bad.event", Told, history=None),)',
    ),
    refused(
        "params of a stream that are no model",
        "params of the stream bad.event is no model; write: class Filter(Params):",
        more=', events=(EventStream("bad.event", Told, params=5),)',
    ),
    refused(
        "filter that is no function",
        "accepts of the stream bad.event is 5, no function; write: def accepts",
        more=', events=(EventStream("bad.event", Told, accepts=5),)',
    ),
    refused("summary that is no text", "summary has None, which is no text", bottom=feature(summary="None")),
    refused(
        "summary that writes to the terminal",
        "its summary is not one printable line of 200 letters",
        bottom=feature(summary='"\\x1b[2J"'),
    ),
    refused("summary without end", "its summary is not one printable", bottom=feature(summary='"x" * 1_000_000')),
    refused(
        "settings whose fields cannot be read",
        "its declaration cannot be read: AttributeError",
        top="class S(FeatureSettings):\n    a: int = 1\n\nS.model_fields = dict(a=5)",
        more=", settings=S",
    ),
    refused(
        "settings that become something else",
        "features.bad: its settings cannot be read: TypeError: they are int",
        top="class S(FeatureSettings):\n    @classmethod\n    def model_validate(cls, *args, **named): return 5",
        more=", settings=S",
    ),
    refused("errors of a method that are none", "errors of bad.do has 5, no class of RpcError", rpc_more=", errors=5"),
    refused(
        "error without a number",
        "no class of RpcError with a number as `code`; write: errors=",
        top="class E(RpcError):\n    code = object()",
        rpc_more=", errors=(E,)",
    ),
    refused("time limit that is no number", "timeout_s of bad.do is 'x', no number", rpc_more=", timeout_s='x'"),
    refused("time limit that never ends", "timeout_s of bad.do is nan, no number", rpc_more=", timeout_s=float('nan')"),
    refused(
        "method name that writes to the terminal",
        "'bad.\\x1b[2J' is no <namespace>.<verb> of its namespaces; write: @rpc(\"bad.verb\")",
        body='@rpc("bad.\\x1b[2J")\n    async def x(self, params: NoParams) -> int: return 1',
    ),
    refused(
        "method that is static",
        "bad.two is a staticmethod of Plugin, and no method; write: async def x(self, params: NoParams) -> Answer:",
        body='@staticmethod\n    @rpc("bad.two")\n    async def x(params: NoParams) -> int: return 1',
    ),
    refused(
        "method that is a property",
        "bad.two is a property of Plugin, and no method; write: async def x(self",
        body='@property\n    @rpc("bad.two")\n    async def x(self) -> int: return 1',
    ),
    refused(
        "docstring without end",
        "the docstring of bad.two has 1000000 letters; at most",
        body='@rpc("bad.two")\n    async def x(self, params: NoParams) -> int: return 1\n    x.__doc__ = "x" * 1_000_000',
    ),
    Bad(
        "kinds that cannot be hashed",
        {"top": UNREADABLE, "body": 'payload_kinds = (Odd_("bad.x"),)'},
        "running",
        "",
        "",
        1,
    ),
    Bad(
        "requirement that cannot be hashed",
        {"top": UNREADABLE, "more": ', requires=(Odd_("good"),)'},
        "running",
        "",
        "",
        1,
    ),
    Bad(
        "namespace that cannot be hashed",
        {"top": UNREADABLE, "namespaces": '("bad", Odd_("worse"))'},
        "running",
        "",
        "",
        1,
    ),
    Bad(
        "flag that leaves",
        {
            "top": "class Flag:\n    def __bool__(self): raise SystemExit(3)",
            "bottom": feature(default_enabled="Flag()"),
        },
        "running",
        "",
        "",
        1,
    ),
    Bad("feature that lies later", {"bottom": LIAR, "do": "Liar.honest = False"}, "running", "", "", 1, ("do",)),
    Bad("feature that changes later", {"do": CHANGES}, "running", "", "", 1, ("do", "disable", "enable", "payload")),
    Bad(
        "model that is described once",
        {
            "top": "class P(Params):\n    asked: ClassVar[int] = 0\n"
            "    @classmethod\n    def model_json_schema(cls, *args, **named):\n"
            "        P.asked += 1\n        if P.asked > 2: raise SystemExit(3)\n"
            "        return super().model_json_schema(*args, **named)",
            "do_def": "async def do(self, params: P) -> int:",
        },
        "running",
        "",
        "",
        1,
    ),
    Bad(
        "plugin whose functions cannot be had",
        {
            "body": "def __getattribute__(self, name):\n        if name in ('handle_payload', 'shutdown'): leave()\n"
            "        return super().__getattribute__(name)"
        },
        "quarantined",
        "5 failures",
        "handle_payload failed: SystemExit: 3",
        -32601,
        ("payload",) * 5,
    ),
    Bad(
        "plugin that cannot be compared",
        {
            "body": "def __eq__(self, other): leave()\n    def __hash__(self): leave()\n"
            "    def __repr__(self): leave()\n    def __bool__(self): leave()"
        },
        "running",
        "",
        "",
        1,
        ("payload", "forget", "disable", "enable"),
    ),
    Bad(
        "error whose text leaves",
        {
            "top": "class E(RpcError):\n    message = property(leave, lambda self, text: None)",
            "rpc_more": ", errors=(E,)",
            "do": "raise E('x')",
        },
        "running",
        "",
        "bad.do failed (reference ",
        -32603,
    ),
    Bad(
        "service that answers something else",
        {"more": ", provides=(Provided(PEER_DATA),)", "body": "async def erase(self, peer): return 'much'"},
        "running",
        "",
        "its service's erase failed: TypeError: it answered str, no Erased",
        1,
        ("forget and erase",),
    ),
    Bad(
        "nodes that are none",
        {"more": ", provides=(Provided(DISCOVERY),)", "body": "def nodes(self): return 5"},
        "quarantined",
        FIVE,
        "its service's nodes failed: TypeError: it answered int, no sequence of DiscoveredNode",
        -32601,
        ("nearby",) * 5,
    ),
    Bad(
        "nodes that hold something else",
        {
            "more": ", provides=(Provided(DISCOVERY),)",
            "body": "def nodes(self): return [DiscoveredNode(5, None, None, 0.0, 0.0)]",
        },
        "quarantined",
        FIVE,
        "its service's nodes failed: TypeError: a DiscoveredNode holds int, no Endpoint",
        -32601,
        ("nearby",) * 5,
    ),
]
