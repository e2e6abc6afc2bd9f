"""What a plugin may reach, and what it may not."""

import hmac
from typing import Any, ClassVar

import pytest
from pydantic import field_validator

from pimd.assembly.services import PluginIdentity
from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    PEER_DATA,
    PEER_SUMMARIES,
    PUBLISH,
    DaemonPlugin,
    EventStream,
    Feature,
    FeatureSettings,
    NoParams,
    PayloadTooLarge,
    PluginContext,
    PluginPayload,
    Provided,
    Result,
    Sent,
    ServiceKey,
    rpc,
)
from pimd.ids import NodeId
from pimd.proto.identity import Identity, verify
from tests.assembly.conftest import Assemble, Assembled

SOMEBODY = NodeId(bytes(16))


class Probe(DaemonPlugin):
    """Keeps its context for the test."""

    name: ClassVar[str] = "probe"
    payload_kinds: ClassVar[tuple[str, ...]] = ("probe.x",)

    async def start(self, ctx: PluginContext) -> None:
        self.ctx = ctx


class Happened(Result):
    """An event."""

    kind: str = "happened"


def context(all_: Assembled, name: str = "probe") -> PluginContext:
    plugin: Any = all_.host(name).plugin
    found: PluginContext = plugin.ctx
    return found


async def test_only_services_that_were_named_can_be_taken(assemble: Assemble) -> None:
    ctx = context(await assemble(Feature("probe", "x", plugin=Probe, uses=(MESH, PEER_DATA))))
    assert ctx.services[MESH].links() == []
    assert ctx.services.providers(PEER_DATA) == []
    keys: tuple[ServiceKey[Any], ...] = (KEYSTORE, CONFIG, PUBLISH)
    for key in keys:
        with pytest.raises(PermissionError, match="without naming it; write: uses="):
            ctx.services[key]
    with pytest.raises(LookupError, match="nobody provides peer_summaries"):
        ctx.services[PEER_SUMMARIES]


async def test_a_service_of_another_feature_needs_to_be_required(assemble: Assemble) -> None:
    giver = Feature(
        "giver",
        "x",
        plugin=type("Giver", (Probe,), {"name": "giver", "payload_kinds": ()}),
        provides=(Provided(PEER_SUMMARIES),),
    )
    stranger = Feature("probe", "x", plugin=Probe)
    all_ = await assemble(giver, stranger)
    with pytest.raises(PermissionError, match="takes peer_summaries without requiring giver"):
        context(all_).services[PEER_SUMMARIES]
    await all_.assembly.stop()


async def test_a_required_feature_gives_its_service(assemble: Assemble) -> None:
    giver = Feature(
        "giver",
        "x",
        plugin=type(
            "Giver", (Probe,), {"name": "giver", "payload_kinds": (), "summary": lambda self, _: f"of {self.name}"}
        ),
        provides=(Provided(PEER_SUMMARIES),),
    )
    taker = Feature("probe", "x", plugin=Probe, requires=("giver",))
    all_ = await assemble(taker, giver)
    given: Any = context(all_).services[PEER_SUMMARIES]
    assert given.summary(SOMEBODY) == "of giver"
    assert {name for name in dir(given) if not name.startswith("_")} == {"neighbours", "summary"}


async def test_only_claimed_kinds_can_be_sent(assemble: Assemble) -> None:
    ctx = context(await assemble(Feature("probe", "x", plugin=Probe)))
    for kind in ("other.x", "probe.y", ""):
        with pytest.raises(ValueError, match="claim"):
            await ctx.control.send_routed(SOMEBODY, PluginPayload(kind, b""))
        with pytest.raises(ValueError, match="claim"):
            await ctx.control.send_direct(SOMEBODY, PluginPayload(kind, b""))
    assert await ctx.control.send_routed(SOMEBODY, PluginPayload("probe.x", b"")) is Sent.NO_ROUTE
    await ctx.control.send_direct(SOMEBODY, PluginPayload("probe.x", b""))


async def test_kinds_that_others_take_can_be_sent_when_they_are_named(assemble: Assemble) -> None:
    plugin = type("Writer", (Probe,), {"name": "writer", "payload_kinds": (), "sent_kinds": ("probe.x",)})
    all_ = await assemble(Feature("probe", "x", plugin=Probe), Feature("writer", "x", plugin=plugin))
    ctx = context(all_, "writer")
    assert await ctx.control.send_routed(SOMEBODY, PluginPayload("probe.x", b"")) is Sent.NO_ROUTE
    with pytest.raises(ValueError, match="or to sent_kinds if others take it"):
        await ctx.control.send_routed(SOMEBODY, PluginPayload("probe.y", b""))


async def test_a_payload_that_is_too_large_is_refused_before_anything_is_sent(assemble: Assemble) -> None:
    ctx = context(await assemble(Feature("probe", "x", plugin=Probe)))
    with pytest.raises(PayloadTooLarge):
        await ctx.control.send_routed(SOMEBODY, PluginPayload("probe.x", bytes(60_001)))
    with pytest.raises(PayloadTooLarge):
        await ctx.control.send_direct(SOMEBODY, PluginPayload("probe.x", bytes(60_001)))
    assert await ctx.control.send_routed(SOMEBODY, PluginPayload("probe.x", bytes(60_000))) is Sent.NO_ROUTE


