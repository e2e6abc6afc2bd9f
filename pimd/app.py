"""The composition root: build a daemon from its settings, run it, unwind it."""

import asyncio
import errno
import gc
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pimd import __version__, paths
from pimd.addresses import UNIX, Endpoint
from pimd.assembly.assembly import Assembly
from pimd.assembly.choice import AssemblyError
from pimd.assembly.core_methods import About, CoreMethods
from pimd.assembly.dev import reload_changed
from pimd.assembly.identity_methods import IdentityMethods
from pimd.assembly.imports import FeatureChoice
from pimd.assembly.log_ring import LogRing
from pimd.assembly.plan import Plan
from pimd.assembly.running import Core
from pimd.assembly.settings_change import SettingsChange
from pimd.assembly.watchdog import Watchdog
from pimd.clock import Clock, LivedClock, SystemClock, since_boot
from pimd.contract import CancellationToken, Membership, Problem
from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.mesh.node import Node
from pimd.mesh.parts import NodeConfig
from pimd.mesh.policy import Policy
from pimd.mesh.wake import watch_for_waking
from pimd.net.network import Network, system_network
from pimd.net.network_watch import watch_network
from pimd.proto.cards import NAME_LIMIT
from pimd.proto.handshake import LinkConfig
from pimd.proto.identity import Identity
from pimd.proto.mesh_secret import MeshSecret, derive
from pimd.rpc.auth import load_or_create_token
from pimd.rpc.http import HttpConfig
from pimd.rpc.server import RpcConfig, RpcServer
from pimd.rpc.token_book import TokenBook
from pimd.rpc.token_methods import TokenMethods
from pimd.settings import Settings, SettingsError, disabled_features, old_tables
from pimd.settings.load import TRUE
from pimd.stop import Stop
from pimd.store import text_file
from pimd.store.ageing import age_out_identities, keep_lived_time
from pimd.store.config_file import ConfigFile
from pimd.store.data_dir import DataDir, hold_data_dir
from pimd.store.eviction import InUse
from pimd.store.keystore import Keystore
from pimd.store.node_key import load_or_create_seed
from pimd.store.secret_file import create_secret_file
from pimd.store.text_file import NotText
from pimd.task_scope import task_scope

log = logging.getLogger("pimd")

KEY_NAME = "node.key"
PEERS_NAME = "peers.db"
TOKENS_NAME = "tokens.json"
SHORT_PASSPHRASE = 12
GATEWAY = "gateway"
"""The namespace of what would be a gateway."""


@dataclass(frozen=True)
class Environment:
    """Everything about this start that is not in the configuration file."""

    data_dir: Path
    environ: Mapping[str, str]
    log_ring: LogRing
    """Attached before the daemon starts, so that it holds the records of the start."""
    pid_file: Path | None = None
    clock: LivedClock | None = None
    network: Network | None = None
    dev: bool = False
    """Whether installed features are loaded anew when their files change."""
    set_log_level: Callable[[str], None] | None = None
    """Takes the word of `[log] level`."""


@dataclass(frozen=True)
class Parts:
    """What a daemon is put together from; a simulation hands in other parts."""

    settings: Settings
    plan: Plan
    identity: Identity
    data_dir: DataDir
    config: ConfigFile
    log_ring: LogRing
    clock: LivedClock
    network: Network
    listen: Sequence[Endpoint]
    """Endpoints where the mesh listens."""
    secret: MeshSecret | None
    make_node: Callable[[NodeConfig, Identity, Keystore, Policy, Network, Clock], Node] = Node
    key_file: Path | None = None
    """Where the key is kept, so that it can be replaced."""
    token: str = field(default="", repr=False)
    """The one that may all, from which the keys of narrowed ones are derived."""
    watched: bool = True
    """Whether a watchdog thread reports code that blocks the event loop, and links are looked after on waking."""


@dataclass(frozen=True)
class RunningDaemon:
    """A daemon whose features and mesh run, and whose RPC listeners are closed."""

    core: Core
    assembly: Assembly
    rpc: RpcServer
    group: asyncio.TaskGroup
    tokens: TokenBook


@dataclass(frozen=True)
class Started:
    """What a started daemon reports to its caller."""

    name: str
    node_id: str
    data_dir: Path
    mesh_endpoints: tuple[Endpoint, ...]
    membership: Membership
    unix_socket: Path | None
    http_url: str | None
    features: tuple[str, ...]


class StartError(Exception):
    """The daemon cannot start; the text says why and what to do."""


