"""Read a project's `.dig` files as the documents that a revision holds."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from projects.dig.language import Language, TextProblems
from projects.dig.nodes import plain
from projects.dig.problems import Enough, FilesRefused, Problem, Problems
from projects.dig.project import SUFFIX, Project, workflow_files
from projects.dig.shape import simplified
from projects.dig.workflow import check_name, check_workflow

Document = dict[str, Any]


def read(files: Mapping[str, bytes], *, language: Language) -> dict[str, Document]:
    """The documents of a project's workflows by name, its includes merged in: JSON values alone.

    `files` are all files of the project by relative POSIX path; those that are neither workflows nor included are not
    looked at. Raises FilesRefused with every mistake that was found.
    """
    paths = workflow_files(files)
    return {path.removesuffix(SUFFIX): document for path, document in _documents(files, paths, language).items()}


def read_file(files: Mapping[str, bytes], path: str, *, language: Language) -> Document:
    """The document of one workflow file of the project, in any folder, such as `call>` names. `path` is in `files`.

    Raises FilesRefused.
    """
    return _documents(files, [path], language)[path]


def _documents(files: Mapping[str, bytes], paths: list[str], language: Language) -> dict[str, Document]:
    problems = Problems()
    project = Project(files, problems)
    text_problems = language.text_problems()
    documents = {}
    with suppress(Enough):
        for path in paths:
            documents[path] = _document(project, path, language, text_problems, problems)
    if problems:
        raise FilesRefused([_with_its_line(problem, project) for problem in problems.in_order()])
    return documents


def _document(
    project: Project, path: str, language: Language, text_problems: TextProblems, problems: Problems
) -> Document:
    check_name(path.rpartition("/")[2].removesuffix(SUFFIX), path, problems)
    root = simplified(project.mapping(path), language)
    check_workflow(root, language=language, text_problems=text_problems, problems=problems)
    document: Document = plain(root)
    return document


def _with_its_line(problem: Problem, project: Project) -> Problem:
    source = project.sources.get(problem.place.file)
    return replace(problem, text=source.line(problem.place.line)) if source else problem
