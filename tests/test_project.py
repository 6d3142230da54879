"""The project tests itself: directions of imports, one writer of `status`, no missing migration, tidy files."""

import ast
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 420
MOST_LINES_OF_A_TEST = 450  # a table of cases is long, and easy to read
FORBIDDEN_NAMES = {"utils", "helpers", "services", "common", "misc", "util", "helper"}

# From the ground up. A module imports its own layer and those below; project files may import anything.
PURE, MODELS, VERBS, DOORS, PROJECT = range(5)
LAYERS = {
    "scheduler.timetable": PURE,
    "scheduler.errors": PURE,
    "scheduler.broker": PURE,
    "scheduler.environment": PURE,
    "scheduler.celery": PURE,  # the application object, which knows nothing of the domain
    "projects.masking": PURE,
    "projects.paths": PURE,
    "projects.sealing": PURE,
    "projects.tar": PURE,
    "projects.dig": PURE,
    "projects.models": MODELS,
    "scheduler.models": MODELS,
    "projects.access": MODELS,
    "projects.apikeys": VERBS,
    "projects.archive_files": VERBS,
    "projects.archives": VERBS,
    "projects.folders": VERBS,
    "projects.limits": VERBS,
    "projects.revisions": VERBS,
    "projects.secrets": VERBS,
    "projects.storage": VERBS,
    "projects.uploads": VERBS,
    "scheduler.attempts": VERBS,
    "scheduler.backfill": VERBS,
    "scheduler.deletion": VERBS,
    "scheduler.dispatch": VERBS,
    "scheduler.known_tasks": VERBS,
    "scheduler.language": VERBS,
    "scheduler.line": VERBS,
    "scheduler.logs": VERBS,
    "scheduler.pushing": VERBS,
    "scheduler.execution": VERBS,
    "scheduler.importing": VERBS,
    "scheduler.schedules": VERBS,
    "scheduler.starting": VERBS,
    "scheduler.clock": VERBS,
    "scheduler.leadership": VERBS,
    "scheduler.policy": VERBS,
    "scheduler.presence": VERBS,
    "scheduler.retrying": VERBS,
    "scheduler.ticker": VERBS,
    "scheduler.truncation": VERBS,
    "scheduler.turns": VERBS,
    "projects.admin": DOORS,
    "projects.secret_field": DOORS,
    "scheduler.admin": DOORS,
    "scheduler.admin_site": DOORS,
    "scheduler.api": DOORS,
    "scheduler.beat": DOORS,
    "scheduler.management": DOORS,
    "scheduler.observe": DOORS,
    "scheduler.tasks": DOORS,
    "scheduler.web": DOORS,
    "projects.apps": PROJECT,
    "scheduler.apps": PROJECT,
    "scheduler.checks": PROJECT,
    "scheduler.settings": PROJECT,
    "scheduler.urls": PROJECT,
    "scheduler.wsgi": PROJECT,
}
# Steps of the demo's workflows, and history.
NOT_MODULES = ("management/demo/project/", "management/demo/before_the_fix/", "migrations/")


def product_files() -> list[Path]:
    files = [path for package in ("projects", "scheduler") for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in files if not any(part in path.as_posix() for part in NOT_MODULES)]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> int | None:
    """The layer of the longest prefix that has one; None for the bare packages."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((LAYERS[prefix] for prefix in prefixes if prefix in LAYERS), None)


def imports_of(path: Path) -> Iterator[str]:
    """Full names of what a module imports of the product; `from a import b` is a.b, as b may be a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("projects", "scheduler"))


@pytest.mark.parametrize("path", product_files(), ids=module_of)
def test_imports_run_downwards(path: Path) -> None:
    module = module_of(path)
    layer = layer_of(module)
    if layer is None:
        assert not list(imports_of(path)), f"{module} has no layer: name it in LAYERS"
        return

    upwards = [name for name in imports_of(path) if (layer_of(name) or PURE) > layer]

    assert not upwards


@pytest.mark.parametrize("path", [path for path in product_files() if "projects" in path.parts], ids=module_of)
def test_projects_never_imports_the_scheduler(path: Path) -> None:
    assert not [name for name in imports_of(path) if name.startswith("scheduler")]


def writes_of_status(tree: ast.AST) -> Iterator[int]:
    """Lines that write an attempt's status: `.update(status=…)`, `bulk_update(…, ["status"])`, `x.status = …`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            named = any(keyword.arg == "status" for keyword in node.keywords)
            listed = any(isinstance(part, ast.Constant) and part.value == "status" for part in ast.walk(node))
            if (node.func.attr == "update" and named) or (node.func.attr == "bulk_update" and listed):
                yield node.lineno
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Attribute) and target.attr == "status" for target in targets):
            yield node.lineno  # type: ignore[attr-defined]


def test_the_search_for_writers_of_status_finds_them() -> None:
    source = """
rows.filter(pk=1).update(status="error")
Attempt.objects.bulk_update(rows, ["status"])
attempt.status = "error"
Attempt(status="queued")
"""

    assert sorted(writes_of_status(ast.parse(source))) == [2, 3, 4]


@pytest.mark.parametrize("path", product_files(), ids=module_of)
def test_only_the_verbs_of_attempts_write_their_status(path: Path) -> None:
    if module_of(path) == "scheduler.attempts":
        pytest.skip("the one that does")

    lines = [
        line
        for line in writes_of_status(ast.parse(path.read_text()))
        if "response" not in path.read_text().splitlines()[line - 1]  # an HTTP answer has a status of its own
    ]

    assert not lines


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())


def tracked_files() -> list[Path]:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        pytest.skip("not a git checkout")
    return [path for name in answer.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_of_code_is_too_long() -> None:
    code = [path for path in tracked_files() if path.suffix in {".py", ".html", ".css", ".js"}]
    lines = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in code}

    assert lines
    assert not {
        path: count
        for path, count in lines.items()
        if count > (MOST_LINES_OF_A_TEST if path.parts[0] == "tests" else MOST_LINES)
    }


def test_files_are_named_after_what_they_hold() -> None:
    assert not [path for path in tracked_files() if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES]


def test_constraints_are_exact_versions_from_no_place_in_particular() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    assert lines
    assert not [line for line in lines if line.count("==") != 1 or "/" in line or "@" in line]
