"""A daemon's configuration, held in memory."""

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pimd.addresses import Endpoint
from pimd.app import node_name
from pimd.settings import Settings, load
from pimd.store.config_file import ConfigFile
from pimd.store.text_file import Text

T = TypeVar("T")
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

    def _content(self) -> Text:
        return Text(self._holder.text)

    def _modified_ms(self) -> int:
        return 0

    def current(self) -> Settings:
        """Parse the text as it is now."""
        return self._holder.settings()

    async def _run(self, work: Callable[[], T]) -> T:
        await asyncio.sleep(0)  # as with a file, other tasks run meanwhile
        return work()

    def _replace(self, content: str) -> Path:
        self._holder.text = content
        return PATH
