"""Reads files of the tests in the language of the product."""

from projects.dig import Document, FilesRefused, read
from scheduler.language import LANGUAGE


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