async def run(
    settings: Settings,
    config: ConfigFile,
    environment: Environment,
    stop: Stop,
    ready: Callable[[Started], None],
) -> None:
    """Run one daemon until `stop` is set; `ready` is called when every RPC listener is open.

    Raises `StartError`, or one of the errors of the parts, whose texts are for people, when it cannot start.
    """
    clock = environment.clock or SystemClock()
    plan = Plan.of_this_build(feature_choice(settings))
    async with AsyncExitStack() as stack:
        starting = stack.enter_context(ExitStack())
        starting.enter_context(_without_collections())
        data_dir = stack.enter_context(hold_data_dir(environment.data_dir))
        config.forget_lapsed()
        key_file = paths.expand(settings.security.key_file or data_dir.path / KEY_NAME, environment.environ)
        identity = Identity.from_seed(load_or_create_seed(key_file))
        token = load_or_create_token(data_dir.path / paths.TOKEN_NAME)
        secret = await _mesh_secret(settings, environment.environ)
        network = environment.network or system_network()
        listen = listen_endpoints(settings, environment.environ)
        parts_of_daemon = Parts(
            settings,
            plan,
            identity,
            data_dir,
            config,
            environment.log_ring,
            clock,
            network,
            listen,
            secret,
            key_file=key_file,
            token=token,
        )
        daemon = await stack.enter_async_context(running_daemon(parts_of_daemon, stop))
        config.daemon = SettingsChange(
            daemon.core.node,
            daemon.core.keystore,
            daemon.assembly,
            plan.features.values(),
            feature_choice,
            environment.set_log_level,
        )
        listeners = await stack.enter_async_context(AsyncExitStack())
        listeners.push_async_callback(daemon.rpc.stop)
        await _open_rpc_listeners(daemon, rpc_config(settings, environment), token)
        if environment.dev:
            daemon.group.create_task(reload_changed(daemon.assembly), name="files of installed features")
        starting.close()
        started = _started(settings, daemon)
        _announce(started, environment.pid_file, listeners)
        ready(started)
        await stop.wait()
        log.info("stopping")


@contextmanager
def _without_collections() -> Iterator[None]:
    """Collect no garbage meanwhile: what the start makes lives as long as the process, and later collections skip it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@asynccontextmanager
async def running_daemon(on: Parts, stop: Stop) -> AsyncIterator[RunningDaemon]:
    """Run a daemon's features and mesh for the length of the block; `daemon.shutdown` sets `stop`."""
    async with AsyncExitStack() as stack:
        in_use = InUse(
            lambda peer: node.service.has_route(peer),  # noqa: PLW0108 - the node is made after the keystore
            lambda peer: node.service.is_configured(peer),  # noqa: PLW0108
            lambda peer: node.service.is_linked(peer),  # noqa: PLW0108
        )
        keystore = await stack.enter_async_context(Keystore.open(on.data_dir.path / PEERS_NAME, on.clock, in_use))
        node = _node(on, keystore)
        assembly, rpc = _assembly(on.plan, on.clock, node.counts.bites)
        stop.who_is_left, stop.blame = assembly.who_is_left, assembly.blame
        core = Core(
            node,
            keystore,
            on.identity,
            on.data_dir,
            on.config,
            on.log_ring,
            on.clock,
            CancellationToken(),
            watched=on.watched,
            default_route=on.config.default_route,
            choice=lambda: _choice_now(on.config),
            wrong_events_raise=not on.watched,
        )
        about = About(node_name(on.settings), on.identity.node_id, on.data_dir.path)
        rpc.registry.add(CoreMethods(about, assembly, on.config, on.clock, stop.set).methods())
        rpc.registry.add(IdentityMethods(node, on.identity.node_id, on.key_file).methods())
        tokens = TokenBook(on.data_dir.path / TOKENS_NAME, on.token, on.clock, node.counts.bites)
        rpc.registry.add(TokenMethods(tokens).methods())
        if on.watched:
            stack.enter_context(Watchdog(assembly.feature_of_module))
        # Parts stop in reverse order, even when one does not start; the remaining tasks are cancelled last.
        group = await stack.enter_async_context(_stopping_tasks())
        parts = await stack.enter_async_context(AsyncExitStack())
        try:
            await _start_mesh(core, assembly, on.settings, parts, group)
            _start_ageing(on.settings, keystore, on.clock, group)
            if on.watched:
                _watch_machine(node, on.clock, group)
            yield RunningDaemon(core, assembly, rpc, group, tokens)
        except BaseException:
            stop.failed()
            raise


async def _start_mesh(
    core: Core, assembly: Assembly, settings: Settings, parts: AsyncExitStack, group: asyncio.TaskGroup
) -> None:
    """Start the features, then listen. The stop runs: features, cancel, links."""
    parts.push_async_callback(core.node.stop)
    parts.callback(core.cancel.cancel)
    parts.push_async_callback(assembly.stop)
    await assembly.start(core, group)
    try:
        await core.node.start(group)
    except OSError as error:
        where = f"{settings.transport.listen_host}:{settings.transport.listen_port}"
        advice = _listen_advice(
            error, settings.transport.listen_host, "[transport] listen_host", "[transport] listen_port"
        )
        raise StartError(f"cannot listen for peers on {where}: {error.strerror or error}; {advice}") from error


