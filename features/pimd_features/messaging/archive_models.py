"""What the methods about the stored messages take and answer."""

from typing import Annotated

from pydantic import Field

from pimd.contract import NodeIdHex, Params, Result
from pimd_features.messaging.models import PAGE_LIMIT, MessageRecord
from pimd_features.messaging.retaining import MOST_DAYS

FOUND = 50
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
