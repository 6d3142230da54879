"""What must hold after a soak: the invariants of the fault tests, what HTTP promised, and what the logs say.

That a soak can fail was tried by hand: with one skip of each tick left out, slots are lost; with one place too many
given away in `turns`, pools are over their room, and two ran where one runs at a time. The sessions of a schedule that
went with its project are not counted.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from django.db import connection
from soak_load import Answer, Record

from projects.models import Project
from scheduler.models import Attempt, Backfill, Lane, Schedule, Session, Skip

# An error of the product itself.
BAD_EVENTS = {"attempt_broke", "schedule_failed", "batch_failed", "soak_client_broke"}
NUMBER = re.compile(r"\[[0-9a-f-]{36}\]|[0-9]+")
OFTENER = "ran more often than it was delivered"

# From the first claim to the end, by the order of the moves: a process that slept writes moments that are long past.
SPANS = """
    SELECT attempt.id, attempt.workflow_id, attempt.backfill_id, attempt.pool_id, attempt.name,
           min(move.id) FILTER (WHERE move.now = 'running') AS began,
           max(move.id) FILTER (WHERE move.now IN ('success', 'error', 'killed')) AS ended
      FROM scheduler_attempt attempt JOIN fault_moves move ON move.attempt_id = attempt.id
     GROUP BY attempt.id HAVING count(*) FILTER (WHERE move.now = 'running') > 0
"""

QUERIES = {
    "two ran where one runs at a time": f"""
        WITH span AS ({SPANS})
        SELECT one.id, other.id, one.workflow_id, one.backfill_id
          FROM span one JOIN span other ON other.workflow_id = one.workflow_id
           AND other.began > one.began AND other.began < one.ended
         WHERE one.backfill_id = other.backfill_id
            OR (one.name = '' AND other.name = '' AND one.workflow_id IN (
                SELECT workflow_id FROM scheduler_schedule WHERE overlap IN ('queue_one', 'cancel_running')))""",
    "broken by Hindcast": """
        SELECT id, reason FROM scheduler_attempt WHERE reason->>'message' LIKE 'Hindcast could not%'""",
    "an error that no task made": """
        SELECT attempt.id, workflow.name, attempt.reason
          FROM scheduler_attempt attempt JOIN projects_workflow workflow ON workflow.id = attempt.workflow_id
         WHERE attempt.status = 'error' AND workflow.name NOT LIKE '%fail%'
           AND attempt.reason->>'message' NOT LIKE 'worker lost%'""",
    "a failure that succeeded": """
        SELECT attempt.id FROM scheduler_attempt attempt
          JOIN projects_workflow workflow ON workflow.id = attempt.workflow_id
         WHERE attempt.status = 'success' AND (workflow.name LIKE '%fail%' OR workflow.name = 'poison')""",
    "live in a deleted project": """
        SELECT attempt.id, attempt.status FROM scheduler_attempt attempt
          JOIN projects_workflow workflow ON workflow.id = attempt.workflow_id
          JOIN projects_project project ON project.id = workflow.project_id
         WHERE project.deleted_at IS NOT NULL AND attempt.status IN ('queued', 'running', 'canceling')""",
    "a schedule in a deleted project": """
        SELECT schedule.id FROM scheduler_schedule schedule
          JOIN projects_workflow workflow ON workflow.id = schedule.workflow_id
          JOIN projects_project project ON project.id = workflow.project_id WHERE project.deleted_at IS NOT NULL""",
    "deadlocks": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database() AND deadlocks > 0",
}


def found(
    *,
    ledger: object,
    work: Path,
    first_slots: Mapping[int, datetime],
    record: Record,
    logs: Path,
    workspaces_left: int,
) -> dict[str, list[object]]:
    """Everything that is broken, with what contradicts it. Call it at rest.

    `first_slots` is the first session time of each schedule, by its id; `workspaces_left` how many folders killed
    workers may have left.
    """
    from tests.faults.invariants import Ledger, broken

    assert isinstance(ledger, Ledger)
    result = broken(ledger=ledger, work=work, first_slots={}, workspaces_left=workspaces_left)
    # A delivery that was given back is not counted; `oftener` asks the moves instead.
    name = "I5, I6, I7 ledger"
    result[name] = [line for line in result.get(name, []) if OFTENER not in str(line)]
    result["I6 ran oftener than it was claimed"] = list(oftener(ledger.lines()))
    with connection.cursor() as cursor:
        for name, query in QUERIES.items():
            cursor.execute(query)
            result[name] = list(cursor.fetchall())
    result["I1 slots"] = [line for pk, first in first_slots.items() for line in wrong_slots(pk, first)]
    result["pools over their room"] = list(crowded_pools())
    result["promises"] = list(broken_promises(record))
    result["unexpected answers"] = list(record.surprises)
    result["logs"] = list(log_lines(logs))
    return {name: rows for name, rows in result.items() if rows}


def oftener(lines: Iterable[tuple[int, int, str]]) -> Iterator[str]:
    """Attempts whose tasks ran in more deliveries than there were claims."""
    tokens = defaultdict(set)
    for pk, token, _ in lines:
        tokens[pk].add(token)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attempt_id, count(*) FROM fault_moves WHERE now = 'running' AND was = 'queued' GROUP BY 1"
        )
        claims = dict(cursor.fetchall())
    yield from (f"{pk}: {seen} {claims.get(pk)}" for pk, seen in tokens.items() if len(seen) > claims.get(pk, 0))


def wrong_slots(schedule_id: int, first: datetime) -> Iterator[str]:
    """As in the fault tests, but backfills and manual starts make sessions, too, and may run what was skipped."""
    schedule = Schedule.objects.filter(pk=schedule_id).first()
    if schedule is None:  # went with its project
        return
    due = {slot.session_time for slot in schedule.timetable.between(first, schedule.next_session_time)}
    there = set(Session.objects.filter(workflow=schedule.workflow_id).values_list("session_time", flat=True))
    skipped = set(Skip.objects.filter(schedule=schedule).values_list("session_time", flat=True))
    own = Attempt.objects.filter(workflow=schedule.workflow_id, index=1, name="").exclude(lane=Lane.MANUAL)
    started = set(own.values_list("session__session_time", flat=True))
    yield from (f"schedule {schedule_id} lost: {at}" for at in sorted(due - there - skipped))
    yield from (f"schedule {schedule_id} not due: {at}" for at in sorted((started | skipped) - due))
    yield from (f"schedule {schedule_id} started and skipped: {at}" for at in sorted(started & skipped))


def crowded_pools() -> Iterator[str]:
    """Pools in which more ran at once than they have slots."""
    moments: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT pool.id, pool.slots, span.id, span.began, span.ended
              FROM scheduler_pool pool JOIN ({SPANS}) span ON span.pool_id = pool.id"""
        )
        for pool, slots, pk, began, ended in cursor.fetchall():
            moments[pool, slots] += [(began, 1, pk), (ended, -1, pk)]
    for (pool, slots), changes in moments.items():
        running = 0
        for _, change, pk in sorted(changes):
            running += change
            if running > slots:
                yield f"pool {pool}: {running} as attempt {pk} began"


