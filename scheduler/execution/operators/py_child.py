"""The child of `py>`: reads what to call from one open file, calls it, leaves the answer in another.

Its arguments are the numbers of the two.

Needs nothing but Python. Imports what it needs before the project's files come into reach, whose names could be the
same. The folder it starts in is the project's.
"""

import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from types import ModuleType, TracebackType
from typing import Any


class Refused(Exception):  # noqa: N818 - named as the fact
    """The call cannot be made; the text says why."""


def main() -> None:
    request, answer_number = map(int, sys.argv[1:])
    del sys.argv[1:]  # the function's business is its variables
    with os.fdopen(request) as file:
        call = json.load(file)
    sys.path.insert(0, os.getcwd())
    answer = os.fdopen(answer_number, "w")
    try:
        said: dict[str, Any] = {"stored": result(call["function"], call["variables"])}
    except Refused as refusal:
        said = {"error": str(refusal)}
    except Exception as error:  # noqa: BLE001 - whatever the function raises is its answer
        traceback.print_exception(type(error), error, after(error.__traceback__))
        said = {"error": "".join(traceback.format_exception_only(type(error), error)).strip().partition("\n")[0]}
    with answer:
        json.dump(said, answer, allow_nan=False)
    sys.exit(1 if "error" in said else 0)


def result(name: str, variables: Mapping[str, Any]) -> dict[str, Any] | None:
    function, make = found(name)
    if make is not None:
        function = getattr(make(**arguments(make, variables, name)), function.__name__)
    returned = function(**arguments(function, variables, name))
    if not isinstance(returned, dict):
        return None
    try:
        json.dumps(returned, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Refused(f"{name} returned a mapping that is not JSON: {error}") from None
    return returned


def found(name: str) -> tuple[Callable[..., Any], type | None]:
    """The function, and the class to make first when it is a method of one."""
    module, path = imported(name)
    owner: Any = None
    target: Any = module
    for part in path:
        if not hasattr(target, part):
            raise Refused(f"There is no {part!r} in {name.rpartition('.' + part)[0]!r}.")
        owner, target = target, getattr(target, part)
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
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        try:
            return importlib.import_module(module), parts[length:]
        except ModuleNotFoundError as error:
            if error.name is None or not (module + ".").startswith(error.name + "."):
                raise
    raise Refused(f"There is no module {parts[0]!r} in the project's files, nor an installed one.")


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
