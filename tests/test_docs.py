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