def _start_ageing(settings: Settings, keystore: Keystore, clock: Clock, group: asyncio.TaskGroup) -> None:
    group.create_task(keep_lived_time(keystore, clock), name="lived time")
    configured = settings.messaging.peer_cleanup
    if configured.enabled:
        work = age_out_identities(keystore, clock, configured.max_unreachable_lifetime_s, configured.cleanup_interval_s)
        group.create_task(work, name="identity ageing")


def _watch_machine(node: Node, clock: Clock, group: asyncio.TaskGroup) -> None:
    """Look after the links when the machine woke up or its network changed."""

    def woke(missed_s: float) -> None:
        node.look_after_links(f"this program stood still for {missed_s:.0f} s (the machine slept, or it was stopped)")

    group.create_task(watch_for_waking(clock, since_boot, woke), name="watch for waking")
    changed = partial(node.look_after_links, "the network of this machine changed")
    group.create_task(watch_network(changed), name="watch the network")


async def _open_rpc_listeners(daemon: RunningDaemon, config: RpcConfig, token: str) -> None:
    try:
        await daemon.rpc.start(config, token, daemon.group, daemon.tokens)
    except OSError as error:
        where = f"{config.http.host}:{config.http.port}" if config.http is not None else "the Unix socket"
        host = config.http.host if config.http is not None else ""
        advice = _listen_advice(error, host, "[rpc] http_host", "[rpc] http_port")
        raise StartError(
            f"cannot listen for programs on {where}: {error.strerror or error}; {advice}, or http_enabled = false"
        ) from error


def _listen_advice(error: OSError, host: str, host_key: str, port_key: str) -> str:
    if Endpoint.tcp(host, 0).fault is not None:
        return f"set {host_key} to the address with its interface, such as {host}%eth0"
    if error.errno == errno.EADDRINUSE:
        return f"another pimd may run there; set {port_key} to another port"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"this user may not take that port; set {port_key} to one above 1023"
    return f"set {host_key} to an address that this machine has"


def _announce(started: Started, pid_file: Path | None, parts: AsyncExitStack) -> None:
    """Write where the RPC listeners are, for `pim` to find; the lock, not this file, says whether a daemon runs."""
    runtime = started.data_dir / paths.RUNTIME_NAME
    content = {
        "pid": os.getpid(),
        "unix_socket": None if started.unix_socket is None else str(started.unix_socket),
        "http_url": started.http_url,
    }
    _remove(runtime)
    parts.callback(_remove, runtime)
    create_secret_file(runtime, json.dumps(content).encode() + b"\n")
    if pid_file is not None:
        try:
            pid_file.write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise StartError(f"{pid_file}: the PID file cannot be written: {error.strerror}") from error
        parts.callback(_remove, pid_file)


def feature_choice(settings: Settings) -> FeatureChoice:
    """Read which features the configuration chooses, with their tables."""
    features = settings.features
    return FeatureChoice(
        features.enabled,
        disabled_features(settings),
        features.tables,
        features.required,
        old_tables(settings),
        wanted=frozenset(name for name, table in features.tables.items() if table.get("enabled") in TRUE),
    )


def _choice_now(config: ConfigFile) -> FeatureChoice:
    try:
        return feature_choice(config.current())
    except (SettingsError, OSError) as error:
        raise AssemblyError(f"the configuration file does not load: {error}; correct it first") from error


def node_name(settings: Settings) -> str:
    """The configured name, else the host's, cut to what a card can carry."""
    name = settings.node.name or os.uname().nodename or "pimd"
    return name.encode()[:NAME_LIMIT].decode(errors="ignore")


def listen_endpoints(settings: Settings, environ: Mapping[str, str]) -> list[Endpoint]:
    """Endpoints for links; `StartError` for a path that no socket can have."""
    transport = settings.transport
    endpoints = [Endpoint.tcp(transport.listen_host, transport.listen_port)]
    if transport.listen_unix not in {None, Path()}:
        try:
            endpoints.append(Endpoint.parse(f"{UNIX}:{paths.expand(transport.listen_unix, environ)}"))
        except ValueError as error:
            raise StartError(f"[transport] listen_unix: {error}") from error
    return endpoints


def rpc_config(settings: Settings, environment: Environment) -> RpcConfig:
    """Read which RPC listeners to open, and where."""
    rpc = settings.rpc
    unix = paths.rpc_socket(environment.environ, rpc.unix_socket, environment.data_dir) if rpc.unix_enabled else None
    http = HttpConfig(rpc.http_host, rpc.http_port, tuple(rpc.allowed_origins), tuple(rpc.allowed_hosts))
    return RpcConfig(unix, http if rpc.http_enabled else None)


