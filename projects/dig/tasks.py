"""Tasks and groups of tasks: that each has one operator that exists, and directives that mean something there."""

import re
from collections.abc import Collection

from projects.dig.directives import CHECKS
from projects.dig.language import (
    DEEPEST_TASKS,
    GROUP_DIRECTIVES,
    NOT_HERE,
    ONLY_AT_THE_TOP,
    TASK_DIRECTIVES,
    Language,
    TextProblems,
    closest,
    listed,
)
from projects.dig.nodes import Mapping, Node, Scalar, plain, shown
from projects.dig.problems import Place, Problems, short
from projects.dig.shape import operators_of, texts_of

_LONGEST_NAME = 255
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_\-=\[\]{}%&@`,.]")  # as in Digdag, which keeps ^ for tasks made while it runs
_GLUED = re.compile(r"(\w+>):\S")
_WITHOUT_COLON = re.compile(r"(\w+>)\s")


class TaskChecks:
    """Walks the tasks of a workflow, and notes what is wrong in `problems`."""

    def __init__(self, language: Language, problems: Problems, text_problems: TextProblems) -> None:
        self._language = language
        self._problems = problems
        self._text_problems = text_problems

    def check_root(self, root: Mapping) -> None:
        """The tasks and directives of the workflow itself; its other keys are not looked at."""
        self._check_directives(root)
        self._check_texts(root)
        self._check_inner(root, 0, parallel=_is_true(root, "_parallel"))

    def _check_task(self, title: str, place: Place, task: Node, level: int, *, parallel: bool) -> None:
        """`title` is how it is called in messages, `level` how many tasks are around it."""
        if not isinstance(task, Mapping):
            self._problems.add(place, f"{title} {_not_a_task(task)}")
        elif level > DEEPEST_TASKS:
            self._problems.add(place, f"Tasks are nested more than {DEEPEST_TASKS} deep.")
        else:
            self._check_background(task, parallel)
            self._check_body(title, place, task)
            self._check_directives(task)
            self._check_texts(task)
            self._check_inner(task, level, parallel=not operators_of(task) and _is_true(task, "_parallel"))

    def _check_body(self, title: str, place: Place, task: Mapping) -> None:
        operators = operators_of(task)
        if operators:
            self._check_operators(task, operators)
        elif any(key[:1] == "+" for key in task):
            self._check_group_keys(task)
        elif task.complete:
            self._problems.add(place, f"{title} has nothing to run: {self._absent_operator(task)}")
            self._check_task_directives(task, "", self._language.inner_keys())

    def _check_operators(self, task: Mapping, operators: list[str]) -> None:
        for second in operators[1:]:
            self._problems.add(
                task.place_of(second),
                f"A task has one operator; here is {short(second)} after {short(operators[0])}. Make two tasks of it.",
            )
        name = operators[0]
        if name[:-1] in self._language.operators:
            self._check_operator(task, name, self._language.operators[name[:-1]])
        else:
            self._problems.add(task.place_of(name), self._unknown_operator(name))
            self._check_task_directives(task, name, self._language.inner_keys())

    def _check_operator(self, task: Mapping, name: str, inner: Collection[str]) -> None:
        inside = next((key for key in task if key[:1] == "+"), None)
        if inside is not None:
            self._problems.add(task.place_of(inside), _task_beside(inside, name, inner))
        self._check_task_directives(task, name, inner)
        if not task.complete:
            return
        if inner and not any(key in task for key in inner):
            keys = listed([f"{key}:" for key in inner], "or")
            self._problems.add(task.place_of(name), f"{name} has no tasks to run; put them under {keys}.")
        for complaint in self._language.task_problems(name[:-1], plain(task)):
            self._problems.add(_blamed(task, complaint) or task.place_of(name), complaint)

    def _unknown_operator(self, name: str) -> str:
        operators = sorted(f"{operator}>" for operator in self._language.operators)
        found = closest(name, operators)
        return f"There is no operator {short(name)}; " + (
            f"did you mean {found}?" if found else f"there are {listed(operators)}."
        )

    def _check_task_directives(self, task: Mapping, operator: str, inner: Collection[str]) -> None:
        allowed = {*TASK_DIRECTIVES, *inner, *(("_parallel",) if inner else ())}
        for key in task:
            if key[:1] == "_" and key != operator and key not in allowed:
                self._problems.add(task.place_of(key), self._wrong_directive(key, operator, allowed))

    def _wrong_directive(self, key: str, operator: str, allowed: Collection[str]) -> str:
        if key in NOT_HERE:
            return f"{key}: is a word of Digdag that is not supported here."
        if key in ("_type", "_command"):
            return _wrong_type(key, operator)
        owners = self._language.operators_with("" if key == "_parallel" else key)
        if key == "_parallel":
            return f"_parallel: belongs to {listed(['a group of tasks', *owners], 'or')}, not to {short(operator)}."
        if owners:
            return f"{key}: belongs to {listed(owners, 'or')}, not to {short(operator)}."
        return _unknown_directive(key, allowed)

    def _check_group_keys(self, group: Mapping) -> None:
        for key in group:
            if key[:1] != "+" and key not in GROUP_DIRECTIVES:
                self._problems.add(group.place_of(key), self._wrong_group_key(key))

    def _wrong_group_key(self, key: str) -> str:
        if key in ONLY_AT_THE_TOP:
            return f"{key}: belongs at the top of the file."
        if key in NOT_HERE:
            return f"{key}: is a word of Digdag that is not supported here."
        if key in self._language.inner_keys() or key == "_env":
            return f"{key}: belongs to a task with an operator; this is a group of tasks."
        if f"_{key}" in GROUP_DIRECTIVES:
            return f"A group of tasks has no {key}: setting; did you mean _{key}:?"
        if key[:1] == "_":
            return _unknown_directive(key, GROUP_DIRECTIVES)
        return f"A group of tasks has no {short(key)}: setting; put it into the task that needs it, or under _export:."

    def _absent_operator(self, task: Mapping) -> str:
        meant = next((key for key in task if key in self._language.operators), None)
        if meant is not None:
            return f"the operator is written {meant}>:."
        unnamed = next((key for key in task if key[:1] != "_" and isinstance(task[key], Mapping)), None)
        if unnamed is not None:
            return f"the name of a task begins with +, as in '+{short(unnamed)}:'."
        return "no operator, such as echo>, and no task inside."

    def _check_background(self, task: Mapping, parallel: bool) -> None:
        if parallel and _is_true(task, "_background"):
            self._problems.add(
                task.place_of("_background"),
                "_background: says nothing here, as the tasks of this group run in parallel.",
            )

    def _check_directives(self, task: Mapping) -> None:
        for key, check in CHECKS.items():
            if key in task:
                check(key, task.place_of(key), task[key], self._problems)

    def _check_texts(self, task: Mapping) -> None:
        for key, text in texts_of(task, self._language):
            operator = key.removesuffix(">") if text is task[key] and key.endswith(">") else ""
            for complaint in self._text_problems(operator, str(text.value)):
                self._problems.add(text.place, complaint)

    def _check_inner(self, task: Mapping, level: int, *, parallel: bool) -> None:
        inner = {"_error", "_check", *self._language.inner_keys()}
        for key in task:
            if key[:1] == "+":
                self._check_name(key, task.place_of(key))
                self._check_task(f"The task {short(key)}", task.place_of(key), task[key], level + 1, parallel=parallel)
            elif key in inner:
                self._check_task(f"{key}:", task.place_of(key), task[key], level + 1, parallel=False)

    def _check_name(self, name: str, place: Place) -> None:
        if name == "+":
            self._problems.add(place, "The task has no name after its +.")
        elif found := _NOT_IN_NAMES.search(name[1:]):
            self._problems.add(place, f"The name of a task has no {found[0]!r}; it has letters, digits, _, - and dots.")
        elif len(name) > _LONGEST_NAME:
            self._problems.add(place, f"The name of a task has at most {_LONGEST_NAME} characters.")


def _blamed(task: Mapping, complaint: str) -> Place | None:
    """The place of the key that a complaint begins with."""
    key, colon, _ = complaint.partition(":")
    return task.place_of(key) if colon and key in task else None


def _is_true(task: Mapping, key: str) -> bool:
    """Whether a directive is on; a mapping, such as {limit: 2}, is."""
    node = task.get(key)
    return isinstance(node, Mapping) or (isinstance(node, Scalar) and node.value is True)


def _not_a_task(node: Node) -> str:
    text = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
    if glued := _GLUED.match(text):
        return f"has no operator: a space belongs after '{glued[1]}:'."
    if found := _WITHOUT_COLON.match(text):
        return f"has no operator: it is written '{found[1]}:', with a colon."
    if isinstance(node, Scalar) and node.value is None:
        return "is empty; put an operator, such as 'echo>: Hello', or tasks below it, indented."
    return f"takes an operator, such as 'echo>: Hello', or tasks, in the lines below it, not {shown(node)}."


def _task_beside(task: str, operator: str, inner: Collection[str]) -> str:
    if inner:
        keys = listed([f"{key}:" for key in inner], "or")
        return f"The tasks of {operator} stand under {keys}; move {short(task)} there."
    return f"{short(operator)} has no tasks inside it; indent {short(task)} as the task of {short(operator)} is."


def _wrong_type(key: str, operator: str) -> str:
    if operator:
        return f"{key}: is another way to write an operator; here is {short(operator)} already."
    return (
        f"{key}: takes the name of an operator, such as echo." if key == "_type" else f"{key}: goes with _type: only."
    )


def _unknown_directive(key: str, allowed: Collection[str]) -> str:
    found = closest(key, sorted(allowed))
    if found:
        return f"There is no directive {short(key)}:; did you mean {found}:?"
    return f"There is no directive {short(key)}:; here are {listed([f'{known}:' for known in sorted(allowed)])}."
