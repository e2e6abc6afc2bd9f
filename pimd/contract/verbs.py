"""Terminal commands that a feature brings to `pim`.

Called by nobody: the daemon reads these values when the feature is assembled, and `pim` what `rpc.discover` makes of them.

Errors: a command that does not fit its method makes the feature `failed`; the reason says what to write.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Arg:
    """What a user writes behind the words of a command; it fills one field of the method's params.

    Its type, its default and whether it is needed are the field's. One without `option` stands at its place: first those that
    are needed, then those with a default, at the end a list. A field that is a bool needs an option, which takes no value
    and turns the default round.
    """

    field: str
    """The name of the field in JSON."""
    help: str = ""
    option: str = ""
    """`--word`; empty for an argument at its place."""
    kind: Literal["value", "peer", "path"] = "value"
    """`peer`: whatever `pim` takes for a peer, a name, a label or the start of an id; the method gets the id.
    `path`: a file of the user's, which the method gets as an absolute path."""


@dataclass(frozen=True)
class Line:
    """The answer as one line.

    `{member}` is replaced by a member of the answer, `{peer.name}` by one of a member. A format may follow: `{done:size}` of
    bytes, `:span` of seconds, `:moment` of Unix milliseconds, `:name` of a name that a stranger chose, which is quoted.
    """

    text: str


@dataclass(frozen=True)
class Pairs:
    """The answer as lines of a name and a value; without any all members of the answer, under their own names."""

    pairs: tuple[tuple[str, str], ...] = ()
    """Name, and a text as in `Line`."""


@dataclass(frozen=True)
class Table:
    """The answer as rows under heads; a cell is cut at 200 characters."""

    columns: tuple[tuple[str, str], ...]
    """Head, and a text as in `Line` about the row."""
    rows: str = ""
    """The member that is the array of rows; empty where the answer itself is."""
    empty: str = "nothing to show"
    """Printed without any row."""


@dataclass(frozen=True)
class Verb:
    """`pim WORDS ARGS` calls a method of the feature and shows its answer; `--json` prints the answer as it is."""

    words: tuple[str, ...]
    """One to three words, such as `("file", "send")`. `pim` has its own first words, which win, as do earlier features."""
    summary: str
    """One line for `pim help`."""
    method: str
    args: tuple[Arg, ...] = ()
    show: Line | Pairs | Table = Pairs()
