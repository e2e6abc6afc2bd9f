"""What the daemon and `pim` agree on about terminal commands: words that `pim` has, and what a feature may add."""

import re

COMMANDS = frozenset({
    "accept", "add", "call", "config", "discover", "doctor", "export", "feature", "features", "forget", "help", "identity",
    "import", "inbox", "mesh", "pair", "peers", "receipt", "remove", "routes", "send", "status", "token", "trace", "watch",
})  # fmt: skip
"""First words of the commands of `pim` itself; no feature can have them."""
OPTIONS = frozenset({"--data-dir", "--help", "--json", "--socket", "--token-file", "--url", "--version"})
"""Options of every command."""

WORD = re.compile(r"[a-z][a-z0-9-]{0,31}")
OPTION = re.compile(r"--[a-z][a-z0-9-]{0,31}")
FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?::([a-z]+))?\}")
"""A member of the answer in a text that shows it, `{peer.name:name}`: its path, and the format."""
FORMATS = frozenset({"size", "span", "moment", "name"})
"""Bytes; seconds; Unix milliseconds; what a node calls itself."""

VERBS_OF_FEATURE = 64
ARGS_OF_VERB = 16
WORDS_OF_VERB = 3
CELLS = 16
"""Columns of a table, or lines of pairs."""
TEXT = 200
"""Characters of a text that a feature brings for the terminal."""
