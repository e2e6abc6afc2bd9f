"""Cooperative stopping: a tree of tokens."""

import asyncio


class CancellationToken:
    """Set once, never cleared; a child is cancelled with its parent, never the other way round.

    Called by the plugin, in any of its tasks; `is_cancelled` in threads, too. The daemon cancels `ctx.cancel` just
    before `shutdown`.

    Errors: none.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._children: list[CancellationToken] = []

    @property
    def is_cancelled(self) -> bool:
        """True from the first `cancel` on."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Cancel this token and all below it; doing so twice is no error."""
        self._event.set()
        children, self._children = self._children, []
        for child in children:
            child.cancel()

    async def cancelled(self) -> None:
        """Return once the token is cancelled."""
        await self._event.wait()

    def child(self) -> "CancellationToken":
        """Return a token below this one, already cancelled if this one is."""
        token = CancellationToken()
        if self.is_cancelled:
            token.cancel()
        else:
            self._children.append(token)
        return token
