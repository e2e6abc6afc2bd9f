"""Features that do something bad, as data: what is wrong, and what the daemon is to show of it."""

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pimd.assembly.choice import Candidate

SOURCE = '''
import asyncio
from typing import Annotated, Any, ClassVar
from pydantic import AfterValidator, PlainSerializer
from pimd.contract import *
from pimd.contract import RpcError
from pimd.ids import NodeId

class Evil(Exception):
    def __str__(self):
        raise SystemExit(9)

class Odd(Exception):
    def __str__(self):
        return 7

def fail(_=None, __=None):
    raise Evil

def leave(_=None, __=None):
    raise SystemExit(3)

async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
{top}

class Told(Result):
    kind: str = "told"

class Plugin({base}):
    name: ClassVar[str] = "bad"
    payload_kinds: ClassVar[tuple[str, ...]] = ("bad.x",)
    {body}

    def __init__(self{init_args}):
        {init}

    {start_def}
        self.ctx = ctx
        {start}

    {payload_def}
        {payload}

    {forgotten_def}
        {forgotten}

    {shutdown_def}
        {shutdown}

    @rpc("bad.do"{rpc_more})
    {do_def}
        """Do."""
        {do}
        return 1

FEATURE = Feature(
    name={name!r}, summary="It is bad.", namespaces={namespaces}, plugin=Plugin{more}
)
{bottom}
'''
PARTS: Mapping[str, Any] = {
    "top": "",
    "base": "DaemonPlugin",
    "body": "",
    "init_args": "",
    "init": "pass",
    "start_def": "async def start(self, ctx):",
    "start": "pass",
    "payload_def": "async def handle_payload(self, src, kind, body):",
    "payload": "pass",
    "forgotten_def": "async def on_peer_forgotten(self, peer):",
    "forgotten": "pass",
    "shutdown_def": "async def shutdown(self):",
    "shutdown": "pass",
    "rpc_more": "",
    "do_def": "async def do(self, params: NoParams) -> int:",
    "do": "pass",
    "name": "bad",
    "namespaces": '("bad",)',
    "more": "",
    "bottom": "",
}


@dataclass(frozen=True)
class Bad:
    """One bad feature."""

    what: str
    parts: Mapping[str, Any]
    """What differs from a good feature."""
    state: str = "failed"
    reason: str = ""
    """Words of the reason in its row."""
    log: str | None = None
    """Words of the line in the log; None for those of the row."""
    answer: Any = -32601
    """Result or error code of a call of `bad.do` after all that."""
    acts: tuple[str, ...] = ()
    """What is done with it first."""
    table: Mapping[str, Any] = field(default_factory=dict)
    """Its table in the configuration."""

    @property
    def line(self) -> str:
        return self.reason if self.log is None else self.log

    @property
    def source(self) -> str:
        return SOURCE.format(**{**PARTS, **self.parts})

    def candidate(self) -> Candidate:
        return Candidate("bad", "1", "bad-dist", self.load)

    def load(self) -> object:
        module = types.ModuleType("bad_feature")
        sys.modules["bad_feature"] = module  # annotations are looked up there
        exec(compile(self.source, "bad_feature.py", "exec"), module.__dict__)  # noqa: S102
        return module.FEATURE


def runs(
    what: str, state: str = "running", *acts: str, log: str, answer: Any = 1, reason: str = "", **parts: str
) -> Bad:
    return Bad(what, parts, state, reason, log, answer, acts)


def imports(what: str, code: str, reason: str) -> Bad:
    return Bad(f"import {what}", {"top": code}, reason=f"it cannot be imported: {reason}")


