"""A daemon's configuration, held in memory."""

import asyncio
import hashlib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pimd.addresses import Endpoint
from pimd.app import node_name
from pimd.contract import ConfigText
from pimd.settings import Settings, load
from pimd.store.config_file import ConfigFile

PATH = Path("/lab/pim.toml")
"""The path that the configuration reports; there is no such file."""


class ConfigTextHolder:
    """Keeps the text of a configuration between two starts of a daemon."""

    def __init__(self, text: str) -> None:
        self.text = text

    def add_peer(self, endpoint: Endpoint) -> None:
        """Append a `[[peers]]` table."""
        self.text += f'\n[[peers]]\nmechanism = "tcp"\naddress = "{endpoint.text}"\n'

    def settings(self) -> Settings:
        """Parse the text; `SettingsError` lists every error."""
        try:
            # The other steps of `load` cost as much as a daemon's start, and change nothing without an environment.
            return Settings.model_validate(tomllib.loads(self.text))
        except (ValidationError, tomllib.TOMLDecodeError):
            return load(self.text, PATH, {}).settings


class LabConfig(ConfigFile):
    """Implements `contract.Config` without a file and without a thread."""

    def __init__(self, holder: ConfigTextHolder, settings: Settings) -> None:
        super().__init__(PATH, PATH, settings, node_name(settings))
        self._holder = holder

    def read(self) -> ConfigText:
        """The text as it is now."""
        text = self._holder.text
        return ConfigText(text, PATH, 0, hashlib.sha256(text.encode()).hexdigest())

    def current(self) -> Settings:
        """Parse the text as it is now."""
        return self._holder.settings()

    async def save(self, text: str) -> Path:
        """Replace the text in memory; there is no file, so the returned path does not exist."""
        return self._replace(text)

    async def _edit(self, edit: Any) -> bool:
        await asyncio.sleep(0)  # as with a file, other tasks run meanwhile
        return self._edited(edit)

    def _replace(self, text: str) -> Path:
        self._holder.text = text
        return PATH
