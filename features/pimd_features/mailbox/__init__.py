"""A member that keeps sealed messages for others, who are away, until they take them."""

from pimd.contract import KEYSTORE, MESH, Feature, Table, Verb
from pimd_features.mailbox.models import MailboxSettings
from pimd_features.mailbox.plugin import MailboxPlugin

FEATURE = Feature(
    name="mailbox",
    summary="Keeps sealed messages for members that are away.",
    namespaces=("mailbox",),
    plugin=MailboxPlugin,
    settings=MailboxSettings,
    verbs=(
        Verb(
            ("mailbox",),
            "show for whom this mailbox keeps how much",
            "mailbox.status",
            show=Table(
                (
                    ("FOR", "{name:name}"),
                    ("MESSAGES", "{messages}"),
                    ("SIZE", "{bytes:size}"),
                    ("OLDEST", "{oldest_s:span}"),
                    ("REACHED", "{is_reached}"),
                ),
                rows="recipients",
                empty="nothing is kept here for anybody",
            ),
        ),
    ),
    uses=(MESH, KEYSTORE),
    default_enabled=False,
)
