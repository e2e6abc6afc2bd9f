"""Secrets of the configuration never leave."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_any_secret_is_hidden(secret: str) -> None:
    import tomlkit

    text = tomlkit.dumps({"mesh": {"passphrase": f"<{secret}>", "mode": "private"}})
    shown = hidden(text)
    assert tomllib.loads(shown).get("mesh", {}).get("passphrase", HIDDEN) == HIDDEN
    assert f"<{secret}>" not in shown
