"""The configuration as types: both generations of the file, the environment, and their errors."""

from pimd.settings.load import Loaded, Problem, SettingsError, disabled_features, load, old_tables
from pimd.settings.model import Settings

__all__ = ["Loaded", "Problem", "Settings", "SettingsError", "disabled_features", "load", "old_tables"]
