"""Asks neighbours whether they are there, when the machine slept or its network changed."""

from collections.abc import Iterable
from functools import partial

from pimd.clock import Clock
from pimd.mesh.counters import Counters
from pimd.mesh.peer_link import PeerLink

ANSWER_S = 3.0
"""Seconds until a link ends whose peer does not answer; 15 s of silence end it otherwise."""


class LinkCheck:
    """Ends links that do not answer. What waited in a socket while the machine slept is no answer: only the Pong is."""

    def __init__(self, clock: Clock, counts: Counters) -> None:
        self._clock = clock
        self._counts = counts

    def ask(self, links: Iterable[PeerLink]) -> None:
        """Send a Ping on each, and look for its Pong after 3 s."""
        decide_at = self._clock.now() + ANSWER_S
        for link in links:
            self._counts.count("links_checked")
            self._clock.call_at(decide_at, partial(self._decide, link, link.ask()))

    def _decide(self, link: PeerLink, nonce: int) -> None:
        if link.is_up and link.awaits(nonce):
            self._counts.count("links_without_answer")
            link.give_up(f"no answer within {ANSWER_S:g} s")