def broken_promises(record: Record) -> Iterator[str]:
    """What was answered and is not so."""
    for name, answers in record.backfills.items():
        yield from broken_backfill(name, answers)
    made = Backfill.objects.filter(name__in=record.dry_runs)
    yield from (f"a dry run wrote: {name}" for name in made.values_list("name", flat=True))
    ended = dict(Attempt.objects.filter(pk__in=record.kills).values_list("pk", "status"))
    yield from (
        f"killed, but {pk}: {ended.get(pk)}" for pk in record.kills if ended.get(pk) not in ("killed", "success")
    )
    there = dict(Attempt.objects.filter(pk__in=record.starts).values_list("pk", "name"))
    yield from (f"started, but not there: {pk} {name!r}" for pk, name in record.starts.items() if there.get(pk) != name)
    alive = Project.objects.live().filter(pk__in=record.deleted)
    yield from (f"deleted, but there: project {pk}" for pk in alive.values_list("pk", flat=True))


def broken_backfill(name: str, answers: list[Answer]) -> Iterator[str]:
    """One of this name at most; exactly what the answer said; none where all were refused."""
    made = list(Backfill.objects.filter(name=name))
    promised = [answer for answer in answers if answer.status == 200 and answer.body["attempts"]]
    if len(made) > 1:
        yield f"{name}: {len(made)} backfills"
    if len(promised) > 1:
        yield f"{name}: promised {len(promised)} times"
    if made and not promised and not any(answer.is_lost for answer in answers):
        yield f"{name}: there, though refused with {[answer.status for answer in answers]}"
    for answer in promised:
        said = {(int(one["id"]), datetime.fromisoformat(one["sessionTime"])) for one in answer.body["attempts"]}
        rows = Attempt.objects.filter(backfill__in=made, name=name)
        if said != set(rows.values_list("pk", "session__session_time")):
            yield f"{name}: answered {len(said)} attempts, {len(rows)} are there, or others"


def log_lines(logs: Path) -> Iterator[str]:
    """Errors of the product itself, and tracebacks that are no lines of its log."""
    for path in sorted(logs.glob("*.log")):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if line.startswith("Traceback (most recent call last)"):
                yield f"{path.name}:{number}: a traceback"
            elif event(line)[1] in BAD_EVENTS:
                yield f"{path.name}:{number}: {line[:300]}"


def events(logs: Path) -> Counter[str]:
    """How often each warning and error is in the logs, whatever the ids in it."""
    lines = (
        event(line) for path in sorted(logs.glob("*.log")) for line in path.read_text(errors="replace").splitlines()
    )
    return Counter(
        f"{level} {NUMBER.sub('#', name)[:60]}" for level, name in lines if level in ("warning", "error", "critical")
    )


def event(line: str) -> tuple[str, str]:
    """Level and event of one line of a log; empty when it is no line of the product's."""
    try:
        facts = json.loads(line)
        return facts["level"], str(facts["event"])
    except (ValueError, KeyError, TypeError):
        return "", ""
