"""The language that the tests read with: the operators of the product to come, and the real rules of time."""

from projects.dig import Document, FilesRefused, Language, read
from scheduler.language import schedule_problems, timezone_problems

OPERATORS: dict[str, tuple[str, ...]] = {
    "call": (),
    "echo": (),
    "fail": (),
    "for_each": ("_do",),
    "for_range": ("_do",),
    "http": (),
    "if": ("_do", "_else_do"),
    "loop": ("_do",),
    "py": (),
    "require": (),
    "sh": (),
    "wait": (),
}
LANGUAGE = Language(operators=OPERATORS, timezone_problems=timezone_problems, schedule_problems=schedule_problems)


def document(text: str | bytes, **others: str) -> Document:
    """The document of one workflow; `others` are further files, `__` in their names being `/`."""
    return read(project(text, **others), language=LANGUAGE)["w"]


def refusals(text: str | bytes, **others: str) -> list[str]:
    """What is wrong with one workflow, without the lines of the file that are repeated below; [] for nothing."""
    try:
        read(project(text, **others), language=LANGUAGE)
    except FilesRefused as refused:
        return [str(problem).partition("\n")[0] for problem in refused.problems]
    return []


def project(text: str | bytes, **others: str) -> dict[str, bytes]:
    content = text if isinstance(text, bytes) else text.encode()
    named = {f"{name.replace('__', '/')}.dig": other.encode() for name, other in others.items()}
    return {"w.dig": content, **named}
