"""The recipient's end of mailboxes: this node's own ones get its bundle, and hand over what they kept."""

from pimd.contract import MESH, DatabaseError, PluginContext, PluginPayload
from pimd.ids import NodeId
from pimd_features.messaging.keying import Keying
from pimd_features.messaging.models import MessagingSettings
from pimd_features.messaging.receiving import Receiver
from pimd_features.messaging.sessions.message import Msg2
from pimd_features.messaging.wire import QUESTION_KIND, Answer, Letter, Sort

ANNOUNCE_S = 60.0
"""A mailbox that has not answered gets the bundle again so often."""
NOT_SERVED_S = 600.0
"""One that does not serve this node is asked again so often: its owner may let it."""


class Mail:
    """Takes `messaging.mail` of this node's own mailboxes, and of those that its older bundles name."""

    def __init__(self, ctx: PluginContext[MessagingSettings], keying: Keying, receiver: Receiver) -> None:
        self._ctx = ctx
        self._keying = keying
        self._receiver = receiver
        self._mesh = ctx.services[MESH]
        self._former: frozenset[NodeId] = frozenset()
        self._answered: dict[NodeId, bytes] = {}
        """Mailboxes, and the id of the bundle that they answered for."""
        self._asked_anew: dict[NodeId, float] = {}
        """When those that do not serve this node are asked again."""

    async def load(self) -> None:
        """Read which mailboxes older bundles name; `DatabaseError`."""
        self._former = await self._keying.former_mailboxes()

    def reached(self, node: NodeId) -> None:
        """Give the bundle at once to a mailbox that can be reached now, so that it hands over what it keeps."""
        if node in self._keying.mailboxes:
            self._answered.pop(node, None)
            self._ctx.spawn(f"bundle for mailbox {node.short}", self.announce())

    def forget_answers(self) -> None:
        """Ask all mailboxes anew: they may have lost what they had, or serve this node by now."""
        self._answered.clear()

    async def announce(self) -> None:
        """Give the lasting bundle to all own mailboxes that are reached and have not answered for it."""
        lacking = [one for one in self._keying.mailboxes if one in self._mesh.destinations()]
        if not lacking:
            return
        try:
            lasting = await self._keying.lasting()
        except DatabaseError as error:
            self._ctx.log.error("the mailboxes got no bundle: %s", error)
            return
        now = self._ctx.clock.now()
        for mailbox in lacking:
            is_due = self._asked_anew.get(mailbox, now + 1) <= now
            if self._answered.get(mailbox) != lasting.id or is_due:
                await self._ctx.control.send_routed(mailbox, PluginPayload(QUESTION_KIND, lasting.raw))

    async def take_answer(self, mailbox: NodeId, answer: Answer) -> None:
        """Note whether a mailbox serves this node."""
        if mailbox not in self._keying.mailboxes:
            return
        if answer is Answer.NOT_SERVED and mailbox not in self._answered:
            self._ctx.log.warning("%s keeps no messages for this node; its owner can let it (serve)", mailbox)
        self._answered[mailbox] = (await self._keying.lasting()).id
        self._asked_anew.pop(mailbox, None)
        if answer is Answer.NOT_SERVED:
            self._asked_anew[mailbox] = self._ctx.clock.now() + NOT_SERVED_S

    async def take(self, mailbox: NodeId, body: bytes) -> None:
        """Queue what a mailbox hands over; the sender is what the mailbox says, and only what opens counts."""
        if mailbox not in self._keying.mailboxes and mailbox not in self._former:
            return
        try:
            letter = Letter.decode(body)
        except ValueError as error:
            self._ctx.log.debug("a letter of the mailbox %s was dropped: %s", mailbox.abbreviated, error)
            return
        key = (letter.other, letter.id)
        if letter.sort == Sort.RESET:
            await self._keying.take_reset(letter.other, letter.body)
            await self._receiver.answer(mailbox, [key], later=False)
            return
        try:
            msg = _message(letter)
        except ValueError as error:
            self._ctx.log.debug("a letter of %s was dropped: %s", letter.other.abbreviated, error)
            await self._receiver.answer(mailbox, [key], later=False)
            return
        await self._receiver.take_letter(mailbox, letter.other, msg)


def _message(letter: Letter) -> Msg2:
    msg = Msg2.decode(letter.body)
    if letter.sort != Sort.MESSAGE or msg.message_id != letter.id:
        raise ValueError("a letter holds no message, or another one than it says")
    return msg
