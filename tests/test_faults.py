"""How an error of foreign code is told: in one line, with the place in that code."""

import json

from pydantic import BaseModel

from pimd.faults import text_and_place

PACKAGE = __name__.split(".")[0]


def caught(work: object, package: str = PACKAGE) -> str:
    try:
        assert callable(work)
        work()
    except Exception as error:  # noqa: BLE001
        return text_and_place(error, package)
    raise AssertionError("it raised nothing")


def test_the_place_is_the_innermost_line_of_the_package() -> None:
    told = caught(lambda: json.loads("{"))
    here = test_the_place_is_the_innermost_line_of_the_package.__code__.co_firstlineno
    assert told.startswith("JSONDecodeError: Expecting property name")
    assert told.endswith(f"(test_faults.py:{here + 1})")
    assert "(decoder.py:" in caught(lambda: json.loads("{"), "json")


def test_without_a_line_of_the_package_there_is_no_place() -> None:
    assert caught(lambda: int("x"), "elsewhere").endswith("base 10: 'x'")


def test_a_syntax_error_names_its_own_place() -> None:
    told = caught(lambda: compile("def (:", "plugin.py", "exec"))
    assert told.endswith("(plugin.py, line 1)")


def test_the_values_that_a_model_refused_are_not_told() -> None:
    class Login(BaseModel):
        name: int
        words: list[int]
        token: int
        last: int

    told = caught(lambda: Login.model_validate(dict.fromkeys(("name", "words", "token", "last"), "swordfish")))
    assert told.startswith("ValidationError: name: Input should be a valid integer")
    assert "; words: Input should be a valid list; token: " in told
    assert "swordfish" not in told
    assert "; ..." in told
