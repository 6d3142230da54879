"""A workflow's file as a whole: its name, its time zone, its schedule, and that there is something to run."""

import re
from collections.abc import Iterable

from projects.dig.language import MOST_TASKS, NOT_HERE, TOP_KEYS, Language, TextProblems, closest, listed
from projects.dig.nodes import Mapping, Node, Scalar, plain, shown
from projects.dig.problems import Place, Problems, short
from projects.dig.shape import count_tasks, operators_of
from projects.dig.tasks import TaskChecks

_LONGEST_NAME = 255
_NOT_FIRST = re.compile(r"[0-9+^@/\\:*?\"<>|]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DEFAULT_ZONE = "UTC"


def check_name(name: str, file: str, problems: Problems) -> None:
    """A workflow is named by its file, under Digdag's rules for the names of projects and workflows."""
    if _NOT_FIRST.match(name):
        problems.add(Place(file), f"The name of a workflow does not begin with {name[0]}; rename the file.")
    if _CONTROL.search(name):
        problems.add(Place(file), "The name of a workflow has no control characters; rename the file.")
    if name.endswith(".dig"):
        problems.add(Place(file), "The name of a workflow does not end with .dig; the file has it twice.")
    if len(name) > _LONGEST_NAME:
        problems.add(Place(file), f"The name of a workflow has at most {_LONGEST_NAME} characters; rename the file.")


def check_workflow(root: Mapping, *, language: Language, text_problems: TextProblems, problems: Problems) -> None:
    """Note everything in a file that would not run as it is written."""
    _check_keys(root, language, problems)
    timezone = _checked_timezone(root, language, problems)
    if "schedule" in root:
        _check_schedule(root, timezone, language, problems)
    count = count_tasks(root, language)
    if count > MOST_TASKS:
        problems.add(Place(root.place.file), f"There are {count:,} tasks; {MOST_TASKS:,} is the most of one workflow.")
    else:
        TaskChecks(language, problems, text_problems).check_root(root)


def _check_keys(root: Mapping, language: Language, problems: Problems) -> None:
    for key in root:
        if key[:1] != "+" and key not in TOP_KEYS and key not in operators_of(root):
            problems.add(root.place_of(key), _unknown_key(key, root[key]))
    for key in operators_of(root):
        problems.add(root.place_of(key), f"{key} stands in no task; give it one, such as '+run:', and indent it below.")
    if root.complete and not operators_of(root) and not any(key[:1] == "+" for key in root):
        problems.add(
            Place(root.place.file),
            "There is no task; one begins with +, such as '+run:'. A file that others include belongs in a folder.",
        )


def _unknown_key(key: str, value: Node) -> str:
    if key in NOT_HERE:
        return f"{key}: is a word of Digdag that is not supported here."
    found = closest(key, TOP_KEYS)
    if found:
        right = f"did you mean {found}:?"
    elif isinstance(value, Mapping):
        right = f"the name of a task begins with +, as in '+{short(key)}:'."
    else:
        right = f"there are {listed([f'{known}:' for known in TOP_KEYS])}, and tasks."
    return f"There is no key {short(key)}: at the top of a workflow; {right}"


def _checked_timezone(root: Mapping, language: Language, problems: Problems) -> str:
    """The zone's name; the default one instead of one that is refused, so that the schedule can be checked, too."""
    if "timezone" not in root:
        return _DEFAULT_ZONE
    node = root["timezone"]
    if not (isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip()):
        problems.add(root.place_of("timezone"), f"timezone: takes a name, such as Europe/London, not {shown(node)}.")
        return _DEFAULT_ZONE
    complaints = list(language.timezone_problems(node.value))
    for complaint in complaints:
        problems.add(root.place_of("timezone"), complaint)
    return _DEFAULT_ZONE if complaints else node.value


def _check_schedule(root: Mapping, timezone: str, language: Language, problems: Problems) -> None:
    schedule = root["schedule"]
    if not isinstance(schedule, Mapping):
        problems.add(
            root.place_of("schedule"),
            f"schedule: takes a kind and its time, such as 'daily>: 07:00:00' in the next line, not {shown(schedule)}.",
        )
    elif schedule.complete:
        for complaint in language.schedule_problems(plain(schedule), timezone):
            problems.add(_blamed(schedule, complaint) or root.place_of("schedule"), complaint)


def _blamed(schedule: Mapping, complaint: str) -> Place | None:
    """The place of the key that a complaint speaks of; else of the kind, where there is one."""
    spoken_of = [key for key in schedule if complaint.startswith(f"{key}:") or repr(key) in complaint]
    candidates: Iterable[str] = spoken_of or operators_of(schedule)
    return next((schedule.place_of(key) for key in candidates), None)
