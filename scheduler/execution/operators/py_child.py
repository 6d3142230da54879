"""The child of `py>`: reads what to call from one open file, calls it, leaves the answer in another.

Its arguments are the numbers of the two.

Needs nothing but Python. Imports what it needs before the project's files come into reach, whose names could be the
same. The folder it starts in is the project's. `python:` may be as old as Python 3.7: annotations are not evaluated.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from types import ModuleType, TracebackType
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))


class Refused(Exception):  # noqa: N818 - named as the fact
    """The call cannot be made; the text says why."""


class Env:
    """`digdag.env`, as code that was written for Digdag knows it."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = dict(params)
        self.stored: dict[str, Any] = {}
        self.exported: dict[str, Any] = {}
        self.subtasks: dict[str, dict[str, Any]] = {}
        self.arguments: dict[str, dict[str, Any]] = {}

    def store(self, params: Mapping[str, Any] = {}, **more: Any) -> None:
        """Variables for the tasks that come later."""
        self.stored.update(params, **more)

    def export(self, params: Mapping[str, Any] = {}, **more: Any) -> None:
        """Variables for the tasks that are added."""
        self.exported.update(params, **more)

    def add_subtask(self, function: Any = None, **params: Any) -> None:
        """A function with its arguments, or a task as a mapping; it runs before the next task does."""
        name = f"+subtask{len(self.subtasks)}"
        task = {"py>": path_of(function)} if callable(function) else {**(function or {}), **params}
        arguments = params if callable(function) else {}
        try:
            json.dumps([task, arguments], allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"The parameters of a subtask are JSON: {error}") from None
        self.subtasks[name], self.arguments[name] = task, arguments

    def answer(self) -> dict[str, Any]:
        variables = {name: {**self.exported, **arguments} for name, arguments in self.arguments.items()}
        return {"stored": self.stored, "subtasks": self.subtasks, "variables": variables}


def path_of(function: Any) -> str:
    path = f"{function.__module__}.{function.__qualname__}"
    if not all(part.isidentifier() for part in path.split(".")):
        raise TypeError(f"A subtask is a function that has a name in a module, not {path}.")
    return path


def main() -> None:
    request, answer_number = map(int, sys.argv[1:])
    del sys.argv[1:]  # the function's business is its variables
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with os.fdopen(request) as file:
        call = json.load(file)
    sys.path[:] = [os.getcwd(), *(place for place in sys.path if place != HERE)]  # a `python:` without -I has ours
    answer = os.fdopen(answer_number, "w")
    try:
        said = answered(call["function"], call["variables"])
    except Refused as refusal:
        said = {"error": str(refusal)}
    except Exception as error:  # noqa: BLE001 - whatever the function raises is its answer
        traceback.print_exception(type(error), error, after(error.__traceback__))
        said = {"error": "".join(traceback.format_exception_only(type(error), error)).strip().partition("\n")[0]}
    with answer:
        json.dump(said, answer, allow_nan=False)
    sys.exit(1 if "error" in said else 0)


def answered(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What the function stored, and the tasks that it added. A mapping that it returned is stored, too."""
    digdag = ModuleType("digdag")
    env = digdag.env = Env(variables)  # type: ignore[attr-defined]
    sys.modules["digdag"] = digdag
    returned = called(name, variables)
    if isinstance(returned, dict):
        checked(returned, f"{name} returned")
        env.store(returned)
    checked([env.stored, env.exported], f"{name} stored or exported")
    return env.answer()


def called(name: str, variables: Mapping[str, Any]) -> object:
    function, make = found(name)
    if make is not None:
        function = getattr(make(**arguments(make, variables, name)), function.__name__)
    return function(**arguments(function, variables, name))


def checked(value: object, what: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Refused(f"{what} a mapping that is not JSON: {error}") from None


def found(name: str) -> tuple[Callable[..., Any], type | None]:
    """The function, and the class to make first when it is a method of one. A class stands for its `run`."""
    module, path = imported(name)
    owner: Any = None
    target: Any = module
    for part in path:
        if part.startswith("__") or not hasattr(target, part):
            raise Refused(f"There is no {part!r} in {name.rpartition('.' + part)[0]!r}.")
        owner, target = target, getattr(target, part)
        if inspect.ismodule(target):
            refuse_installed(target, name)
    if inspect.isclass(target) and hasattr(target, "run"):
        owner, target, path = target, target.run, [*path, "run"]
    if not callable(target) or inspect.isclass(target):
        raise Refused(f"{name} is not a function.")
    return target, owner if inspect.isclass(owner) and inspect.isfunction(target) and not static(owner, path) else None


def static(owner: type, path: list[str]) -> bool:
    return isinstance(inspect.getattr_static(owner, path[-1]), (staticmethod, classmethod))


def imported(name: str) -> tuple[ModuleType, list[str]]:
    """The module at the longest part of the dotted name that is one, and the names after it."""
    parts = name.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise Refused(f"{name!r} is not the name of a function in a module, such as tasks.load.")
    if PathFinder.find_spec(parts[0], [os.getcwd()]) is None:
        raise Refused(f"There is no module {parts[0]!r} in the project's files; only a module of theirs can be called.")
    for length in range(len(parts) - 1, 0, -1):
        path = ".".join(parts[:length])
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name is None or not (path + ".").startswith(error.name + "."):
                raise
        else:
            refuse_installed(module, path)
            return module, parts[length:]
    raise Refused(f"There is no module {parts[0]!r} in the project's files.")


def refuse_installed(module: ModuleType, name: str) -> None:
    """One of the project's may call what it likes; a name that comes out of a variable may not."""
    places = [*filter(None, [getattr(module, "__file__", None)]), *getattr(module, "__path__", [])]
    folder = os.path.realpath(os.getcwd()) + os.sep
    if not any(os.path.realpath(place).startswith(folder) for place in places):
        raise Refused(f"{name}: {module.__name__} is an installed module; call a function of the project's files.")


def arguments(function: Callable[..., Any], variables: Mapping[str, Any], name: str) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some functions of C say nothing of their arguments
        return {}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        taken = {key: value for key, value in variables.items() if key.isidentifier()}
    else:
        taken = {parameter.name: variables[parameter.name] for parameter in parameters if parameter.name in variables}
    missing = [parameter.name for parameter in parameters if required(parameter) and parameter.name not in taken]
    if missing:
        raise Refused(f"{name} needs a value for {', '.join(missing)}.")
    return taken


def required(parameter: inspect.Parameter) -> bool:
    optional = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in optional


def after(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the project's code on."""
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


if __name__ == "__main__":
    main()
