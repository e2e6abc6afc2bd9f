"""Two users write to each other over five hops in the lab, while everything between and at them fails.

One relay loses 30 % of what it relays. Daemons are killed, cables cut, the mesh divided, and wall clocks set by up to a month,
forwards and back. The judge holds what each user wrote and saw, and knows nothing of the code.
"""

import itertools
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pimd.contract import RpcError
from pimd.lab.daemon import DaemonDied, LabDaemon
from pimd.lab.lab import Lab, NotInTime
from pimd.lab.run import run

HOPS = 5
MONTH_MS = 30 * 24 * 3600 * 1000
BETWEEN_S = (0.0, 8.0)
"""From one message, or trouble, to the next."""
ON_ITS_WAY_S = (0.02, 0.3)
DOWN_S = (0.1, 60.0)
DELIVERED_S = 4000.0
"""So long after everything was mended all must be delivered: a retry waits up to 10 minutes."""
DONE = ("delivered", "read")


@dataclass
class User:
    """One end, and what its user knows."""

    daemon: LabDaemon
    wrote: list[str] = field(default_factory=list)
    """Bodies that were accepted, in that order."""
    unsure: set[str] = field(default_factory=set)
    """Bodies whose call was not answered, since the daemon was killed."""


@dataclass
class Talk:
    """One run, and what was wrong with it."""

    seed: int
    messages: int
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def play(self) -> "Talk":
        """Run it; the same seed does the same."""
        run(self._run, seed=self.seed)
        return self

    async def _run(self) -> None:
        self.lab = lab = Lab(self.seed, log_level="error")
        self.rng = lab.random
        async with lab:
            line = [lab.add_daemon() for _ in range(HOPS - 2)]
            line[2:2] = [lab.add_liar("lose")]
            line[1:1] = [lab.add_daemon()]
            line.append(lab.add_daemon())
            self.line = line
            for one, other in itertools.pairwise(line):
                lab.connect(one, other, (self.rng.uniform(0.001, 0.05), self.rng.uniform(0.001, 0.05)), dials="both")
            self.users = User(line[0]), User(line[-1])
            await lab.start()
            await lab.converged(60)
            await self._become_contacts()
            for number in range(self.messages):
                await lab.sleep(self.rng.uniform(*BETWEEN_S))
                if self.rng.random() < 0.4:  # noqa: PLR2004 - two troubles for three messages
                    await self._trouble()
                await self._write(f"message {number}")
                await lab.sleep(self.rng.uniform(*ON_ITS_WAY_S))
                await self._judge_states("at work")
            await self._end()

    async def _become_contacts(self) -> None:
        for user, other in self._ways():
            await user.daemon.call("peers.label", {"node_id": str(other.daemon.id), "label": "friend"})

    def _ways(self) -> list[tuple[User, User]]:
        one, other = self.users
        return [(one, other), (other, one)]

    async def _write(self, body: str) -> None:
        author, reader = self.rng.choice(self._ways())
        params = {"peer_node_id": str(reader.daemon.id), "body": body}
        try:
            await author.daemon.call("messages.send", params)
        except DaemonDied:
            author.unsure.add(body)
        else:
            author.wrote.append(body)
            self.counts["accepted"] += 1

    # --- what fails

    async def _trouble(self) -> None:
        what = self.rng.choice(("kill", "kill", "cut", "divide", "clock"))
        self.counts[what] += 1
        victim = self.rng.choice(self.line)
        match what:
            case "kill" if victim.is_up:
                victim.kill()
                self._later(lambda: self._back(victim))
            case "cut":
                number = self.rng.randrange(HOPS)
                one, other = self.line[number], self.line[number + 1]
                self.lab.cut(one, other, (self.rng.choice((0.0, None)), self.rng.uniform(0, 2.5)))
                self._later(lambda: self._restored(one, other))
            case "divide":
                self.lab.partition(self.line[: self.rng.randrange(1, HOPS + 1)], (None, None))
                self._later(self._healed)
            case "clock":
                victim.set_clock(self.rng.randint(-MONTH_MS, MONTH_MS))

    def _later(self, mend: Any) -> None:
        async def wait() -> None:
            await self.lab.sleep(self.rng.uniform(*DOWN_S))
            await mend()

        self.lab.group.create_task(wait())

    async def _back(self, daemon: LabDaemon) -> None:
        if not daemon.is_up:
            await daemon.start()
            if daemon in (user.daemon for user in self.users):
                await self._judge_states("after a restart")

    async def _restored(self, one: LabDaemon, other: LabDaemon) -> None:
        self.lab.restore(one, other)

    async def _healed(self) -> None:
        self.lab.heal()

    # --- what must hold

    async def _page(self, user: User, other: User) -> list[dict[str, Any]]:
        params = {"peer_node_id": str(other.daemon.id), "limit": 500}
        found = await user.daemon.call("messages.history", params)
        return list(reversed(found["messages"]))

    async def _judge_states(self, when: str) -> None:
        """No state says delivered or read of what its recipient does not have."""
        for author, reader in self._ways():
            try:
                sent = await self._page(author, reader)
                there = {one["id"] for one in await self._page(reader, author) if one["direction"] == "received"}
            except DaemonDied:
                continue
            for one in sent:
                self.counts["states"] += 1
                if one["direction"] == "sent" and one["status"] in DONE and one["id"] not in there:
                    self.problems.append(f"{when} {one['body']!r} is {one['status']}, and its recipient lacks it")
                elif one["status"] == "failed":
                    self.problems.append(f"{when} {one['body']!r} failed: {one.get('failure_reason')}")

    async def _end(self) -> None:
        await self.lab.sleep(DOWN_S[1])
        self.lab.heal()
        for daemon in self.line:
            if not daemon.is_up:
                await daemon.start()
        ends = self.lab.now + DELIVERED_S
        while (waiting := await self._waiting()) and self.lab.now < ends:
            await self.lab.sleep(5)
        self.problems += [f"{body!r} is still {status}" for body, status in waiting]
        await self._judge_states("in the end")
        for author, reader in self._ways():
            seen = [one["body"] for one in await self._page(reader, author) if one["direction"] == "received"]
            self._compare(author, seen)
        self._told()
        self.problems += self.lab.crashes

    async def _waiting(self) -> list[tuple[str, str]]:
        pages = [await self._page(*way) for way in self._ways()]
        return [(one["body"], one["status"]) for page in pages for one in page if one["status"] in ("pending", "sent")]

    def _compare(self, author: User, seen: list[str]) -> None:
        for body in author.wrote:
            if seen.count(body) != 1:
                self.problems.append(f"{body!r} was shown {seen.count(body)} times")
        for body in set(seen) - set(author.wrote) - author.unsure:
            self.problems.append(f"{body!r} was shown, and nobody wrote it")

    def _told(self) -> None:
        """No message is told twice, over all restarts."""
        for user in self.users:
            ids = [
                e["message"]["id"] for e in user.daemon.published("messages.event") if e["kind"] == "message_received"
            ]
            self.counts["told"] += len(ids)
            self.problems += [f"{id_} was told {n} times" for id_, n in Counter(ids).items() if n > 1]


def talk(seed: int, messages: int) -> Talk:
    """Play one seed; an error of the lab is a problem, too."""
    made = Talk(seed, messages)
    try:
        return made.play()
    except (NotInTime, DaemonDied, RpcError) as error:
        made.problems.append(str(error))
        return made


def played(seeds: Sequence[int], messages: int) -> int:
    """Play seeds in two processes, print problems as they come and the sums; return the exit code."""
    counts, bad = Counter[str](), 0
    with ProcessPoolExecutor(2) as pool:
        for number, one in enumerate(pool.map(partial(found, messages=messages), seeds), 1):
            counts.update(one[1])
            bad += bool(one[2])
            for problem in one[2]:
                print(f"seed {one[0]}: {problem}", flush=True)
            if number % 50 == 0:
                print(f"{number} of {len(seeds)} played", file=sys.stderr, flush=True)
    told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{len(seeds)} seeds, {bad} with a problem: {told}")
    return 1 if bad else 0


def found(seed: int, messages: int) -> tuple[int, Counter[str], list[str]]:
    """What a seed did, and what was wrong."""
    one = talk(seed, messages)
    return seed, one.counts, one.problems
