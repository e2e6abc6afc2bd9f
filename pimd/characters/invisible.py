"""Letters that are not seen, by Unicode 15.0.0; written by scripts/invisible.py, not by hand."""

UNICODE = "15.0.0"
DEFAULT_IGNORABLE = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""First and last code points with the property Default_Ignorable_Code_Point (UAX 44)."""
NAMED_BLANKS = (0x2800, 0x3164, 0xFFA0)
"""Braille without dots, and the Hangul fillers: they have a width, and nothing on it."""
