"""Secrets of the configuration never leave."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from pimd.assembly.secret_settings import secret_paths
from pimd.contract import FeatureSettings
from pimd_features.config import HIDDEN, hidden


@pytest.mark.parametrize(
    "text",
    [
        '[mesh]\npassphrase = "s3cret" # not this\nmesh_id = "x"\n',
        "[mesh]\npassphrase = 's3cret'\n",
        '[mesh]\n"passphrase" = "s3cret"\n',
        'mesh.passphrase = "s3cret"\n',
        '[mesh]\n  passphrase="a\\"s3cret"\n',
        '[mesh]\npassphrase = """\ns3cret\n"""\n',
        'mesh = { passphrase = "s3cret", mode = "private" }\n',
        '[discovery]\nshared_key = "s3cret"\n',
        '[mesh\npassphrase = "s3cret"\n',
        '[features.other]\ninner = { shared_key = "s3cret" }\n',
        '[mesh]\npassphrase = ["s3cret"]\n',
        '[mesh.passphrase]\nx = "s3cret"\n',
    ],
)
def test_a_secret_is_hidden_in_every_way_to_write_it(text: str) -> None:
    assert "s3cret" not in hidden(text)
    assert HIDDEN in hidden(text)


def test_the_rest_stays_byte_for_byte() -> None:
    text = (
        '# mine\n[mesh]\nmode = "private"   # yes\npassphrase = "s3cret" # keep this remark\n\n[relay]\nenabled=true\n'
    )
    assert hidden(text) == text.replace('"s3cret"', f'"{HIDDEN}"')


@pytest.mark.parametrize(
    "text",
    [
        '# passphrase = "s3cret"\n',
        "  ## passphrase: s3cret and more\n",
        '#passphrase="s3cret"\n',
        '# mesh . "passphrase" = "s3cret"\n',
        '# mesh = { mode = "private", passphrase = "s3cret" }\n',
        '# passphrase = """\n# s3cret\n# more"""\n# x = 1\n',
        "# token = [\n#   's3cret',\n\n# ]\n",
        '# [features.bot.secret]\n# value = "s3cret"\n',
        '[mesh]\npassphrase = "my s3cret" # not "my s3cret"\n# my s3cret is good\n',
        '[features.bot]\npassword = "s3cret"\n',
        '[features.bot]\napi_key = "s3cret"\napiKey = "s3cret"\nkeys = ["s3cret"]\n',
        '[features.bot]\nheaders = { Authorization = "Bearer s3cret", Cookie = "a=s3cret" }\n# Authorization: Bearer s3cret\n',
        "[features.bot]\n\"bot token\" = 's3cret'\n",
        "[features.bot]\nlogin.psk = '''\ns3cret'''\n",
        '[features.bot.tokens]\nalice = "s3cret"\n',
        '[[features.bot.rooms]]\nname = "x"\nroom = { secret_key_hex = "s3cret" }\n',
        '[features.bot]\nproxy = "http://me:s3cret@host:3128/x" # not me:s3cret\n',
        "[features.bot]\ndatabase = 'postgres://me:s3cret/a@b@host/x'\n# s3cret/a@b is good\n",
        '[features.bot]\ntoken = "s3cret"\n# s3cret is the token = one\n',
        '[features.bot]\ngit = "https://s3cret@host/x"\n',
        '[features.bot]\nproxy = "http://me:s3cret\\u0040host"\n',
        '[features.bot]\nhooks = ["https://host/in?room=1&access_token=s3cret#x", "https://host/"]\n',
        '# proxy = "http://me:s3cret@host:3128"\n# see https://s3cret@host or https://host/?token=s3cret\n',
        'x = """\npassphrase = 1"""\n[a.b]\nc = [ # note\n 1, [ { token = "s3cret" } ],\n]\n',
    ],
)
def test_a_secret_in_comments_and_in_tables_of_features_is_hidden(text: str) -> None:
    shown = hidden(text)
    assert "s3cret" not in shown
    assert HIDDEN in shown
    assert "cannot be shown" not in shown


