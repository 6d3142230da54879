"""Whole projects: what a good one is read as, and the exact text that a bad one is refused with.

A project is a folder under `good/` or `bad/`; beside it stands what is expected. Run with `WRITE_GOLDEN=1` to write
that anew, and read the difference.
"""

import json
import os
from pathlib import Path

import pytest

from projects.dig import FilesRefused, read
from tests.dig.language import LANGUAGE

HERE = Path(__file__).parent


def folders(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).iterdir() if path.is_dir())


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def expected(folder: Path, suffix: str, answer: str) -> str:
    path = folder.with_suffix(suffix)
    if "WRITE_GOLDEN" in os.environ:
        path.write_text(answer)
    return path.read_text()


@pytest.mark.parametrize("folder", folders("good"), ids=lambda folder: folder.name)
def test_a_good_project_is_read_as_its_documents(folder: Path) -> None:
    documents = read(files_of(folder), language=LANGUAGE)

    answer = json.dumps(documents, indent=2) + "\n"
    assert answer == expected(folder, ".json", answer)


@pytest.mark.parametrize("folder", folders("bad"), ids=lambda folder: folder.name)
def test_a_bad_project_is_refused_with_every_mistake(folder: Path) -> None:
    with pytest.raises(FilesRefused) as refused:
        read(files_of(folder), language=LANGUAGE)

    answer = str(refused.value) + "\n"
    assert answer == expected(folder, ".txt", answer)
