"""The `tokens.*` methods: tokens that may do less than the one in `<data_dir>/rpc.token`."""

from collections.abc import Sequence

from pydantic import Field

from pimd.contract import InvalidParams, NoParams, Overloaded, Params, Result, StorageError
from pimd.macaroon import TEXT
from pimd.rpc.caveats import NAMES, CallRate, Caveat, Pattern
from pimd.rpc.connection import Connection
from pimd.rpc.registry import CORE, Method
from pimd.rpc.token_book import Entry, TokenBook
from pimd.store.secret_file import SecretFileError

LONGEST_S = 100 * 366 * 86_400
NAME_PATTERN = r"^[^\x00-\x1f\x7f]+$"


class CreateParams(Params):
    """The name of a token, and what restricts it; without any restriction it may do all that its maker may."""

    name: str = Field(min_length=1, max_length=64, pattern=NAME_PATTERN)
    methods: list[Pattern] | None = Field(
        default=None, max_length=NAMES, description="Names, or all of a namespace such as `peers.*`."
    )
    streams: list[Pattern] | None = Field(
        default=None, max_length=NAMES, description="Namespaces whose events may be subscribed, such as `peers`."
    )
    read_only: bool = Field(default=False, description="Only methods that change nothing.")
    expires_s: int | None = Field(default=None, ge=1, le=LONGEST_S, description="Seconds from now.")
    rate: CallRate | None = None


class RevokeParams(Params):
    """The name or the id of a token."""

    name: str


class TokenRow(Result):
    """One token, without its secret."""

    id: str
    name: str
    created_ms: int = Field(description="Milliseconds since 1970, by the wall clock of then.")
    restrictions: list[Caveat] = Field(description="All of them have to let a call pass.")
    expired: bool


class Created(TokenRow):
    """The only answer that holds the token itself."""

    token: str = Field(max_length=TEXT)


class Revoked(Result):
    """What was revoked."""

    id: str
    name: str


class TokenMethods:
    """Makes, lists and revokes tokens."""

    def __init__(self, book: TokenBook) -> None:
        self._book = book

    def methods(self) -> Sequence[Method]:
        """Return the entries for the method table."""
        return [
            Method(
                "tokens.create",
                CORE,
                self._create,
                "Make a token that may do less.\n\nIts holder can narrow it further without the daemon (`pim token "
                "narrow`). A caller with a restricted token makes one that may no more than its own.",
                Created,
                CreateParams,
                (InvalidParams, Overloaded, StorageError),
            ),
            Method(
                "tokens.list",
                CORE,
                self._list,
                "List the tokens that were made, the oldest first.",
                list[TokenRow],
                reads=True,
            ),
            Method(
                "tokens.revoke",
                CORE,
                self._revoke,
                "End a token and all that were narrowed from it.\n\nConnections that showed one are refused everything, and "
                "get no more events.",
                Revoked,
                RevokeParams,
                (InvalidParams, StorageError),
            ),
        ]

    async def _create(self, connection: Connection, params: CreateParams) -> Created:
        members = {
            "methods": params.methods,
            "streams": params.streams,
            "read_only": params.read_only or None,
            "expires": None if params.expires_s is None else self._book.unix_s() + params.expires_s,
            "rate": params.rate,
        }
        restricts = {name: value for name, value in members.items() if value is not None}
        caveat = Caveat.model_validate(restricts) if restricts else None
        try:
            entry, text = self._book.create(params.name, caveat, connection.grant)
        except SecretFileError as error:
            raise StorageError(f"no token was made: {error}") from error
        return Created(**self._members(entry), token=text)

    async def _list(self, _: Connection, __: NoParams) -> list[TokenRow]:
        return [TokenRow(**self._members(entry)) for entry in self._book.entries]

    async def _revoke(self, _: Connection, params: RevokeParams) -> Revoked:
        try:
            found = self._book.revoke(params.name)
        except SecretFileError as error:
            raise StorageError(f"the token was not revoked: {error}") from error
        if found is None:
            raise InvalidParams(f"there is no token {params.name!r}; tokens.list names them")
        return Revoked(id=found.id, name=found.name)

    def _members(self, entry: Entry) -> dict[str, object]:
        return {
            "id": entry.id,
            "name": entry.name,
            "created_ms": entry.created_unix_ms,
            "restrictions": entry.caveats,
            "expired": self._book.over(entry, entry.caveats) is not None,
        }
