"""`${…}` in text: where it begins and ends, and names. What expressions mean is in test_expressions.py."""

import pytest

from scheduler.execution.expressions import own_engine
from scheduler.execution.template import TemplateError, render

VALUES = {
    "a": "text",
    "n": 5,
    "flag": True,
    "none": None,
    "deep": {"list": [1, {"x": "found"}]},
    "a-b": "dash",
    "one": 1.0,
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain $a {a} $", "plain $a {a} $"),
        ("<${a}>", "<text>"),
        ("${ a }", "text"),
        ("${n} ${flag} [${none}] ${one}", "5 true [] 1"),
        ("${deep.list.1.x}", "found"),
        ("${deep}", '{"list":[1,{"x":"found"}]}'),
        ("${a-b}", "dash"),
        ("${}", ""),
        ("${unclosed", "${unclosed"),
        ("${a} ${unclosed {x}", "text ${unclosed {x}"),
        ("$$ a$$b", "$ a$b"),
        ("p${n}m$$m${n}s", "p5m$m5s"),
        ("$${a}", "$text"),
        ("${word:td.apikey} ${a} ${secret:-a}", "${word:td.apikey} text ${secret:-a}"),
        ("${a} $${ $$", "text $${ $"),
    ],
)
def test_names_are_replaced(text: str, rendered: str) -> None:
    assert render(text, VALUES.__getitem__) == rendered


@pytest.mark.parametrize("text", ["${b}", "${b.length}", "${deep.none}", "${deep.list.7}", "${deep.list.x}", "${a.b}"])
def test_an_unknown_name_is_named(text: str) -> None:
    with pytest.raises(TemplateError, match=f"There is no variable '{text[2:-1]}'") as refused:
        render(text, VALUES.__getitem__)

    assert refused.value.reference == text[2:-1]


def test_a_value_is_not_read_again() -> None:
    assert render("${x}", {"x": "${y}"}.__getitem__) == "${y}"


def test_a_secret_stands_only_where_it_is_asked_for() -> None:
    with pytest.raises(
        TemplateError, match=r"\$\{secret:db.password\} can stand only in _env: of sh> and py>"
    ) as refused:
        render("a ${secret:db.password}", VALUES.__getitem__)

    assert refused.value.reference == "secret:db.password"


def test_a_secret_is_revealed_where_it_may_stand() -> None:
    asked = []

    text = render(
        "<${secret:db.password}${ a }${secret: x }>", VALUES.__getitem__, lambda key: asked.append(key) or "$$"
    )

    assert text == "<$$text$$>"
    assert asked == ["db.password", "x"]


def test_a_value_that_looks_like_a_reference_to_a_secret_is_a_value() -> None:
    assert render("${x}", {"x": "${secret:y}"}.__getitem__, lambda key: "revealed") == "${secret:y}"


def test_names_do_not_start_the_own_engine() -> None:
    own_engine().close()

    render("${a} ${deep.list} ${a-b} $$ ${}", VALUES.__getitem__)
    with pytest.raises(TemplateError):
        render("${b}", VALUES.__getitem__)

    assert own_engine().pid is None


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("${n + 1}|${n - 1}", "6|4"),
        ("${[1, 2].map(function (x) { return {x: x * 2}; })}", '[{"x":2},{"x":4}]'),
        ('${"}"} and ${"{}"}', "} and {}"),
        ('${"{"} ${n}', '${"{"} ${n}'),  # never even, so it has no end, as in Digdag
        ("${'it is }'} ${a}", "it is } text"),
        ("${a.replace(/'/g, '}')} isn't", "text isn't"),
        ("${`${n}{${a}}`}", "5{text}"),
        ("${\n  n\n  * 2 // doubled\n}", "10"),
        ("${a.length}", "4"),
        ("${deep.list.length}", "2"),
        ("${Math.PI > 3}", "true"),
        ("${true}${null}${undefined}", "true"),
        ("${moment('2024-01-05').year()}", "2024"),
    ],
)
def test_expressions_end_where_they_are_expressions(text: str, rendered: str) -> None:
    assert render(text, VALUES.__getitem__) == rendered


def test_a_text_has_an_end() -> None:
    values = {"long": "x" * 400_000}

    with pytest.raises(TemplateError, match="more than 1048576 characters"):
        render("${long}${long}${long}", values.__getitem__)
