"""The features of one daemon: assembled at the start, and changed while it runs."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from pimd.assembly.absent import explain_absent
from pimd.assembly.choice import AssemblyError, Candidate
from pimd.assembly.declared import Declared
from pimd.assembly.guard import Guard
from pimd.assembly.imports import FeatureChoice, Import
from pimd.assembly.installed import InstalledMeanwhile, drop_modules, loaded_modules
from pimd.assembly.life import Life, State
from pimd.assembly.plan import Plan, clashes, levels, without
from pimd.assembly.plugin_host import START_S, STOP_S, PluginHost
from pimd.assembly.provided import service_of
from pimd.assembly.running import Built, Core, construct
from pimd.assembly.services import channel_of
from pimd.calls import running
from pimd.contract import FeatureRow
from pimd.events import Subscription, Topic
from pimd.faults import modules_of
from pimd.ids import NodeId
from pimd.rpc.registry import Registry
from pimd.rpc.streams import Streams

log = logging.getLogger("pimd.features")

DOORS_S = 2.0
"""Seconds after which the daemon goes on without features that still start."""
IMPORT_S = 30.0
HUNG = f'it did not return within {START_S:g} s; let it spawn what goes on: ctx.spawn("work", self.work())'
UP = frozenset({State.STARTING, State.RUNNING})


class Assembly:
    """Starts, stops, enables and disables features; implements `contract.Assembly`."""

    def __init__(self, plan: Plan, registry: Registry, streams: Streams) -> None:
        self._plan = plan
        self._registry = registry
        self._streams = streams
        self._lives: dict[str, Life] = {}
        for one in plan.choices:
            state = State.LOADED if one.state == "chosen" else State(one.state)
            self._lives[one.name] = Life(one.name, one.version, one.origin, one.candidate, state, one.reason)
        for name, feature in plan.features.items():
            self._lives[name].feature, self._lives[name].settings = feature, plan.imports[name].settings
        self._changes: Topic[FeatureRow] = Topic()
        self._turn = asyncio.Lock()
        self._meanwhile = InstalledMeanwhile()
        self._now: FeatureChoice | None = None
        """The configuration as the last `enable` read it."""
        self._core: Core | None = None
        self._group: asyncio.TaskGroup | None = None
        self._endings: dict[str, asyncio.Task[None]] = {}
        self._starts: list[asyncio.Task[None]] = []
        self._stopped = False

    # --- contract.Assembly

    def rows(self) -> list[FeatureRow]:
        """One row for every known feature, built or not."""
        return [self.row(name) for name in self._lives]

    def subscribe(self) -> Subscription[FeatureRow]:
        """Receive the new row of each feature whose state changes."""
        return self._changes.subscribe()

    def row(self, name: str) -> FeatureRow:
        """Return one feature's row; KeyError for an unknown name."""
        life = self._lives[name]
        declared = life.feature if life.state in UP else None
        known = self._plan.known.get(name)
        kinds = known.payload_kinds if known is not None else ()
        if life.feature is not None:
            kinds = life.feature.payload_kinds
        return FeatureRow(
            name=name,
            version=life.version,
            origin=life.origin,
            state=life.shown,
            reason=life.reason,
            methods=self._registry.names_of(name),
            payload_kinds=list(kinds),
            events=[stream.name for stream in declared.events] if declared is not None else [],
            failures=life.built.guard.failures if life.built is not None else 0,
            events_dropped=life.built.guard.events_dropped if life.built is not None else 0,
        )

    def host(self, name: str) -> PluginHost | None:
        """Return what runs the plugin of a feature, or None while that is off; tests look at the plugin there."""
        built = self._lives[name].built
        return built.host if built is not None else None

    def running(self) -> list[str]:
        """Names of the running features, each after those it requires."""
        lives = self._lives.values()
        up = {life.name: life.feature for life in lives if life.at(State.RUNNING) and life.feature is not None}
        return [name for level in levels(up) for name in level]

    def secret_settings(self) -> list[tuple[str, ...]]:
        """Keys of secrets, of the features that were imported."""
        known = {name: life.feature for name, life in self._lives.items() if life.feature is not None}
        return [(name, *path) for name, feature in known.items() for path in feature.secrets]

    def explain_absent(self, method: str) -> dict[str, Any]:
        """Return `data` of the -32601 answer: feature, state and hint."""
        declared = {name: life.feature.namespaces for name, life in self._lives.items() if life.feature is not None}
        return explain_absent(method, self._plan.known, declared, self.rows(), self._registry.names)

    def feature_of_module(self, module: str) -> str | None:
        """Return the imported feature that a module belongs to."""
        known = {name: life.feature for name, life in self._lives.items() if life.feature is not None}
        return next((name for name, feature in known.items() if feature.has_module(module)), None)

    def who_is_left(self) -> str:
        """Name the features whose code runs, with their calls and tasks; any thread may ask."""
        found = [f"the loop is blocked by {running.owner}"] if running.owner is not None else []
        for name, life in self._lives.items():
            busy = life.built.guard.calls.busy if life.built is not None else []
            if busy or life.at(State.STOPPING):
                found.append(f"feature {name} ({', '.join(busy) or life.reason})")
        return "; ".join(found)

    def blame(self, error: BaseException) -> str | None:
        """Count an error that was caught outside of any call for the feature whose code raised it; returns its name."""
        names = [name for module in modules_of(error) if (name := self.feature_of_module(module)) is not None]
        built = self._lives[names[0]].built if names else None
        if built is None:
            return None
        built.guard.blame("a task or timer that it did not start through its context", error)
        return names[0]

    def installed(self) -> dict[str, Candidate]:
        """Return the features of other distributions that are not turned off, by name."""
        off = {State.DISABLED, State.STOPPED, State.STOPPING}
        on = {name: life.candidate for name, life in self._lives.items() if life.state not in off}
        return {name: one for name, one in on.items() if one is not None and not one.is_builtin}

    # --- life

    async def start(self, core: Core, group: asyncio.TaskGroup) -> None:
        """Start the chosen features, each after those it requires; after 2 s the rest goes on starting alone.

        `AssemblyError` when one that the configuration requires does not run.
        """
        self._core, self._group = core, group
        core.keystore.on_forgotten.append(self._forgotten)
        for name, reason in self._plan.faults.items():
            self._fail(self._lives[name], reason)
        chosen = [life for life in self._lives.values() if life.at(State.LOADED)]
        self._starts = [group.create_task(self._bring_up(life), name=f"start of {life.name}") for life in chosen]
        if self._starts:
            await asyncio.wait(self._starts, timeout=DOORS_S)
        for name in self._plan.choice.required:
            await self._lives[name].settled.wait()
            if not self._lives[name].at(State.RUNNING):
                raise AssemblyError(
                    f"feature {name}, which [features] required names, failed: {self._lives[name].reason}",
                    ("features", "required"),
                )

    async def stop(self) -> None:
        """Stop all features, those that nobody requires first, within 6 s in all."""
        self._stopped = True
        await self._stop_levels(self._lives.values())
        for start in self._starts:  # one may still wait for an import
            start.cancel()

    async def enable(self, name: str, *, reload: bool = False) -> FeatureRow:
        """Start a feature that is off, failed or quarantined; `AssemblyError` says why it cannot start.

        With `reload` an installed one is stopped, and what is on disk now is imported and started. What starts gets its
        table as the configuration file has it now.
        """
        async with self._turn:
            life = self._life(name)
            if life.candidate is None:
                raise AssemblyError(
                    f"this build was made without {name}; install one built with PIMD_FEATURES=...,{name}"
                    if life.at(State.NOT_BUILT)
                    else f"feature {name} is {life.reason}"
                )
            if life.state in UP and not reload:
                await life.settled.wait()
                return self.row(name)
            core, _ = self._of_start()
            self._now = core.choice() if core.choice is not None else None
            if reload:
                await self._unload(life)
            await self._ended(life)
            feature = await self._import(life, life.candidate)
            self._refuse_missing(feature)
            life.to(State.LOADED, "enabled while running")
            self._yield_to_rank(life)
            if life.at(State.LOADED):
                await self._bring_up(life)
            if not life.at(State.RUNNING):
                raise AssemblyError(f"feature {name} did not start: {life.reason}")
            await self._revive(name)
            return self.row(name)

    async def disable(self, name: str) -> FeatureRow:
        """Stop a feature; `AssemblyError` while another running one requires it."""
        async with self._turn:
            life = self._life(name)
            if life.candidate is not None and life.state not in {State.DISABLED, State.STOPPED}:
                self._refuse_dependents(name, "disabled")
                await self._stop(life)
                if not life.at(State.STOPPED):
                    life.to(State.STOPPED, "")
            if life.candidate is not None:
                life.reason, life.blocked_by = "disabled while running", None
                self._changed(life)
            return self.row(name)

    # --- starting

    async def _bring_up(self, life: Life) -> None:
        """Wait for what the feature requires, then start it; what goes wrong is in its row."""
        if life.feature is None and not await self._late_import(life):
            return
        feature = life.feature
        for required in feature.requires if feature is not None else ():
            other = self._lives[required]
            await other.settled.wait()
            if not other.at(State.RUNNING):
                self._fail(life, without((life.name, required), f"{other.shown}: {other.reason}"), blocked_by=required)
                return
        if feature is not None and life.at(State.LOADED) and not self._stopped:
            await self._start(life, feature)

    async def _late_import(self, life: Life) -> bool:
        """Wait for an import that the plan did not wait for; then rank decides about its claims."""
        each = self._plan.imports[life.name]
        if await each.over(IMPORT_S) and each.feature is not None and each.fault is None:
            if each.feature.name in self._plan.features or not life.at(State.LOADED):
                return False
            if not self._plan.choice.wants(each.feature):
                life.to(State.STOPPED, "off by default; list it in [features] enabled")
                return False
            life.feature, life.settings = each.feature, each.settings
            self._yield_to_rank(life)
        elif life.at(State.LOADED):
            self._fail(life, each.fault or f"its import did not end within {IMPORT_S:g} s")
        return life.at(State.LOADED)

    async def _start(self, life: Life, feature: Declared) -> None:
        core, group = self._of_start()
        why, life.blocked_by = life.reason, None
        life.to(State.STARTING, "its start has not returned yet")
        self._changed(life)
        life.built = self._constructed(life, feature)
        if life.built is None:
            return
        outcome = await life.built.host.start(life.built.context)
        if not life.at(State.STARTING):
            return
        if not outcome.ok:
            self._fail(life, f"its start failed: {life.said(outcome) or HUNG}")
            return
        if feature.plugin is not None:
            life.built.host.serve(core.node.payloads.register(life.name, feature.payload_kinds), group)
        self._registry.add(life.built.methods)
        self._registry.add_verbs(life.name, life.built.verbs)
        self._registry.add_events(life.name, life.built.events)
        life.to(State.RUNNING, why)
        self._changed(life)

    def _constructed(self, life: Life, feature: Declared) -> Built | None:
        core, _ = self._of_start()
        guard = Guard(
            life.name,
            core.clock,
            package=feature.package,
            quarantine=lambda reason: self._trouble(life, State.QUARANTINED, reason),
            timer=time.monotonic if core.watched else lambda: 0.0,
        )
        is_builtin = life.candidate is not None and life.candidate.is_builtin
        settings, life.settings = life.settings, None

        def construct_it() -> Built:
            if settings is None:
                raise RuntimeError("its settings were not read")
            return construct(
                core,
                feature,
                guard,
                settings,
                assembly=self,
                streams=self._streams,
                provided=self._provided,
                crashed=lambda reason: self._trouble(life, State.FAILED, reason),
                is_builtin=is_builtin,
            )

        outcome = guard.calls.call("its construction", construct_it)
        if outcome.ok:
            built: Built = outcome.value
            return built
        self._fail(life, f"it cannot be constructed: {life.said(outcome)}")
        return None

    async def _import(self, life: Life, candidate: Candidate) -> Declared:
        """Import it anew, with the settings for one start; `AssemblyError` says why that cannot be."""
        core, _ = self._of_start()
        choice = self._now or self._plan.choice
        each = Import(candidate, choice, in_thread=core.watched and not candidate.is_builtin)
        if not await each.over(IMPORT_S):
            raise AssemblyError(f"feature {life.name}: its import did not end within {IMPORT_S:g} s")
        if each.feature is None or each.fault is not None:
            if not life.at(State.FAILED):
                life.to(State.LOADED, "enabled while running")
            self._fail(life, each.fault or "")
            raise AssemblyError(f"feature {life.name}: {each.fault}")
        life.feature, life.settings = each.feature, each.settings
        return each.feature

    def _yield_to_rank(self, life: Life) -> None:
        """Of those that claim the same, the later ones fail, whoever was there first."""
        up = {
            name: other.feature
            for name, other in self._lives.items()
            if other.feature is not None and (other.state in UP or other is life or other.at(State.LOADED))
        }
        for name, reason in clashes(up).items():
            self._fail(self._lives[name], reason)

    async def _revive(self, name: str) -> None:
        """Start those again that failed only because this one did not run."""
        for life in self._lives.values():
            if life.blocked_by == name and life.at(State.FAILED) and life.candidate is not None:
                await self._ended(life)
                with contextlib.suppress(AssemblyError):  # its row says why
                    await self._import(life, life.candidate)
                    life.to(State.LOADED, "what it requires runs again")
                    await self._bring_up(life)
                if life.at(State.RUNNING):
                    await self._revive(life.name)

    # --- stopping

    def _fail(self, life: Life, reason: str, *, blocked_by: str | None = None) -> None:
        self._trouble(life, State.FAILED, reason)
        life.blocked_by = blocked_by

    def _trouble(self, life: Life, state: State, reason: str) -> None:
        """Fail or quarantine a feature, and what requires it; they are stopped in order while the daemon runs on."""
        if life.at(State.FAILED) and life.built is None:
            life.reason = reason
            log.error("feature %s is failed: %s", life.name, reason)
        if life.state not in UP | {State.LOADED}:
            return
        _, group = self._of_start()
        life.to(state, reason)
        log.error("feature %s is %s: %s", life.name, state, reason)
        self._close(life)
        self._changed(life)
        for other in self._dependents(life.name):
            self._fail(other, without((other.name, life.name), f"{life.shown}: {reason}"), blocked_by=life.name)
        if life.built is not None:
            self._endings[life.name] = group.create_task(self._end(life), name=f"end of {life.name}")

    def _dependents(self, name: str) -> list[Life]:
        return [
            life
            for life in self._lives.values()
            if life.state in UP and life.feature is not None and name in life.feature.requires
        ]

    def _close(self, life: Life) -> None:
        """Let no new calls, payloads and events come to it."""
        core, _ = self._of_start()
        self._registry.remove(life.name)
        core.node.payloads.unregister(life.name, quarantined=life.at(State.QUARANTINED))
        if life.built is not None:
            life.built.guard.stopping = True
            life.built.guard.quarantined = life.at(State.QUARANTINED)

    async def _end(self, life: Life, budget_s: float = STOP_S) -> None:
        """Stop what exists of a feature, after what requires it."""
        core, _ = self._of_start()
        endings = [self._endings[n] for n, o in self._lives.items() if n in self._endings and self._requires(o, life)]
        if endings:
            await asyncio.wait(endings)
        built = life.built
        if built is not None:
            await built.host.stop(budget_s)
            core.node.datagrams.unregister(channel_of(life.name))
            life.built = None

    def _requires(self, one: Life, other: Life) -> bool:
        return one.feature is not None and other.name in one.feature.requires

    async def _ended(self, life: Life) -> None:
        """Wait for the end of a stop that is under way."""
        ending = self._endings.pop(life.name, None)
        if ending is not None:
            await asyncio.wait({ending})

    async def _stop(self, life: Life, budget_s: float = STOP_S) -> None:
        if life.at(State.LOADED):
            life.to(State.STOPPED, "stopped before it was started")
        if life.state in UP:
            life.to(State.STOPPING, "it is being stopped")
            self._close(life)
            self._changed(life)
            await self._end(life, budget_s)
            life.to(State.STOPPED, "stopped")
        await self._ended(life)

    async def _stop_levels(self, lives: Iterable[Life]) -> None:
        features = {life.name: life.feature for life in lives if life.feature is not None and life.built is not None}
        waiting = levels(features)
        until = asyncio.get_running_loop().time() + STOP_S
        for left, names in zip(range(len(waiting), 0, -1), reversed(waiting), strict=True):
            share = (until - asyncio.get_running_loop().time()) / left
            async with asyncio.TaskGroup() as tasks:
                for name in reversed(names):
                    tasks.create_task(self._stop(self._lives[name], max(share, 0.1)), name=f"stop of {name}")
        for life in self._lives.values():
            await self._stop(life)

    async def _unload(self, life: Life) -> None:
        """Stop an installed feature and drop its modules; `AssemblyError` when that cannot be."""
        if life.candidate is None or life.candidate.is_builtin:
            raise AssemblyError(f"{life.name} is built in, and is loaded anew only by a restart of the daemon")
        self._refuse_dependents(life.name, "loaded anew")
        modules = loaded_modules(life.candidate)
        fresh = self._meanwhile.find(life.name)
        await self._stop(life)
        drop_modules(modules)
        if not life.at(State.STOPPED, State.DISABLED):
            life.to(State.STOPPED, "loaded anew")
        if fresh is not None:
            life.candidate, life.version = fresh, fresh.version

    # --- inside

    def _of_start(self) -> tuple[Core, asyncio.TaskGroup]:
        if self._core is None or self._group is None:
            raise RuntimeError("the assembly was not started")
        return self._core, self._group

    def _life(self, name: str) -> Life:
        life = self._lives.get(name)
        if life is None or life.candidate is None:
            found = self._meanwhile.find(name)
            if found is not None:
                state, reason = State.DISABLED, "installed while the daemon ran"
                self._lives[name] = Life(name, found.version, found.origin, found, state, reason)
                self._lives = self._by_rank()
            elif life is None:
                raise AssemblyError(f"there is no feature {name!a}; features.list names those there are")
        return self._lives[name]

    def _by_rank(self) -> dict[str, Life]:
        """The build's own in the order of its table, then the others by distribution."""
        known = [self._lives[name] for name in self._plan.known if name in self._lives]
        others = [life for life in self._lives.values() if life.name not in self._plan.known]
        others.sort(key=lambda life: (life.origin, life.name))
        return {life.name: life for life in (*known, *others)}

    def _refuse_missing(self, feature: Declared) -> None:
        missing = [required for required in feature.requires if required not in self.running()]
        if missing:
            way = (
                "enable that first" if missing[0] in self._lives else "no feature has that name: install what brings it"
            )
            raise AssemblyError(f"{feature.name} -> {missing[0]}: {feature.name} needs {missing[0]}; {way}")

    def _refuse_dependents(self, name: str, what: str) -> None:
        for other in self._dependents(name):
            raise AssemblyError(
                f"{other.name} -> {name}: {name} cannot be {what} while {other.name} runs; disable {other.name} first"
            )

    def _provided(self, key: str) -> Mapping[str, object]:
        found: dict[str, object] = {}
        for name, life in self._lives.items():
            for offered in life.feature.provides if life.feature is not None and life.at(State.RUNNING) else ():
                if offered.key.name == key and life.built is not None:
                    service = service_of(key, life.built.guard, life.built.host.plugin, offered.attribute)
                    if service is not None:
                        found[name] = service
        return found

    async def _forgotten(self, peer: NodeId) -> None:
        """Tell every plugin at the same time; a failure of one is its own."""
        async with asyncio.TaskGroup() as tasks:
            for name, life in self._lives.items():
                if life.at(State.RUNNING) and life.built is not None:
                    tasks.create_task(life.built.host.forgotten(peer), name=f"{name} is told of a forgotten peer")

    def _changed(self, life: Life) -> None:
        self._changes.publish(self.row(life.name))