IMPORTS = [
    imports("of a missing package", "import a_package_that_is_not_there", "ModuleNotFoundError: No module named"),
    imports("raises ValueError", "raise ValueError('of an older version')", "ValueError: of an older version"),
    imports("has a syntax error", "def x(:", "SyntaxError: invalid syntax"),
    imports("calls sys.exit", "leave()", "SystemExit: 3; repair or uninstall bad-dist, or set [features] disabled"),
    imports("is interrupted", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    imports("is cancelled", "raise asyncio.CancelledError", "CancelledError"),
    imports("never ends to recurse", "def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    imports("raises what has no text", "fail()", "Evil: (its text cannot be had: __str__ of Evil fails)"),
    imports("raises what has no proper text", "raise Odd", "Odd: (its text cannot be had"),
    imports("raises a text without end", "raise ValueError('x' * 10_000_000)", "ValueError: xxxx"),
    imports("raises what writes to the terminal", "raise ValueError('\\x1b[2J')", "ValueError: ?[2J"),
    Bad("no FEATURE", {"bottom": "del FEATURE"}, reason="it cannot be imported: AttributeError"),
    Bad("import that hangs", {"top": "import threading; threading.Event().wait(60)"}, "starting", "", ""),
]
DECLARATIONS = [
    Bad(
        "FEATURE is a text",
        {"bottom": "FEATURE = 'x'"},
        reason="its entry point names str, no Feature; write: FEATURE =",
    ),
    Bad(
        "feature of another name",
        {"name": "good2"},
        reason="is called bad, the feature good2; write: Feature(name='bad'",
    ),
    Bad("name that is none", {"name": "Bad!"}, reason="lowercase letters, digits and underscores"),
    Bad(
        "namespaces as a text",
        {"namespaces": '("bad")'},
        reason="namespaces = 'bad' is no tuple; write: namespaces=(\"bad\",)",
    ),
    Bad(
        "method outside its namespaces",
        {"namespaces": '("other",)'},
        reason='write: @rpc("other.do"), or namespaces=("other", "bad")',
    ),
    Bad(
        "stream outside its namespaces",
        {"more": ', events=(EventStream("other.event", Told),)'},
        reason='is not <one of its namespaces>.event; write: EventStream("bad.event", ...)',
    ),
    Bad(
        "a stream whose params are those of every subscription",
        {
            "top": "class From(Params): since: int = 0",
            "more": ', events=(EventStream("bad.event", Told, From),)',
        },
        reason="params of bad.event have since, with which every subscription goes on where it was; write another name",
    ),
    Bad(
        "stream that is no event",
        {"more": ', events=(EventStream("bad.told", Told),)'},
        reason='EventStream("bad.event"',
    ),
    Bad(
        "payload of a stream that is no model",
        {"more": ', events=(EventStream("bad.event", object()),)'},
        reason="the payload of the stream bad.event is no model",
    ),
    Bad(
        "two methods of one name",
        {"body": '@rpc("bad.do")\n    async def again(self, params: NoParams) -> int:\n        return 2'},
        reason='two methods are called bad.do, one by Plugin.again and one by Plugin.do; rename one: @rpc("bad.do_2")',
    ),
    Bad(
        "method called as one of its stream",
        {
            "body": '@rpc("bad.subscribe")\n    async def sub(self, params: NoParams) -> int:\n        return 2',
            "more": ', events=(EventStream("bad.event", Told),)',
        },
        reason="two methods are called bad.subscribe, one by Plugin.sub and one by the stream bad.event",
    ),
    Bad(
        "plugin that is an object",
        {"bottom": "FEATURE = replace(FEATURE, plugin=Plugin())", "top": "from dataclasses import replace"},
        reason="its plugin is a Plugin, and not the class; write: plugin=Plugin",
    ),
    Bad("no namespaces", {"namespaces": "()"}, reason='write: namespaces=("bad",)'),
    Bad(
        "plugin of other settings",
        {"top": "class Table(FeatureSettings): size: int = 1", "base": "DaemonPlugin[Table]"},
        reason="its plugin is a DaemonPlugin[Table], and its settings are FeatureSettings; write: settings=Table",
    ),
    Bad(
        "handle_payload misspelled",
        {"payload_def": "async def handle_payloads(self, src, kind, body):"},
        reason="nobody calls handle_payloads of Plugin; write: async def handle_payload(...)",
    ),
    Bad(
        "error with the code of another",
        {"top": "class Full(RpcError): code: ClassVar[int] = -32010", "rpc_more": ", errors=(Full,)"},
        reason="Full, an error of bad.do, has the code -32010 of PeerNotFound; write: code: ClassVar[int] = 1001",
    ),
    Bad(
        "params of another base",
        {
            "top": "from pydantic import BaseModel\nclass Own(BaseModel): pass",
            "do_def": "async def do(self, params: Own) -> int:",
        },
        reason="params of bad.do is annotated Own, which is no subclass of Params; write: class Own(Params):",
    ),
    Bad(
        "params that are no model",
        {"do_def": "async def do(self, params: dict) -> int:"},
        reason="params of bad.do is annotated dict, which is no subclass of Params; write: async def do(self, params: NoParams)",
    ),
    Bad(
        "method without a result",
        {"do_def": "async def do(self, params: NoParams):"},
        reason="bad.do does not say what it returns",
    ),
    Bad("sync method", {"do_def": "def do(self, params: NoParams) -> int:"}, reason="write: async def do(self, params"),
    Bad("method without params", {"do_def": "async def do(self) -> int:"}, reason="write: async def do(self, params"),
    Bad(
        "method without annotations",
        {"do_def": "async def do(self, params):"},
        reason="write: async def do(self, params",
    ),
    Bad(
        "annotation that is not there",
        {"do_def": 'async def do(self, params: "Nowhere") -> int:'},
        reason="its annotations cannot be read: NameError",
    ),
    Bad(
        "annotation that leaves",
        {"do_def": 'async def do(self, params: "leave()") -> int:'},
        reason="its declaration cannot be read: SystemExit: 3",
    ),
    Bad(
        "result that pydantic cannot take",
        {"do_def": "async def do(self, params: NoParams) -> asyncio.Event:"},
        reason="the models of bad.do cannot be described: PydanticSchemaGenerationError",
    ),
    Bad(
        "result that JSON cannot take",
        {
            "top": "from collections.abc import Callable",
            "do_def": "async def do(self, params: NoParams) -> Callable[[], int]:",
        },
        reason="the models of bad.do cannot be described: PydanticInvalidForJsonSchema",
    ),
    Bad(
        "kinds as a text",
        {"body": 'payload_kinds = ("x")'},
        reason="is 'x', no tuple of texts; write: payload_kinds: ClassVar[tuple[str, ...]] = (\"x\",)",
    ),
    Bad("kinds are None", {"body": "payload_kinds = None"}, reason="payload_kinds of Plugin is None, no tuple"),
    Bad("kinds are bytes", {"body": 'payload_kinds = (b"x",)'}, reason="no tuple of texts"),
    Bad("sent kinds are None", {"body": "sent_kinds = None"}, reason="sent_kinds of Plugin is None, no tuple"),
    Bad("sent kind that cannot be sent", {"body": 'sent_kinds = ("x y",)'}, reason="write: sent_kinds = "),
    Bad("kind that cannot be sent", {"body": 'payload_kinds = ("x y",)'}, reason="'x y' is no payload kind"),
    Bad(
        "plugin of another name",
        {"body": 'name = "worse"'},
        reason="has the name 'worse', not the feature's; write: name: ClassVar[str] = \"bad\"",
    ),
    Bad(
        "plugin that is none",
        {"base": "object"},
        reason="its plugin is no DaemonPlugin class; write: class Plugin(DaemonPlugin):",
    ),
    Bad(
        "plugin as an instance",
        {"bottom": "import dataclasses\nFEATURE = dataclasses.replace(FEATURE, plugin=Plugin())"},
        reason="it cannot be imported",
    ),
    Bad(
        "start without a context",
        {"start_def": "async def start(self):\n        ctx = 1"},
        reason="start of Plugin does not take (self, ctx); write:",
    ),
    Bad("sync start", {"start_def": "def start(self, ctx):"}, reason="start of Plugin is no async function; write:"),
    Bad(
        "sync handle_payload",
        {"payload_def": "def handle_payload(self, src, kind, body):"},
        reason="handle_payload of Plugin is no async function; write: async def handle_payload(self, src: NodeId",
    ),
    Bad(
        "handle_payload of wrong arity",
        {"payload_def": "async def handle_payload(self, src):"},
        reason="does not take (self, src, kind, body)",
    ),
    Bad(
        "shutdown of wrong arity",
        {"shutdown_def": "async def shutdown(self, why):"},
        reason="shutdown of Plugin does not take (self); write:",
    ),
    Bad(
        "sync on_peer_forgotten",
        {"forgotten_def": "def on_peer_forgotten(self, peer):"},
        reason="on_peer_forgotten of Plugin is no async function",
    ),
    Bad(
        "settings that are no model",
        {"more": ", settings=dict"},
        reason="its settings are no model; write: class Settings(FeatureSettings):",
    ),
    Bad(
        "namespace of another",
        {"namespaces": '("bad", "good")'},
        reason="the RPC namespace good belongs to good, which comes first",
    ),
    Bad(
        "namespace of the daemon",
        {"namespaces": '("bad", "rpc")'},
        reason="the RPC namespace rpc belongs to the daemon",
    ),
    Bad(
        "kind of another",
        {"body": 'payload_kinds = ("good.x",)'},
        reason="the payload kind good.x belongs to good, which comes first",
    ),
    Bad(
        "requirement that nobody brings",
        {"more": ', requires=("nobody",)'},
        reason="bad -> nobody: bad cannot run without nobody (no feature has that name)",
    ),
    Bad(
        "requirement of itself",
        {"more": ', requires=("bad",)'},
        reason="features require each other in a circle: bad -> bad",
    ),
    Bad(
        "requirement as a text",
        {"more": ', requires=("good")'},
        reason="requires = 'good' is no tuple; write: requires=(\"good\",)",
    ),
    Bad("wrong key in its table", {}, reason="features.bad.sise: Extra inputs are not permitted", table={"sise": 1}),
    Bad(
        "settings that nobody can give",
        {"top": "class S(FeatureSettings):\n    a: int", "more": ", settings=S"},
        reason="features.bad.a: Field required",
    ),
    Bad(
        "settings whose default hangs",
        {
            "top": "import threading\nfrom pydantic import Field\nclass S(FeatureSettings):\n"
            "    a: bool = Field(default_factory=lambda: threading.Event().wait(60))",
            "more": ", settings=S",
        },
        "starting",
        "",
        "",
    ),
    Bad(
        "settings that leave",
        {"top": "class S(FeatureSettings):\n    a: Annotated[int, AfterValidator(leave)] = 1", "more": ", settings=S"},
        reason="its settings cannot be read: SystemExit: 3",
        table={"a": 2},
    ),
    Bad(
        "settings that fail without a text",
        {"top": "class S(FeatureSettings):\n    a: Annotated[int, AfterValidator(fail)] = 1", "more": ", settings=S"},
        reason="its settings cannot be read: Evil: (its text",
        table={"a": 2},
    ),
]
STARTS = [
    Bad(
        "constructor that raises", {"init": "raise ValueError('no')"}, reason="it cannot be constructed: ValueError: no"
    ),
    Bad("constructor that wants arguments", {"init_args": ", more"}, reason="it cannot be constructed: TypeError"),
    Bad("constructor that leaves", {"init": "leave()"}, reason="it cannot be constructed: SystemExit: 3"),
    Bad(
        "constructor that fails without a text", {"init": "fail()"}, reason="it cannot be constructed: Evil: (its text"
    ),
    Bad("start that raises", {"start": "raise KeyError('x')"}, reason="its start failed: KeyError: 'x'"),
    Bad("start that leaves", {"start": "leave()"}, reason="its start failed: SystemExit: 3"),
    Bad(
        "start that raises a cancellation",
        {"start": "raise asyncio.CancelledError"},
        reason="its start failed: CancelledError",
    ),
    Bad(
        "start that cancels its task",
        {"start": "asyncio.current_task().cancel()\n        await asyncio.sleep(0)"},
        reason="its start failed: CancelledError",
    ),
    Bad(
        "start that takes what it did not name",
        {"start": "ctx.services[KEYSTORE]"},
        reason="its start failed: PermissionError: feature bad takes keystore",
    ),
    Bad(
        "start that spawns no coroutine",
        {"start": "ctx.spawn('t', 1)"},
        reason="its start failed: TypeError: spawn takes a coroutine",
    ),
    Bad("start that hangs", {"start": "await asyncio.sleep(3600)"}, "starting", "its start has not returned yet", ""),
    Bad(
        "start that swallows its cancellation",
        {"start": "await stubborn()"},
        "starting",
        "its start has not returned yet",
        "",
    ),
    Bad(
        "start that hangs beyond its time",
        {"start": "await asyncio.sleep(3600)"},
        reason="its start failed: it did not return within",
        acts=("short start",),
    ),
    Bad(
        "start that swallows beyond its time",
        {"start": "await stubborn()"},
        reason="its start failed: it did not return within",
        acts=("short start",),
    ),
]