def _assembly(plan: Plan, clock: Clock, bites: Bites) -> tuple[Assembly, RpcServer]:
    rpc = RpcServer(
        clock,
        lambda name: assembly.explain_absent(name),  # noqa: PLW0108 - made on the next line
        lambda: assembly.running(),  # noqa: PLW0108
        bites,
    )
    assembly = Assembly(plan, rpc.registry, rpc.streams)
    return assembly, rpc


def _node(on: Parts, keystore: Keystore) -> Node:
    settings = on.settings
    security, transport = settings.security, settings.transport
    policy = Policy(
        security.authorization_policy,
        [NodeId.parse(text) for text in security.authorized_peers],
        keystore.is_blocked,
    )
    psk = on.secret.handshake_key if on.secret is not None else None
    config = NodeConfig(
        node_name(settings),
        on.listen,
        LinkConfig(psk=psk, agent=f"pimd/{__version__}"),
        transport.connect_timeout_ms / 1000,
        relays=settings.relay.enabled,
        broadcast_interval_s=settings.messaging.broadcast.outgoing_interval_s,
        secret=on.secret,
        mesh_id=settings.mesh.mesh_id,
        problems=_asked_in_vain(on),
    )
    return on.make_node(config, on.identity, keystore, policy, on.network, on.clock)


def _asked_in_vain(on: Parts) -> list[Problem]:
    """Return what the configuration turns on and no feature does, and log it."""
    owned = {namespace for feature in on.plan.features.values() for namespace in feature.namespaces}
    if not on.settings.gateway.enabled or GATEWAY in owned:
        return []
    text = (
        "[gateway] enabled = true has no effect: this build has no feature `gateway`, so this machine leads nobody out of the "
        "mesh; set it to false, or install one"
    )
    log.warning("%s", text)
    return [Problem("no_gateway_feature", text)]


async def _mesh_secret(settings: Settings, environ: Mapping[str, str]) -> MeshSecret | None:
    mesh = settings.mesh
    if mesh.mode == "open":
        return None
    passphrase = mesh_passphrase(settings, environ)
    if len(passphrase) < SHORT_PASSPHRASE:
        log.warning("the mesh passphrase is shorter than %d characters: it can be guessed offline", SHORT_PASSPHRASE)
    # Argon2id takes a tenth of a second or more, and lets other threads run.
    kdf = mesh.kdf
    derived = await asyncio.to_thread(derive, passphrase, mesh.mesh_id, kdf.m_cost_kib, kdf.t_cost, kdf.p_cost)
    log.info("private mesh, fingerprint %s", derived.fingerprint)
    return derived


def mesh_passphrase(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the passphrase of a private mesh, from the configuration or the file that it names; `StartError`."""
    mesh = settings.mesh
    if mesh.passphrase is not None and mesh.passphrase.get_secret_value():
        return mesh.passphrase.get_secret_value()
    path = paths.expand(mesh.passphrase_file or Path(), environ)
    try:
        lines = text_file.read(path).content.splitlines()
    except OSError as error:
        raise StartError(
            f"{path}: the passphrase file cannot be read: {error.strerror}; "
            "set [mesh] passphrase_file to a file that this user may read"
        ) from error
    except NotText as error:
        raise StartError(f"{path}: the passphrase file {error}; its first line must be the passphrase") from None
    if not lines or not lines[0]:
        raise StartError(f"{path}: the first line of the passphrase file is empty; it must be the passphrase")
    return lines[0]


def _started(settings: Settings, daemon: RunningDaemon) -> Started:
    core, rpc = daemon.core, daemon.rpc
    return Started(
        name=node_name(settings),
        node_id=str(core.identity.node_id),
        data_dir=core.data_dir.path,
        mesh_endpoints=tuple(core.node.service.listen_endpoints),
        membership=core.node.service.membership,
        unix_socket=rpc.unix.path if rpc.unix is not None else None,
        http_url=rpc.http.url if rpc.http is not None else None,
        features=tuple(daemon.assembly.running()),
    )


def _remove(path: Path) -> None:
    """Remove what lies around after a stop; where that cannot be done the daemon stops all the same."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed: %s", path, error.strerror)


class _Stopped(Exception):  # noqa: N818 - a signal to the TaskGroup, not an error
    """Raised into the daemon's TaskGroup to cancel its tasks after the orderly part of the stop."""


@asynccontextmanager
async def _stopping_tasks() -> AsyncIterator[asyncio.TaskGroup]:
    try:
        async with task_scope() as group:
            yield group
            raise _Stopped  # noqa: TRY301 - the TaskGroup must see it
    except _Stopped:
        return
