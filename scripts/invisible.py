"""Writes pimd/characters/invisible.py from DerivedCoreProperties.txt of the Unicode Character Database.

Python's `unicodedata` has no such property. Debian ships the file: apt-get install unicode-data, then
python scripts/invisible.py /usr/share/unicode/DerivedCoreProperties.txt
"""

import re
import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "pimd" / "characters" / "invisible.py"
HEAD = '''"""Letters that are not seen, by Unicode {version}; written by scripts/invisible.py, not by hand."""

UNICODE = "{version}"
DEFAULT_IGNORABLE = (
{ranges}
)
"""First and last code points with the property Default_Ignorable_Code_Point (UAX 44)."""
NAMED_BLANKS = (0x2800, 0x3164, 0xFFA0)
"""Braille without dots, and the Hangul fillers: they have a width, and nothing on it."""
'''
LINE = re.compile(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*; Default_Ignorable_Code_Point ")


def ranges(text: str) -> list[tuple[int, int]]:
    """Return first and last of each range, neighbours joined."""
    joined: list[tuple[int, int]] = []
    for first, last in LINE.findall(text):
        start, end = int(first, 16), int(last or first, 16)
        if joined and joined[-1][1] + 1 == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def main() -> None:
    """Read the file that the command line names."""
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    version = text.splitlines()[0].removeprefix("# DerivedCoreProperties-").removesuffix(".txt")
    lines = "\n".join(f"    (0x{start:04X}, 0x{end:04X})," for start, end in ranges(text))
    TARGET.write_text(HEAD.format(version=version, ranges=lines))


if __name__ == "__main__":
    main()
