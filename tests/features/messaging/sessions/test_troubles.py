"""No message is lost, shown twice or misplaced, whatever happens to network, processes and disks."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pimd.ids import NodeId
from pimd_features.messaging.sessions import kept, sending
from pimd_features.messaging.sessions.message import Msg2
from pimd_features.messaging.sessions.receiving import Outcome
from pimd_features.messaging.wire import ACKS_KIND, AckKind, Acks
from tests.features.messaging.sessions.endpoint import Endpoint
from tests.features.messaging.sessions.troubles import Trouble, World, run
from tests.repeats import one_in

TROUBLES = {
    "none": Trouble(),
    "network": Trouble(loss=0.3, double=0.2, delay=0.2),
    "kills": Trouble(loss=0.2, double=0.2, delay=0.2, kill=0.05),
    "backups": Trouble(loss=0.1, double=0.1, delay=0.1, kill=0.02, restore=0.1),
    "clones": Trouble(loss=0.1, double=0.1, delay=0.1, clone=True),
    "all": Trouble(loss=0.2, double=0.2, delay=0.2, kill=0.05, restore=0.05, clone=True),
}
SEEDS = int(os.environ.get("PIMD_SESSION_SEEDS", "30"))
"""30 when somebody runs the slow tests, 60 in .ci/run, and as many as wanted by hand."""
NAMES = (("alice", "bob"), ("alice", "bob", "carol"))


def faults(seeds: range, directory: Path, troubles: list[Trouble]) -> Counter[str]:
    """Run seeds with troubles by turns; return all faults, and how much there was of what."""
    found: Counter[str] = Counter()
    for seed in seeds:
        world = World(seed, directory, troubles[seed % len(troubles)], NAMES[seed // len(troubles) % 2])
        found.update(run(world))
    return found


@pytest.mark.parametrize("trouble", one_in(2, list(TROUBLES)))
def test_nothing_is_lost_doubled_or_misplaced(trouble: str, tmp_path: Path) -> None:
    assert faults(range(6), tmp_path, [TROUBLES[trouble]]) == Counter()


@pytest.mark.slow
@pytest.mark.timeout(0)  # as many as PIMD_SESSION_SEEDS says
def test_nothing_is_lost_doubled_or_misplaced_over_many_seeds(tmp_path: Path) -> None:
    assert faults(range(1000, 1000 + SEEDS), tmp_path, list(TROUBLES.values())) == Counter()


@pytest.mark.slow
def test_the_troubles_do_happen(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(12):
        world = World(seed, tmp_path, TROUBLES["all"])
        assert run(world) == Counter()
        for endpoint in world.all:
            seen.update(endpoint.seen)
        seen.update(kills=world.kills, restores=world.restores, twins=len(world.all) - 2)
    few = {
        name: seen[name] for name in ("OPENED", "KNOWN", "LOST", "reset taken", "gave up", "kills", "restores", "twins")
    }
    assert all(count >= 5 for count in few.values()), few


Break = Callable[[pytest.MonkeyPatch], None]


def _forget_ids(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kept, "is_known", lambda *_: False)
    patch.setattr(kept, "note_id", lambda *_, **__: None)


def _no_way_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "renew", lambda *_: False)


def _ack_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    take = Endpoint.take_messages

    def early(self: Endpoint, src: NodeId, msgs: Sequence[Msg2]) -> list[Outcome]:
        self.send(src, ACKS_KIND, Acks(AckKind.DELIVERED, tuple(msg.message_id for msg in msgs)).encode())
        return take(self, src, msgs)

    patch.setattr(Endpoint, "take_messages", early)


def _others_bundles(patch: pytest.MonkeyPatch) -> None:
    """A session to a bundle that its owner has forgotten is never given up."""
    patch.setattr(sending, "forget_bundles", lambda *_: None)
    patch.setattr(sending, "_pause_is_over", lambda *_: False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "fault"),
    [
        (_forget_ids, "twice"),
        (_no_way_back, "waiting"),
        (_ack_before_the_commit, "lost"),
        (_others_bundles, "waiting"),
    ],
)
def test_the_judge_sees_what_is_broken(
    mutant: Break, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert fault in faults(range(8), tmp_path, [TROUBLES["all"]])
