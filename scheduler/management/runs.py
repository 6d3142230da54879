"""What runs, as commands print it, from schedules to tasks: the wire's entries, as they are or in columns."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from scheduler.api import entries
from scheduler.api.entries import Entry, instant
from scheduler.api.rows import attempt_rows
from scheduler.management.tables import cell, facts, table
from scheduler.models import Attempt, TaskRun
from scheduler.timetable import NEVER
from scheduler.web.rows import length_of, reason_text

# Together a line of 99 columns, with ids of seven digits.
MOST_WORKFLOW = 34
MOST_NAME = 15
MOST_REASON = 400
SESSIONS = ("SESSION", "WORKFLOW", "SESSION TIME", "ATTEMPT", "STATUS")
SCHEDULES = ("ID", "WORKFLOW", "NEXT SESSION", "RUNS", "STATE")
ATTEMPTS = ("ATTEMPT", "WORKFLOW", "SESSION TIME", "NAME", "STATUS")
BACKFILLS = ("ID", "WORKFLOW", "NAME", "QUEUED", "RUNNING", "SUCCESS", "ERROR", "KILLED")
TASKS = ("TASK", "STATE", "STARTED", "ERROR")


def entry_of(attempt_id: int) -> Entry:
    """An attempt that is there, as the API answers it."""
    return entries.attempt_entry(*attempt_rows(Attempt.objects.filter(pk=attempt_id))[0])


def schedules_table(rows: Iterable[Entry]) -> str:
    return table(SCHEDULES, [schedule_cells(row) for row in rows])


def schedule_cells(row: Entry) -> tuple[str, ...]:
    state = "disabled" if row["disabledAt"] else "enabled"
    if row["nextRunTime"] == instant(NEVER):
        return row["id"], workflow_cell(row), "never again", "", state
    return row["id"], workflow_cell(row), row["nextScheduleTime"], row["nextRunTime"], state


def sessions_table(rows: Iterable[Entry]) -> str:
    return table(SESSIONS, [session_cells(row) for row in rows])


def session_cells(row: Entry) -> tuple[str, ...]:
    latest = row["lastAttempt"]
    ran = (latest["id"], latest["status"]) if latest else ("", "no attempt")
    return row["id"], workflow_cell(row), row["sessionTime"], *ran


def attempts_table(rows: Iterable[Entry]) -> str:
    return table(ATTEMPTS, [attempt_cells(row) for row in rows])


def attempt_cells(row: Entry) -> tuple[str, ...]:
    name = cell(row.get("retryAttemptName", ""), MOST_NAME)
    return row["id"], workflow_cell(row), row["sessionTime"], name, row["status"]


def backfills_table(rows: Iterable[Entry]) -> str:
    return table(BACKFILLS, [backfill_cells(row) for row in rows])


def backfill_cells(row: Entry) -> tuple[str, ...]:
    counts = row["attempts"]
    running = counts["running"] + counts["canceling"]
    shown = (counts["queued"], running, counts["success"], counts["error"], counts["killed"])
    return row["id"], workflow_cell(row, MOST_WORKFLOW - 1), cell(row["name"], MOST_NAME), *map(str, shown)


def workflow_cell(row: Entry, most: int = MOST_WORKFLOW) -> str:
    return cell(f"{row['project']['name']}/{row['workflow']['name']}", most)


def tasks_table(tasks: Iterable[TaskRun]) -> str:
    return table(TASKS, [task_cells(task) for task in tasks])


def task_cells(task: TaskRun) -> tuple[str, ...]:
    started = instant(task.started_at) if task.started_at else ""
    return cell(task.full_name, 60), str(task.state), started, cell(message_of(task.error), 100)


def message_of(error: Any) -> str:
    message = error.get("message", "") if isinstance(error, dict) else error
    return str(message)


def attempt_facts(attempt: Attempt, entry: Entry, now: datetime) -> str:
    """All of one attempt, a fact a line."""
    return facts((*who(entry), *what_became(attempt, now)))


def who(entry: Entry) -> Iterator[tuple[str, str]]:
    """What an attempt is, also one of a dry run: an entry without a row."""
    yield "attempt", "" if entry["id"] == entries.NO_ID else entry["id"]
    yield "workflow", cell(f"{entry['project']['name']}/{entry['workflow']['name']}", 160)
    yield "session", "" if entry["sessionId"] == entries.NO_ID else entry["sessionId"]
    yield "session time", entry["sessionTime"]
    yield "name", cell(entry.get("retryAttemptName", ""), 80)
    yield "params", cell(json.dumps(entry["params"], ensure_ascii=False), MOST_REASON) if entry["params"] else ""
    yield "status", entry["status"]


def what_became(attempt: Attempt, now: datetime) -> Iterator[tuple[str, str]]:
    yield "reason", cell(reason_text(attempt), MOST_REASON)
    yield "revision", cell(attempt.definition.revision.name, 80)
    yield "lane", str(attempt.lane)
    yield "backfill", str(attempt.backfill_id or "")
    yield "created", instant(attempt.created_at)
    yield "started", instant(attempt.started_at) if attempt.started_at else ""
    yield "finished", instant(attempt.finished_at) if attempt.finished_at else ""
    yield "took", length_of(attempt, now)
