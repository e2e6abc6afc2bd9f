"""Each check fails what it is there for, beyond the features that the daemon must contain."""

import pytest

from pimd.testing.checks import CHECKS
from pimd.testing.checks.subject import Subject
from pimd.testing.conformance import verdict
from tests.assembly.bad_features import Bad
from tests.repeats import one_in

BY_NAME = {check.name: check for check in CHECKS}
STREAM = ', events=(EventStream("bad.event", Told),), uses=(PUBLISH,)'
TOP = """
import json, os, struct, threading, time
KEEP = []
async def forever(send=None):
    while True:
        await asyncio.sleep(5)
        if send:
            await send()
"""


def bad(what: str, **parts: str) -> Bad:
    return Bad(what, {"top": TOP + parts.pop("top", ""), **parts})


FAULTS = [
    (
        "lifecycle",
        "AssertionError",
        bad("starts once only", start="assert not KEEP; KEEP.append(1)"),
    ),
    (
        "failed start",
        "AttributeError: 'Plugin' object has no attribute 'x' (bad_feature.py:",
        bad("shutdown needs start", start="self.x = 1", shutdown="del self.x"),
    ),
    (
        "failed start",
        "at await 3 of its start",
        bad(
            "shutdown needs two awaits",
            init="self.x = 0",
            start="self.x = 1; await asyncio.sleep(0); await asyncio.sleep(0); self.x = 2; await asyncio.sleep(0)",
            shutdown="assert self.x != 2",
        ),
    ),
    ("payloads", "RecursionError", bad("deep JSON", payload="try: json.loads(body)\n        except ValueError: pass")),
    (
        "payloads",
        "TypeError",
        bad("JSON of another shape", payload="try: json.loads(body)['a']\n        except (ValueError, KeyError): pass"),
    ),
    ("payloads", "50000 bytes", bad("too small a buffer", payload="assert len(body) < 40_000")),
    (
        "payloads",
        "bad.x",
        bad(
            "trusts what it sends itself",
            payload="if body.startswith(b'bad/1 '): int(body[6:])",
            do="await self.ctx.control.send_routed(self.ctx.identity.node_id, PluginPayload('bad.x', b'bad/1 17'))",
        ),
    ),
    (
        "datagrams",
        "error: unpack requires a buffer of 4 bytes (bad_feature.py:",
        bad(
            "packet too short",
            start="ctx.datagrams.set_receiver(lambda src, packet: struct.unpack('>I', packet[:4]))",
        ),
    ),
    (
        "methods",
        "answers -32010 (who?), which its @rpc does not name",
        bad("undeclared error", do="raise PeerNotFound('who?')"),
    ),
    (
        "methods",
        "answers what its result does not declare: it is 1, not within 5 and inf",
        bad(
            "result of another size",
            top="from pydantic import Field",
            do_def="async def do(self, params: NoParams) -> Annotated[int, Field(ge=5)]:",
        ),
    ),
    (
        "methods",
        "bad.do({'text'",
        bad(
            "params that it does not expect",
            top="class P(Params):\n    text: str\n",
            do_def="async def do(self, params: P) -> int:",
            do="if params.text: params.text.encode('ascii')",
        ),
    ),
    (
        "streams",
        "",
        bad(
            "event of another model",
            top="class Other(Result):\n    x: int = 1\n",
            more=STREAM,
            do="self.ctx.services[PUBLISH]('bad.event', Other())",
        ),
    ),
    (
        "services",
        "its service's erase failed: TypeError: it answered NoneType, no Erased",
        bad(
            "erase that tells nothing",
            more=", provides=(Provided(PEER_DATA),)",
            body="async def erase(self, peer): pass",
        ),
    ),
    (
        "stopping",
        "it went on after its stop",
        bad(
            "task of its own that sends",
            do="KEEP.append(asyncio.get_running_loop().create_task(forever(self.send)))",
            body="async def send(self): await self.ctx.control.send_routed(NodeId(bytes(16)), PluginPayload('bad.x', b''))",
        ),
    ),
    (
        "blocking",
        "it calls time.sleep within the event loop, in bad_feature.py:",
        bad("sleeps", do="time.sleep(0.06)"),
    ),
    (
        "leaks",
        "tasks were left behind",
        bad("task of its own", start="KEEP.append(asyncio.get_running_loop().create_task(forever()))"),
    ),
    (
        "leaks",
        "timers were left behind: fail",
        bad("timer of its own", start="asyncio.get_running_loop().call_later(9000, fail)"),
    ),
    (
        "leaks",
        "threads were left behind: bad thread",
        bad(
            "thread",
            start="threading.Thread(target=threading.Event().wait, args=(5,), name='bad thread', daemon=True).start()",
        ),
    ),
    ("leaks", "files were left behind: /dev/null", bad("file", start="os.open('/dev/null', os.O_RDONLY)")),
    ("leaks", "a subscription is left behind", bad("subscription", start="KEEP.append(ctx.peers.subscribe())")),
    ("leaks", "still holds the plugin object", bad("itself", init="KEEP.append(self)")),
    ("leaks", "memory grows by ", bad("memory", payload="KEEP.append(body + bytes(5000))")),
]


@pytest.mark.parametrize("found", one_in(2, FAULTS, lambda found: found[2].what))
def test_a_fault_is_found(found: tuple[str, str, Bad]) -> None:
    check, words, fault = found
    said = verdict(BY_NAME[check], Subject(fault.load, name="bad"))
    assert said is not None
    assert words in said
    assert BY_NAME[check].remedy in said


def test_every_check_that_is_not_tried_on_the_bad_ones_is_tried_here() -> None:
    assert {check for check, _, _ in FAULTS} | {"declaration", "settings", "forgetting"} == BY_NAME.keys()