async def test_the_seed_is_for_those_who_declared_the_need(assemble: Assemble) -> None:
    needy = Feature(
        "needy", "x", plugin=type("Needy", (Probe,), {"name": "needy", "payload_kinds": ()}), needs_signing_seed=True
    )
    all_ = await assemble(Feature("probe", "x", plugin=Probe), needy)
    with pytest.raises(PermissionError, match="needs_signing_seed"):
        context(all_).identity.signing_seed()
    assert context(all_, "needy").identity.signing_seed() == bytes(range(32))


async def test_signatures_are_bound_to_feature_and_domain(assemble: Assemble) -> None:
    all_ = await assemble(Feature("probe", "x", plugin=Probe))
    signature = context(all_).identity.sign("dom", b"message")
    public = all_.core.identity.ed25519_pub
    assert verify(public, b"pim-sign-v1\0probe\0dom\0message", signature)
    assert not verify(public, b"message", signature)
    with pytest.raises(ValueError, match="NUL"):
        context(all_).identity.sign("a\0b", b"")


def derive(feature: str, purpose: str, seed: bytes = bytes(range(32))) -> bytes:
    return PluginIdentity(Feature(feature, "x"), Identity.from_seed(seed)).derive(purpose)


def test_a_derived_key_is_of_one_node_feature_and_purpose() -> None:
    keys = [
        derive("probe", "files"),
        derive("probe", "file"),
        derive("probe", ""),
        derive("prob", "efiles"),
        derive("probef", "iles"),
        derive("probe", "files", bytes(32)),
        Identity.from_seed(bytes(range(32))).x25519_secret(),
        bytes(range(32)),
    ]
    assert derive("probe", "files") == keys[0]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}


def test_a_derived_key_is_hkdf_sha256_of_the_seed_as_the_protocol_says() -> None:
    extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")
    expanded = hmac.digest(extracted, b"pim-feature-key-v1\0probe\0files\x01", "sha256")
    assert derive("probe", "files") == expanded


@pytest.mark.parametrize("purpose", ["\0", "a\0b", "files\0"])
def test_the_purpose_of_a_key_holds_no_nul(purpose: str) -> None:
    with pytest.raises(ValueError, match="NUL"):
        derive("probe", purpose)


class Counted(FeatureSettings):
    """Counts how often one is made."""

    made: ClassVar[list[str]] = []
    word: str = "none"

    @field_validator("word")
    @classmethod
    def _count(cls, value: str) -> str:
        cls.made.append(value)
        return value.upper()


async def test_settings_are_validated_once_for_each_start_and_handed_over_as_the_declared_model(
    assemble: Assemble,
) -> None:
    Counted.made.clear()
    all_ = await assemble(Feature("probe", "x", plugin=Probe, settings=Counted), tables={"probe": {"word": "a"}})
    assert (context(all_).settings, Counted.made) == (Counted.model_construct(word="A"), ["a"])
    first = context(all_).settings
    await all_.assembly.disable("probe")
    await all_.assembly.enable("probe")
    assert (context(all_).settings, Counted.made) == (first, ["a", "a"])
    assert context(all_).settings is not first


async def test_its_directory_is_its_own_and_private(assemble: Assemble) -> None:
    ctx = context(await assemble(Feature("probe", "x", plugin=Probe)))
    assert ctx.data_dir.name == "probe"
    assert ctx.data_dir.stat().st_mode & 0o777 == 0o700


async def test_only_declared_streams_can_be_published(assemble: Assemble) -> None:
    streaming = Feature(
        "probe", "x", ("probe",), Probe, events=(EventStream("probe.event", Happened),), uses=(PUBLISH,)
    )
    publish = context(await assemble(streaming)).services[PUBLISH]
    publish("probe.event", Happened())
    with pytest.raises(ValueError, match="did not declare"):
        publish("peers.event", Happened())


async def test_a_plain_function_gets_the_context(assemble: Assemble) -> None:
    @rpc("probe.where")
    async def where(ctx: PluginContext, _: NoParams) -> str:
        """Say where."""
        return ctx.data_dir.name

    all_ = await assemble(Feature("probe", "x", ("probe",), methods=(where,)))
    assert (await all_.call("probe.where"))["result"] == "probe"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Feature("Bad", "x"), "lowercase"),
        (lambda: Feature("a", "x", events=(EventStream("b.event", Happened),)), "not <one of its namespaces>"),
        (lambda: Feature("a", "x", ("a",), events=(EventStream("a.other", Happened),)), "not <one of its namespaces>"),
        (lambda: Feature("a", "x", errors=ValueError), "no tuple; write"),  # type: ignore[arg-type]
        (lambda: Feature("a", "x", errors=(ValueError,)), "no class of RpcError; write: class"),  # type: ignore[arg-type]
    ],
)
def test_a_declaration_that_cannot_be_is_refused_at_once(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


async def test_a_module_belongs_to_the_feature_whose_code_it_is_and_the_daemons_own_to_none(assemble: Assemble) -> None:
    @rpc("plain.x")
    async def plain(_: PluginContext, params: NoParams) -> str:
        """Answer."""
        return ""

    running = (await assemble(Feature("plain", "x", ("plain",), methods=(plain,)))).assembly
    assert running.feature_of_module(__name__) == "plain"
    assert running.feature_of_module("pimd.mesh.node") is None
