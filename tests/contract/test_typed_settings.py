"""The settings of a feature have the type of its model; mypy, in the gate, checks what the remarks say is refused."""

from typing import Any, ClassVar, assert_type

from pydantic import BaseModel

from pimd.contract import DaemonPlugin, Feature, FeatureSettings, NoParams, PluginContext, rpc


class Notes(FeatureSettings):
    """Settings of the plugin below."""

    pages: int = 3


class Letters(FeatureSettings):
    """Settings of somebody else."""

    stamps: int = 1


class NotesPlugin(DaemonPlugin[Notes]):
    """Says of which model its settings are."""

    name: ClassVar[str] = "notes"

    async def start(self, ctx: PluginContext[Notes]) -> None:
        assert_type(ctx.settings, Notes)
        assert_type(ctx.settings.pages, int)
        takes_any(ctx)


class WrongPlugin(DaemonPlugin[Notes]):
    """Takes the settings of somebody else."""

    async def start(self, ctx: PluginContext[Letters]) -> None:  # type: ignore[override]
        assert_type(ctx.settings, Letters)


class PlainPlugin(DaemonPlugin):
    """Written before plugins had a parameter."""

    async def start(self, ctx: PluginContext) -> None:
        assert_type(ctx.settings, BaseModel)


def takes_any(ctx: PluginContext) -> BaseModel:
    return ctx.settings


@rpc("notes.pages")
async def pages(ctx: PluginContext[Notes], _: NoParams) -> int:
    """Say how many."""
    return ctx.settings.pages


def accepted() -> list[Feature]:
    typed = Feature("notes", "x", ("notes",), NotesPlugin, methods=(pages,), settings=Notes)
    assert_type(typed, Feature[Notes])
    assert_type(typed.settings, type[Notes])
    plain = Feature("plain", "x", plugin=PlainPlugin, settings=Letters)
    assert_type(plain, Feature[Letters])
    Feature("notes", "x", plugin=NotesPlugin, settings=Letters)  # type: ignore[misc]
    return [typed, plain, Feature("bare", "x", plugin=PlainPlugin), Feature("empty", "x")]


def test_a_declaration_without_settings_has_the_empty_model() -> None:
    found: dict[str, Any] = {one.name: one.settings for one in accepted()}
    assert found == {"notes": Notes, "plain": Letters, "bare": FeatureSettings, "empty": FeatureSettings}


def test_a_parameter_changes_nothing_about_the_class() -> None:
    assert issubclass(NotesPlugin, DaemonPlugin)
    assert [f.__name__ for f in accepted()[0].marked_functions()] == ["pages"]
