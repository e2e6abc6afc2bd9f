"""The policy of dialling is tried on whole nodes."""

from tests.mesh.conftest import start_node

__all__ = ["start_node"]
