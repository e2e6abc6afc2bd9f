"""What the methods about the stored messages take and answer."""

from typing import Annotated

from pydantic import Field

from pimd.contract import MessageIdHex, NodeIdHex, Params, Result
from pimd_features.messaging.models import PAGE_LIMIT, MessageRecord
from pimd_features.messaging.retaining import MOST_DAYS

FOUND = 50
IMPORT_LINES = 1000
CURSOR_LIMIT = 200
TEXT_LIMIT = 1000


class SearchParams(Params):
    """Words that must all be in a message; each may be the beginning of one."""

    text: Annotated[str, Field(max_length=TEXT_LIMIT)]
    """Case and diacritics do not matter. Quotes and operators are text, too."""
    peer_node_id: NodeIdHex | None = None
    """Only messages with this peer."""
    before_position: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """For the next page: the position of the last one found."""
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = FOUND


class Found(Result):
    """A message with all the words."""

    message: MessageRecord
    name: str = Field(description="Of the peer, as in the list of conversations.")
    excerpt: str = Field(description="The part of the body with most of the words, on one line.")


class SearchResult(Result):
    """One page, the message that arrived last first."""

    found: list[Found]
    has_more: bool


class RetentionParams(Params):
    """Whose conversation; without `days` and `forever` nothing is changed."""

    peer_node_id: NodeIdHex
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = None
    """Delete messages that are older."""
    forever: bool = False
    """Keep all messages from now on."""


class RetentionResult(Result):
    """How long a conversation keeps messages."""

    days: int | None = Field(description="In lived time; null for all time.")
    in_words: str
    deleted_messages: int = Field(ge=0, description="Those that were older.")


class ExportParams(Params):
    """What to export, and where to go on."""

    peer_node_id: NodeIdHex | None = None
    """Only the conversation with this peer."""
    cursor: Annotated[str, Field(max_length=CURSOR_LIMIT)] | None = None
    """Of the page before."""


class ExportResult(Result):
    """Lines of the file, without their ends."""

    lines: list[str]
    cursor: str | None = Field(description="For the next page; null behind the last one.")


class ImportParams(Params):
    """The next lines of a file that was exported."""

    lines: Annotated[list[str], Field(max_length=IMPORT_LINES)]
    cursor: Annotated[str, Field(max_length=CURSOR_LIMIT)] | None = None
    """Of the lines before; null at the beginning of the file."""


class BadLine(Result):
    """A line that was not imported."""

    line: int = Field(ge=1, description="Its number in the file, from 1.")
    reason: str


class ImportResult(Result):
    """What became of the lines; the messages among them are on disk."""

    added: int = Field(ge=0)
    known: int = Field(ge=0, description="Messages that were stored before; they stay as they are.")
    bad: list[BadLine]
    cursor: str = Field(description="For the next lines.")
    complete: bool = Field(
        description="Whether the last line of the export came, so that nothing is missing at the end."
    )


class ProofParams(Params):
    """The message, as `messages.send` answered it."""

    message_id: MessageIdHex


class Proof(Result):
    """A signed receipt."""

    message_id: MessageIdHex
    peer_node_id: NodeIdHex
    time_ms: int = Field(description="The recipient's clock when it stored the message.")
    file: str = Field(description="The content of the file, as it is: no character may be changed.")
