"""What `[features.mailbox]` sets, and what `mailbox.status` answers."""

from typing import Literal

from pydantic import Field

from pimd.contract import FeatureSettings, NodeIdHex, Result

SHOWN = 100


class MailboxSettings(FeatureSettings):
    """Whom this mailbox serves; a wrong or unknown key stops the start of the daemon."""

    serve: Literal["contacts"] | list[NodeIdHex] = "contacts"


class KeptFor(Result):
    """What is kept for one node."""

    node_id: NodeIdHex
    name: str = Field(description="The label given here, else what the node calls itself, else the short id.")
    messages: int = Field(ge=0)
    bytes: int = Field(ge=0)
    oldest_s: int = Field(ge=0, description="Age of the oldest message, in lived time; at 28 days it is deleted.")
    is_reached: bool = Field(description="Whether there is a route now.")


class MailboxStatus(Result):
    """What this mailbox keeps; it can read nothing of it."""

    serves: Literal["contacts", "listed"]
    messages: int = Field(ge=0)
    bytes: int = Field(ge=0)
    messages_limit: int
    bytes_limit: int
    bundles: int = Field(ge=0, description="Nodes that left a bundle here, so that others can write to them first.")
    refused: int = Field(
        ge=0, description="Messages since the start for which there was no room, or no recipient served here."
    )
    recipients: list[KeptFor] = Field(max_length=SHOWN, description="Those for whom the most is kept.")
