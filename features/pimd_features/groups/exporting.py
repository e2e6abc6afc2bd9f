"""Messages of a group as lines of a file, a page at a time; hashed as those of `messages.export`."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pimd.contract import Connection
from pimd.ids import NodeId
from pimd_features.groups import models, reading
from pimd_features.groups.reading import Name

VERSION = 1
PAGE_BYTES = 512 * 1024

_PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})\.((?:[0-9a-f]{64})?)")
_NOT_EXPORTED = {"position", "state_text", "missing_parents"}


@dataclass(frozen=True)
class Place:
    """How far an export has come; what is stored after it began is not in it."""

    after: int
    until: int
    messages: int
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError unless `str` made it."""
        if (found := _PLACE.fullmatch(text)) is None:
            raise ValueError("no place in an export")
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4])

    def __str__(self) -> str:
        return f"{self.after}.{self.until}.{self.messages}.{self.digest}"


@dataclass(frozen=True)
class Exporter:
    """Whose messages, and how people are called."""

    own: NodeId
    group: bytes
    name: Name

    def page(self, connection: Connection, place: Place | None, begin: Mapping[str, object]) -> models.GroupExport:
        """Return the next lines; `begin` has the fields of the first one."""
        lines = list[str]()
        if place is None:
            last = connection.execute("SELECT coalesce(max(position), 0) FROM messages").fetchone()[0]
            place = Place(0, last, 0, "")
            lines.append(_written({"kind": "begin", "version": VERSION, "group_id": self.group.hex(), **begin})[0])
        after, messages, digest, size = place.after, place.messages, place.digest, 0
        while size < PAGE_BYTES:
            found = reading.after(connection, self.own, self.group, (after, place.until), self.name)
            for one in found:
                line, sha256 = _written({"kind": "message", **one.model_dump(mode="json", exclude=_NOT_EXPORTED)})
                after, messages, size = one.position, messages + 1, size + len(line)
                digest = hashlib.sha256(f"{digest}{sha256}".encode()).hexdigest()
                lines.append(line)
            if not found:
                lines.append(_written({"kind": "end", "messages": messages, "all_sha256": digest})[0])
                return models.GroupExport(lines=lines, cursor=None)
        return models.GroupExport(lines=lines, cursor=str(Place(after, place.until, messages, digest)))


def _written(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the line, without its end, and its hash: that of the other members with sorted keys."""
    text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({**fields, "sha256": sha256}, ensure_ascii=False, separators=(",", ":")), sha256
