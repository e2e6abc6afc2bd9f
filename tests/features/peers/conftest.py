"""The feature in a real assembly, beside features made up on the spot."""

from tests.assembly.conftest import assemble

__all__ = ["assemble"]
