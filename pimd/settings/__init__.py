"""The configuration as types: both generations of the file, the environment, and what is wrong with either."""

from pimd.settings.load import Loaded, Problem, SettingsError, disabled_features, load
from pimd.settings.model import Settings
from pimd.settings.sections import split_address

__all__ = ["Loaded", "Problem", "Settings", "SettingsError", "disabled_features", "load", "split_address"]
