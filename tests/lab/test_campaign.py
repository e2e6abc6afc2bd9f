"""A sample of `scripts/campaign lab`, and that its judge finds what is broken on purpose."""

from typing import Any

import pytest

from pimd_features.messaging.outbox import Outbox
from pimd_features.messaging.sending import Sender
from scripts.campaign_lab import talk

MESSAGES = 25


@pytest.mark.slow  # whole daemons for an hour of virtual time
@pytest.mark.parametrize("seed", range(1001, 1005))
def test_nothing_is_lost_doubled_or_told_wrongly_over_five_hops(seed: int) -> None:
    found = talk(seed, MESSAGES)
    assert found.problems == []
    assert found.counts["accepted"] > MESSAGES // 2
    assert found.counts["kill"]
    assert found.counts["told"]


@pytest.mark.slow
def test_a_state_that_is_not_true_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    note = Sender.note

    async def lie(self: Any, peer: Any, ids: Any, status: Any) -> None:
        await note(self, peer, ids, "delivered" if status == "sent" else status)

    monkeypatch.setattr(Sender, "note", lie)
    assert any("its recipient lacks it" in problem for problem in talk(1, MESSAGES).problems)


@pytest.mark.slow
def test_a_message_that_is_not_repeated_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "_set_timer", lambda *_: None)
    monkeypatch.setattr(Outbox, "appeared", lambda *_, **__: False)
    assert any(" is still " in problem for problem in talk(1, MESSAGES).problems)
