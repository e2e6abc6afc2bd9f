"""The method that tells how messages to and from a peer are encrypted."""

from pimd.contract import StorageError, rpc
from pimd.ids import NodeId
from pimd_features.messaging import models
from pimd_features.messaging.archive import Archive
from pimd_features.messaging.errors import storage
from pimd_features.messaging.keying import Keying
from pimd_features.messaging.sessions.looking import Both, Look


class SessionMethods:
    """The part of the plugin that answers it."""

    _archive: Archive
    _keying: Keying

    @rpc("messages.session", errors=(StorageError,), reads=True)
    async def session(self, params: models.SessionParams) -> models.Session:
        """Tell how messages to and from a peer are encrypted now.

        `speaks no sessions` is a peer that left several questions for a bundle unanswered; what waits for it stays pending.
        """
        peer, now_ms = params.peer_node_id, self._keying.moment().lived_ms
        with storage():
            found = await self._keying.look(peer)
        sending, receiving = _direction(found.sending, now_ms), _direction(found.receiving, now_ms)
        return models.Session(
            peer_node_id=peer,
            state=self._state(peer, found),
            sending=sending,
            receiving=receiving,
            sending_text=models.in_words(sending),
            receiving_text=models.in_words(receiving),
            kept=found.kept,
            resets=found.renewals,
            account_changes=found.account_changes,
            mailboxes=list(found.mailboxes),
            mailboxes_text=", ".join(self._archive.names.shown(one) for one in found.mailboxes) or "none",
        )

    def _state(self, peer: NodeId, found: Both) -> models.SessionState:
        if self._keying.speaks_no_sessions(peer):
            return "speaks no sessions"
        if self._keying.is_lacking(peer) or (found.sending is None and not found.has_bundle):
            return "waits for a bundle"
        return "in session" if found.sending is not None else "begins with the next message"


def _direction(found: Look | None, now_ms: int) -> models.DirectionSession | None:
    if found is None:
        return None
    age_s = max(0, now_ms - found.begun_lived_ms) // 1000
    return models.DirectionSession(age_s=age_s, messages=found.messages, one_time=found.one_time)
