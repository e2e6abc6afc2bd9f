"""What was read and not parsed: big messages are read a few at a time, while the sockets of the others wait."""

from collections.abc import Callable

from pimd.limits import Bites
from pimd.rpc.limits import BIG_MESSAGES, OWN_BYTES


class BigMessages:
    """The places for messages of more than 64 KiB, given in the order of asking."""

    def __init__(self, bites: Bites) -> None:
        self._bites = bites
        self._taken: set[Unparsed] = set()
        self._waiting: dict[Unparsed, None] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def is_taken_by(self, one: "Unparsed") -> bool:
        """Whether a connection has a place."""
        return one in self._taken

    def is_waited_for_by(self, one: "Unparsed") -> bool:
        """Whether a connection waits for a place."""
        return one in self._waiting

    def take(self, one: "Unparsed") -> bool:
        """Take a place, or wait for one; True for who has it."""
        if one in self._taken:
            return True
        if len(self._taken) < BIG_MESSAGES.value and not self._waiting:
            self._taken.add(one)
            return True
        if one not in self._waiting:
            self._bites.count(BIG_MESSAGES)
            self._waiting[one] = None
        return False

    def leave(self, one: "Unparsed") -> bool:
        """Release the place or stop waiting; True for who waited."""
        waited = one in self._waiting
        self._waiting.pop(one, None)
        self._taken.discard(one)
        while self._waiting and len(self._taken) < BIG_MESSAGES.value:
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._taken.add(following)
            following.go_on()
        return waited


class Unparsed:
    """The bytes of one connection that were read and not parsed; it has or awaits a place while they are more than 64 KiB."""

    def __init__(self, places: BigMessages, go_on: Callable[[], None]) -> None:
        self.held = 0
        self.go_on = go_on
        """Called when a place was given; it does not read anything at once."""
        self._places = places

    @property
    def has_place(self) -> bool:
        """Whether others may wait for this connection."""
        return self._places.is_taken_by(self)

    @property
    def is_waiting(self) -> bool:
        """Whether the connection must not be read."""
        return self._places.is_waited_for_by(self)

    def take(self, size: int) -> None:
        """Count bytes that were read."""
        self.held += size

    def may_go_on(self) -> bool:
        """Ask for a place if one is needed; False when nothing may be read until `go_on` is called."""
        return self.held <= OWN_BYTES or self._places.take(self)

    def give_back(self, size: int) -> None:
        """Release bytes that were parsed or dropped, at most all that are held."""
        self.held = max(0, self.held - size)
        if self.held <= OWN_BYTES and self._places.leave(self):
            self.go_on()

    def close(self) -> None:
        """Release everything."""
        self.held = 0
        self._places.leave(self)
