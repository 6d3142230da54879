"""Tasks, operators and directives. The wording of the messages stands in `bad/`."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from projects.dig import DEEPEST_TASKS, MOST_TASKS, FilesRefused, read
from projects.dig.language import nothing_wrong
from tests.dig.language import LANGUAGE, document, project, refusals


@pytest.mark.parametrize("name", ["+a", "+1st", "+A_b-c=[d]{e}%&@`,.", "+" + "x" * 254])
def test_names_that_digdag_takes_are_taken(name: str) -> None:
    assert refusals(f'"{name}": {{echo>: 1}}') == []


@pytest.mark.parametrize("name", ["+", "+a b", "+a^b", "+a+b", "+a/b", "+a:b", "+ä", "+a\\n", "+" + "x" * 255])
def test_other_names_of_tasks_are_refused(name: str) -> None:
    (refusal,) = refusals(f'"{name}": {{echo>: 1}}')

    assert "task has" in refusal


@pytest.mark.parametrize(
    "task",
    [
        "{echo>: 1, _retry: 0}",
        "{echo>: 1, _retry: {limit: 3}}",
        "{echo>: 1, _retry: {limit: 3, interval: 10, interval_type: constant}}",
        "{echo>: 1, _background: true, _export: {}}",
        "{sh>: 1, _env: {A: x, B: 1, C: true}}",
        "{echo>: 1, _retry: {limit: 3, interval: 10, max_interval: 60, interval_type: exponential}}",
        "{+x: {echo>: 1}, _parallel: '${x}'}",
        "{+x: {echo>: 1}, _parallel: {limit: '${x}'}}",
        "{loop>: 1, _parallel: {limit: '${x}'}, _do: {echo>: 1}}",
        "{+x: {echo>: 1, _background: true}, _parallel: false}",
        "{+x: {echo>: 1, _background: false}, _parallel: true}",
        "{+x: {+y: {echo>: 1, _background: true}}, _parallel: true}",
        "{loop>: 1, _parallel: {limit: 2}, _do: {+x: {echo>: 1}, +y: {echo>: 1}}}",
        "{if>: 1, _else_do: {echo>: 1}}",
        "{fail>: , _error: {+x: {echo>: 1}}, _check: {echo>: 1}}",
        "{sh>: x, shell: [bash], any: {setting: 1}, echo: 1}",
    ],
)
def test_directives_where_they_belong_are_taken(task: str) -> None:
    assert refusals(f"+a: {task}") == []


@pytest.mark.parametrize("where", ["_error", "_check", "_do"])
def test_mistakes_inside_tasks_of_directives_are_told(where: str) -> None:
    others = "" if where == "_do" else "  _do: {echo>: 1}"

    assert refusals(f"+a:\n  loop>: 1\n  {where}:\n    +x: {{eco>: 1}}\n{others}") == [
        "w.dig:4:10: There is no operator eco>; did you mean echo>?"
    ]


def test_an_operator_that_is_like_no_other_is_named_with_all_that_there_are() -> None:
    (refusal,) = refusals("+a: {td>: query.sql}")

    *first, last = sorted(f"{name}>" for name in LANGUAGE.operators)
    assert refusal == f"w.dig:1:6: There is no operator td>; there are {', '.join(first)} and {last}."


def test_a_new_operator_is_one_more_name() -> None:
    operators = {**LANGUAGE.operators, "twice": ("_first", "_then")}
    language = replace(LANGUAGE, operators=operators, task_problems=nothing_wrong)

    documents = read(project("+a: {twice>: , _first: {echo>: 1}, _then: {echo>: 2}}"), language=language)

    assert documents["w"]["+a"]["_then"] == {"echo>": 2}


def test_what_an_operator_says_of_its_task_is_told_at_its_line() -> None:
    def task_problems(operator: str, config: Mapping[str, Any]) -> Iterable[str]:
        return ["A loop has at most 3 rounds."] if operator == "loop" and config["loop>"] > 3 else []

    with pytest.raises(FilesRefused) as refused:
        read(project("+a:\n  _do: {echo>: 1}\n  loop>: 4"), language=replace(LANGUAGE, task_problems=task_problems))

    assert str(refused.value) == "1 problem:\nw.dig:3:3: A loop has at most 3 rounds.\n    loop>: 4"


def test_a_type_and_a_command_are_an_operator() -> None:
    read = document(
        "+a: {x: 1, _type: echo, _command: Hi, y: 2}\n+b: {_type: fail}\n_error: {_type: echo, _command: 1}"
    )

    assert read == {"+a": {"x": 1, "echo>": "Hi", "y": 2}, "+b": {"fail>": None}, "_error": {"echo>": 1}}


def test_a_type_is_only_a_word_outside_of_tasks() -> None:
    assert document("_export: {_type: echo}\n+a: {echo>: 1}")["_export"] == {"_type": "echo"}


def test_as_many_tasks_as_are_allowed_are_taken() -> None:
    assert len(document("".join(f"+a{number}: {{echo>: 1}}\n" for number in range(MOST_TASKS)))) == MOST_TASKS


def test_one_task_more_is_refused_wherever_it_is() -> None:
    many = "".join(f"  +a{number}: {{echo>: 1}}\n" for number in range(MOST_TASKS - 1))

    assert refusals(f"+group:\n{many}+loop: {{loop>: 1, _do: {{echo>: 1}}}}") == [
        "w.dig: There are 1,001 tasks; 1,000 is the most of one workflow."
    ]


def test_an_operator_without_its_colon_is_told() -> None:
    (refusal,) = refusals("+a:\n  sh> echo x\n")

    assert refusal == "w.dig:1:1: The task +a has no operator: it is written 'sh>:', with a colon."


def nested(levels: int, inner: str = "+a: {") -> str:
    return inner * levels + "echo>: 1" + "}" * levels * inner.count("{")


def test_tasks_may_be_nested_as_deep_as_is_allowed() -> None:
    assert refusals(nested(DEEPEST_TASKS)) == []
    assert refusals(nested(DEEPEST_TASKS // 2, "+a: {loop>: 1, _do: {")) == []


@pytest.mark.parametrize("text", [nested(DEEPEST_TASKS + 1), nested(DEEPEST_TASKS // 2 + 1, "+a: {loop>: 1, _do: {")])
def test_one_level_more_is_refused(text: str) -> None:
    (refusal,) = refusals(text)

    assert "Tasks are nested more than 50 deep." in refusal
