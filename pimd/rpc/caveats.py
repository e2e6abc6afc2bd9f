"""What one caveat of a token lets its holder do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

ALWAYS = frozenset({"rpc.hello", "rpc.authenticate", "rpc.discover", "rpc.methods"})
"""Open a connection and describe it; every token may."""
NAME = r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*(\.\*)?$"
NAMES = 64
Pattern = Annotated[str, Field(pattern=NAME, max_length=128)]


class CallRate(BaseModel):
    """So many calls a second, and so many at once after a quiet time."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    per_s: float = Field(gt=0, le=1_000_000)
    burst: int = Field(ge=1, le=1_000_000)

    def __str__(self) -> str:
        return f"{self.per_s:g} calls a second, {self.burst} at once"


class Caveat(BaseModel):
    """Each member that is there restricts; all caveats of a token have to let a call pass."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    methods: list[Pattern] | None = Field(
        default=None, max_length=NAMES, description="Names, or all of a namespace such as `peers.*`."
    )
    streams: list[Pattern] | None = Field(
        default=None, max_length=NAMES, description="Namespaces whose events may be subscribed, such as `peers`."
    )
    read_only: Literal[True] | None = Field(default=None, description="Only methods that change nothing.")
    expires: int | None = Field(default=None, ge=0, description="Seconds since 1970.")
    rate: CallRate | None = None

    @model_validator(mode="after")
    def _restricts(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a caveat that restricts nothing")
        return self

    @property
    def written(self) -> bytes:
        """As a token carries it."""
        return self.model_dump_json(exclude_none=True).encode()


@dataclass(frozen=True)
class Asked:
    """A call, as far as caveats ask."""

    method: str
    reads: bool
    """Whether it changes nothing."""
    stream: str | None = None
    """The namespace whose events it subscribes or unsubscribes."""


def read(written: bytes) -> Caveat | None:
    """Return what a token carries; None for what this version does not know, which lets nothing pass."""
    try:
        return Caveat.model_validate_json(written)
    except ValidationError:
        return None


def refusal(caveat: Caveat, asked: Asked) -> str | None:
    """Say which restriction keeps a call from passing; expiry and rate are not looked at here."""
    if asked.method in ALWAYS:
        return None
    if asked.stream is not None and caveat.streams is not None:
        if asked.stream not in caveat.streams:
            return f"it may follow only these streams: {_listed(caveat.streams)}"
    elif caveat.methods is not None and not any(_matches(name, asked.method) for name in caveat.methods):
        return f"it may call only these methods: {_listed(caveat.methods)}"
    if caveat.read_only and not asked.reads:
        return f"it is read-only, and {asked.method} may change something"
    return None


def _matches(pattern: str, method: str) -> bool:
    return pattern == method or (pattern.endswith(".*") and method.startswith(pattern[:-1]))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
