"""What the documents have to name, they name."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.timetable import Kind, parse_schedule, spec

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SOURCES = {
    path: path.read_text()
    for package in ("projects", "scheduler")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations" not in path.parts
}
PERMISSION = re.compile(r'"((?:projects|scheduler|django_celery_beat)\.(?:add|change|delete|run|backfill)_[a-z]+)"')


def section(title: str) -> str:
    """Of the README, from its heading to the next."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("permission", sorted({name for text in SOURCES.values() for name in PERMISSION.findall(text)}))
def test_the_readme_says_what_each_permission_allows(permission: str) -> None:
    assert f"`{permission}`" in section("Who may do what")


COMMANDS = sorted(path.stem for path in SOURCES if path.parent.name == "commands" and path.stem != "__init__")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_tells_of_every_command(command: str) -> None:
    assert re.search(rf"`{command}[ `]", section("At the command line"))


OPERATORS = (ROOT / "docs" / "operators.md").read_text()  # the settings of mail are there
PROCFILE = (ROOT / "Procfile").read_text()
READ = re.compile(r"""(?:env_[a-z]+\(|environ\.get\()\s*"([A-Z_]+)"|\$\{([A-Z_]+):-""")
VARIABLES = {
    one or other
    for text in (
        *(SOURCES[ROOT / "scheduler" / name] for name in ("settings.py", "management/commands/up.py")),
        PROCFILE,
    )
    for one, other in READ.findall(text)
}


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_every_setting_is_documented(variable: str) -> None:
    assert f"`{variable}`" in section("Settings") + OPERATORS


@pytest.mark.parametrize("line", PROCFILE.splitlines(), ids=lambda line: line.partition(":")[0])
def test_the_recipe_starts_what_the_procfile_starts(line: str) -> None:
    command = re.sub(r"\$\{[A-Z_]+:-([^}]+)\}", r"\1", line.partition(": ")[2])

    assert command in " ".join(section("Run it for others").replace("\\\n", "").split())


SCHEDULES = (ROOT / "docs" / "schedules.md").read_text()
WORDS = [*(f"{kind.value}>" for kind in Kind), *spec._OPTIONS, *spec._CATCH_UP, *spec._OVERLAP]
CLOCK_CHANGES = SCHEDULES.partition("## When the clocks change")[2]
EXAMPLE = re.compile(r"`([a-z_]+>): ([^`]+)`")


@pytest.mark.parametrize("word", WORDS)
def test_the_page_of_schedules_names_every_kind_key_and_policy(word: str) -> None:
    assert re.search(rf"`{word}[`:]", SCHEDULES)


@pytest.mark.parametrize(("kind", "text"), sorted(set(EXAMPLE.findall(SCHEDULES))))
def test_schedules_on_its_page_are_read(kind: str, text: str) -> None:
    assert parse_schedule({kind: text}, "America/Los_Angeles").timetable.expression == text


@pytest.mark.parametrize(
    "cells", re.findall(r"^\| `(cron>): ([^`]+)` \| ([^|]+) \| ([^|]+) \|$", CLOCK_CHANGES, re.MULTILINE)
)
def test_clock_changes_on_its_page_are_as_they_are(cells: tuple[str, str, str, str]) -> None:
    kind, text, *days = cells
    timetable = parse_schedule({kind: text}, "America/Los_Angeles").timetable

    for midnight, told in zip(
        (datetime(2026, 3, 8, 8, tzinfo=UTC), datetime(2026, 11, 1, 7, tzinfo=UTC)), days, strict=True
    ):
        slots = timetable.between(midnight, midnight + timedelta(hours=20))
        times = [timetable.local(slot.session_time).isoformat()[11:] for slot in slots]
        shown = re.findall(r"\d\d:\d\d-\d\d:\d\d", told)
        assert shown
        assert {f"{one[:5]}:00{one[5:]}" for one in shown} <= set(times)
        assert "…" in told or len(times) == len(shown)
