"""Conversations over a network and disks that a seed makes bad, and a judge who knows what each user wrote and saw."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from pimd.ids import MessageId, NodeId
from pimd_features.messaging.sessions.account import Moment
from tests.features.messaging.sessions.endpoint import Endpoint, Killed


@dataclass(frozen=True)
class Trouble:
    """How bad it is, as probabilities of each payload, commit and round."""

    loss: float = 0.0
    double: float = 0.0
    delay: float = 0.0
    kill: float = 0.0
    restore: float = 0.0
    clone: bool = False


@dataclass
class World:
    """Nodes, some of which exist twice, and what is on its way between them."""

    seed: int
    directory: Path
    trouble: Trouble
    names: tuple[str, ...] = ("alice", "bob")
    on_way: list[tuple[NodeId, NodeId, str, bytes]] = field(default_factory=list)
    late: list[tuple[NodeId, NodeId, str, bytes]] = field(default_factory=list)
    kills: int = 0
    restores: int = 0
    is_calm: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.ends: dict[NodeId, list[Endpoint]] = {}
        self.backups: dict[Endpoint, Path] = {}
        self.written: dict[str, Endpoint] = {}
        """Each text that a user wrote, and where it still is if nobody has it."""
        self.lost_by_restore: set[str] = set()
        self.moment = Moment(0, 1_800_000_000_000)
        for name in self.names:
            self._add(name, name)

    def _add(self, name: str, file: str) -> Endpoint:
        path = self.directory / f"{self.seed}-{file}.db"
        endpoint = Endpoint(name.encode(), path, lambda dst, kind, body: self._send(endpoint, dst, kind, body))
        endpoint.moment = self.moment
        endpoint.dies = self._dies
        self.ends.setdefault(endpoint.id, []).append(endpoint)
        return endpoint

    @property
    def all(self) -> list[Endpoint]:
        return [end for ends in self.ends.values() for end in ends]

    def _dies(self) -> bool:
        return not self.is_calm and self.random.random() < self.trouble.kill

    def _send(self, src: Endpoint, dst: NodeId, kind: str, body: bytes) -> None:
        if not self.is_calm and self.random.random() < self.trouble.loss:
            return
        copies = 1 + (not self.is_calm and self.random.random() < self.trouble.double)
        for _ in range(copies):
            is_late = not self.is_calm and self.random.random() < self.trouble.delay
            (self.late if is_late else self.on_way).append((src.id, dst, kind, body))

    def do(self, endpoint: Endpoint, what: "object", *args: object) -> None:
        """Let an endpoint do something; it may die of it, and starts again."""
        try:
            what(*args)  # type: ignore[operator]
        except Killed:
            self.kills += 1
            endpoint.kill()

    def deliver(self) -> None:
        now, self.on_way = self.on_way, []
        self.random.shuffle(now)
        for src, dst, kind, body in now:
            endpoint = self.random.choice(self.ends[dst])
            self.do(endpoint, endpoint.take, src, kind, body)

    def round(self, ms: int) -> None:
        """Send, deliver, answer; then time passes."""
        for endpoint in self.all:
            self.do(endpoint, endpoint.pump)
        for _ in range(4):
            self.deliver()
        if self.random.random() < 0.3 or self.is_calm:
            self.on_way += self.late
            self.late = []
        self.moment = Moment(self.moment.lived_ms + ms, self.moment.unix_ms + ms)
        for endpoint in self.all:
            endpoint.moment = self.moment

    def chat(self, number: int) -> None:
        """One user writes to another."""
        author = self.random.choice(self.all)
        to = self.random.choice([peer for peer in self.ends if peer != author.id])
        text = f"{author.id.hex()} {to.hex()} {number}"
        id_ = MessageId(self.random.randbytes(16))
        self.written[text] = author  # a user who dies at this commit does not know; the judge looks
        self.do(author, author.write, to, id_, text)
        if not _holds(author, text):
            del self.written[text]

    def make_trouble(self) -> None:
        """Backups are made, and put back; a node begins to exist twice."""
        for endpoint in self.all:
            if self.random.random() < self.trouble.restore:
                path = endpoint.path.with_suffix(".bak")
                if endpoint in self.backups and self.random.random() < 0.5:
                    self._restore(endpoint, path)
                else:
                    path.unlink(missing_ok=True)
                    endpoint.backup(path)
                    self.backups[endpoint] = path
        if self.trouble.clone and len(self.all) == len(self.names) and self.random.random() < 0.1:
            self._clone(self.random.choice(self.all))

    def _restore(self, endpoint: Endpoint, path: Path) -> None:
        self.restores += 1
        before = {text for _, text in endpoint.shown()}
        endpoint.restore(path)
        self.lost_by_restore |= before - {text for _, text in endpoint.shown()}
        for text, author in list(self.written.items()):
            if author is endpoint and not _holds(endpoint, text):
                self.lost_by_restore.add(text)

    def _clone(self, endpoint: Endpoint) -> None:
        path = endpoint.path.with_suffix(".clone")
        endpoint.backup(path)
        name = next(name for name in self.names if name.encode().ljust(32, b"\0") == endpoint.seed)
        twin = self._add(name, f"{name}-twin")
        twin.restore(path)

    # --- the judge

    def judge(self) -> Counter[str]:
        """Count what is lost, shown twice in one place, or shown to or as from somebody else."""
        faults: Counter[str] = Counter()
        seen: dict[str, int] = defaultdict(int)
        for endpoint in self.all:
            here = Counter(endpoint.shown())
            faults["twice"] += sum(count - 1 for count in here.values())
            for peer, text in here:
                seen[text] += 1
                src, dst, _ = text.split()
                faults["misplaced"] += (src, dst) != (peer.hex(), endpoint.id.hex()) or text not in self.written
        for text in self.written:
            faults["lost"] += not seen[text] and text not in self.lost_by_restore
        faults["waiting"] = sum(endpoint.waiting() for endpoint in self.all)
        return +faults

    def close(self) -> None:
        for endpoint in self.all:
            endpoint.stop()


def _holds(endpoint: Endpoint, text: str) -> bool:
    return bool(endpoint.connection.execute("SELECT 1 FROM written WHERE body = ?", (text,)).fetchone())


def run(world: World, rounds: int = 25, calm: int = 60) -> Counter[str]:
    """Chat amid trouble, then wait until all is quiet; return what the judge says."""
    for number in range(rounds):
        for more in range(world.random.randrange(4)):
            world.chat(10 * number + more)
        world.make_trouble()
        world.round(world.random.choice((100, 5_000, 70_000)))
    world.is_calm = True
    for _ in range(calm):
        if not any(endpoint.waiting() for endpoint in world.all) and not world.late:
            break
        world.round(300_000)
    faults = world.judge()
    world.close()
    return faults


__all__ = ["Trouble", "World", "run"]
