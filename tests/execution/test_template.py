"""`${…}` in text."""

import pytest

from scheduler.execution.template import TemplateError, render

VALUES = {"a": "text", "n": 5, "flag": True, "none": None, "deep": {"list": [1, {"x": "found"}]}, "a-b": "dash"}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain $a {a} $$", "plain $a {a} $$"),
        ("<${a}>", "<text>"),
        ("${ a }", "text"),
        ("${n} ${flag} [${none}]", "5 true []"),
        ("${deep.list.1.x}", "found"),
        ("${deep}", '{"list": [1, {"x": "found"}]}'),
        ("${a-b}", "dash"),
        ("${unclosed", "${unclosed"),
    ],
)
def test_names_are_replaced(text: str, rendered: str) -> None:
    assert render(text, VALUES.__getitem__) == rendered


@pytest.mark.parametrize("text", ["${b}", "${deep.none}", "${deep.list.7}", "${deep.list.x}", "${a.b}"])
def test_an_unknown_name_is_named(text: str) -> None:
    with pytest.raises(TemplateError, match="There is no variable") as refused:
        render(text, VALUES.__getitem__)

    assert refused.value.reference == text[2:-1]


@pytest.mark.parametrize("text", ["${}", "${1+1}", "${().__class__}", "${'a'*10**10}", "${moment(a)}"])
def test_an_expression_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="is not the name of a variable"):
        render(text, VALUES.__getitem__)


def test_a_value_is_not_read_again() -> None:
    assert render("${x}", {"x": "${y}"}.__getitem__) == "${y}"