@pytest.mark.parametrize(
    "text",
    [
        '[security]\nkey_file = "/x/node.key" # the key\nauthorized_peers = ["a"]\n',
        '# passphrase_file = "/x"\n[features.bot]\npublic_key = "abc"\nmonkey = 1\ntoken_lifetime_s = 30\n',
        '# see https://example.org/a?b=c#d\nurl = "https://example.org:80/a?page=2&count=1"\nmail = "bob@example.org"\n',
        "# keys and tokens stand elsewhere\nx = nan\nat = 1979-05-27 07:32:00 # when\n",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize("part", ["a", "a.", "a . ", '"', "'", "=", "token=", "[", "\t"])
def test_a_comment_beyond_measure_is_hidden(part: str) -> None:
    assert hidden(f"# {part * 100_000}\nx = 1\n") == f"# {HIDDEN}\nx = 1\n"


def test_the_example_configuration_is_shown_but_for_its_secrets() -> None:
    text = (Path(__file__).parents[2] / "config" / "pimd.toml").read_text()
    shown = hidden(text).splitlines()
    changed = [new for old, new in zip(text.splitlines(), shown, strict=True) if old != new]
    assert changed
    assert [line for line in changed if not re.match(r"# (passphrase|shared_key) = ", line)] == []


class Login(BaseModel):
    code: SecretStr | None = None
    user: str = ""


class BotSettings(FeatureSettings):
    login: Login = Login()
    rooms: dict[str, list[Login]] | None = None
    codes: tuple[SecretStr, ...] = ()


def test_secrets_that_a_feature_declares_are_hidden() -> None:
    declared = [("features", "bot", *path) for path in secret_paths(BotSettings)]
    text = """[features.bot]
login = { code = "s3cret", user = "alice" }
codes = ["s3cret", 's3cret']
# code = "s3cret"
[[features.bot.rooms.kitchen]]
code = "s3cret"
user = "bob"
"""
    shown = hidden(text, declared)
    assert "s3cret" not in shown
    assert [word in shown for word in ('"alice"', '"bob"', "kitchen")] == [True] * 3
    assert shown.count(HIDDEN) == text.count("s3cret")


NAMES = ["passphrase", "password", "secret", "token", "key", "psk", "api_key", "bot-token", "clientSecret"]
PLAIN = ["name", "port", "key_file", "room", "with space", "a.b", "ключ"]
PLAIN_VALUES = [
    "1",
    "-1e9",
    "nan",
    "true",
    '"a # b"',
    "'x'",
    "07:32:00",
    "2026-01-02 03:04:05Z",
    "[1, 2, # three\n]",
    "{ a.b = 1 }",
]
SECRET = "hunter2 & co"
LITERALS = [
    f'"{SECRET}"',
    f"'{SECRET}'",
    f'"""\n{SECRET}"""',
    f"'''{SECRET}'''",
    '"hunter2 \\u0026 co"',
    '"""\\\n  hunter2 & co"""',
]
VALUES = ["@", "[ @, [@] ]", "[ # SECRET\n  @,\n]", "{ a = @, 'b c'.d = [ @ ] }"]


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str]:
    """Return a TOML text and the same with each of its secrets hidden."""
    lines: list[tuple[str, str]] = []
    for number in range(draw(st.integers(1, 3))):
        header = draw(st.sampled_from([f"[features.f{number}]", f'[ x{number} . "a b" ]', f"[[y{number}]] # z"]))
        lines.append((header, header))
        for key in draw(st.lists(st.sampled_from(PLAIN), unique=True, max_size=3)):
            line = f"{json.dumps(key, ensure_ascii=False)}\t= {draw(st.sampled_from(PLAIN_VALUES))}"
            lines.append((line, line))
        for key in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3)):
            name = draw(st.sampled_from(["", "  ", "sub.", '"s u b" . '])) + key
            value, literal = draw(st.sampled_from(VALUES)), draw(st.sampled_from(LITERALS))
            remark = draw(st.sampled_from(["", "  # as agreed", " # see key_file"]))
            shown = value.replace("@", f'"{HIDDEN}"').replace("SECRET", HIDDEN)
            written = value.replace("@", literal).replace("SECRET", SECRET)
            lines.append((f"{name} = {written}{remark}", f"{name} = {shown}{remark}"))
        for key in draw(st.lists(st.sampled_from(NAMES), max_size=2)):
            begin = draw(st.sampled_from(["# ", "#", "  ##\t"])) + key + draw(st.sampled_from([" = ", ": ", "="]))
            lines.append((f"{begin}'{SECRET}' # {SECRET}", begin + HIDDEN))
    return "\n".join(line for line, _ in lines), "\n".join(line for _, line in lines)


@given(documents())
def test_of_any_text_the_secrets_are_hidden_and_the_rest_is_unchanged(document: tuple[str, str]) -> None:
    text, wanted = document
    tomllib.loads(text)
    assert hidden(text) == wanted


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_any_secret_is_hidden(secret: str) -> None:
    text = tomlkit.dumps({"mesh": {"passphrase": f"<{secret}>", "mode": "private"}})
    shown = hidden(text)
    assert tomllib.loads(shown).get("mesh", {}).get("passphrase", HIDDEN) == HIDDEN
    assert f"<{secret}>" not in shown
