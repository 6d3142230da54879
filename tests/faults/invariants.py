"""What holds whatever broke: one look at the database, the ledger and the machine after each fault.

Every check answers with the rows that contradict it; `broken` gathers them, and a test wants it empty.

I1   a due slot has one session, or a skip, and no other slot has either
I2   at most one attempt of a session is live
I3   an attempt moved by legal arrows alone, its token never fell, and it ended once
I4   nothing is leased by a worker that is gone
I5   a successful attempt has successful tasks, and had run to its end
I6   one delivery ran a task once, and only the last one holds the result
I7   nothing ran after it was killed
I8   a backfill has as many attempts as it says
I9   no process and no workspace is left of what ended, and the broker holds no more than its window of doorbells,
     none of them taken and not acknowledged
I10  a session has an attempt
I11  no task of a done attempt is under way

That the suite can fail was tried by hand, one change at a time, each taken back afterwards:

- without the partial unique index `attempt_one_live_per_session`, eight started a session instead of one:
  test_of_eight_that_forget_every_lock_one_starts_the_session;
- without the token in the last statement of an attempt (`lease_token >= %s`), a worker that had slept ended the
  delivery of another: test_a_worker_that_slept_before_its_last_statement_ends_nobody_elses_delivery;
- without the look at that statement's row count in `Journal._close`, the same test is red, as the worker took the
  refusal for an end.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from scheduler.celery import app
from scheduler.models import Attempt, AttemptStatus, Schedule, Session, Skip

LEGAL = {
    ("", "queued"),
    ("queued", "running"),
    ("queued", "killed"),
    ("queued", "error"),
    ("running", "success"),
    ("running", "error"),
    ("running", "canceling"),
    ("running", "queued"),
    ("canceling", "killed"),
    ("canceling", "success"),
}
DONE = "('success', 'error', 'killed')"

QUERIES = {
    "I2 two live attempts": """
        SELECT session_id, count(*) FROM scheduler_attempt WHERE status IN ('queued', 'running', 'canceling')
         GROUP BY session_id HAVING count(*) > 1""",
    "I3 more than one end": f"""
        SELECT attempt_id, count(*) FROM fault_moves WHERE now IN {DONE} AND was IS DISTINCT FROM now
         GROUP BY attempt_id HAVING count(*) > 1""",
    "I3 moved after its end": f"SELECT attempt_id, was, now FROM fault_moves WHERE was IN {DONE}",
    "I3 the token fell": "SELECT attempt_id FROM fault_moves WHERE token < token_before",
    "I3 done and finished differ": f"""
        SELECT id, status FROM scheduler_attempt WHERE (status IN {DONE}) <> (finished_at IS NOT NULL)""",
    "I3 finished before it started": "SELECT id FROM scheduler_attempt WHERE finished_at < started_at",
    "I4 a lease is over": """
        SELECT id, status FROM scheduler_attempt WHERE lease_expires_at < clock_timestamp() - interval '5 seconds'""",
    "I5 a task of a success did not succeed": """
        SELECT attempt.id, task.full_name, task.state
          FROM scheduler_attempt attempt JOIN scheduler_taskrun task ON task.attempt_id = attempt.id
         WHERE attempt.status = 'success' AND task.state <> 'success'""",
    "I5 a success without tasks": """
        SELECT id FROM scheduler_attempt attempt WHERE status = 'success'
           AND NOT EXISTS (SELECT FROM scheduler_taskrun task WHERE task.attempt_id = attempt.id)""",
    "I7 a task began after the kill": """
        SELECT attempt.id, task.full_name
          FROM scheduler_attempt attempt JOIN scheduler_taskrun task ON task.attempt_id = attempt.id
         WHERE attempt.status = 'killed' AND task.started_at > attempt.finished_at""",
    "I11 a task of what is done is under way": f"""
        SELECT attempt.id, attempt.status, task.full_name, task.state
          FROM scheduler_attempt attempt JOIN scheduler_taskrun task ON task.attempt_id = attempt.id
         WHERE attempt.status IN {DONE}
           AND task.state IN ('ready', 'running', 'planned', 'retry_waiting', 'group_retry_waiting')""",
    "I8 a backfill and its attempts differ": """
        SELECT backfill.id, backfill.sessions, count(attempt.id)
          FROM scheduler_backfill backfill LEFT JOIN scheduler_attempt attempt ON attempt.backfill_id = backfill.id
         GROUP BY backfill.id HAVING backfill.sessions <> count(attempt.id)""",
    "I10 a session without an attempt": """
        SELECT id FROM scheduler_session session
         WHERE NOT EXISTS (SELECT FROM scheduler_attempt attempt WHERE attempt.session_id = session.id)""",
}

RECORD_MOVES = """
    CREATE TABLE fault_moves (id serial, attempt_id bigint, was text, now text, token_before bigint, token bigint);
    CREATE FUNCTION fault_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO fault_moves (attempt_id, was, now, token_before, token)
        VALUES (NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.status ELSE '' END, NEW.status,
                CASE TG_OP WHEN 'UPDATE' THEN OLD.lease_token ELSE 0 END, NEW.lease_token);
        RETURN NEW;
    END $$;
    CREATE TRIGGER fault_inserts AFTER INSERT ON scheduler_attempt FOR EACH ROW EXECUTE FUNCTION fault_move();
    CREATE TRIGGER fault_updates AFTER UPDATE ON scheduler_attempt FOR EACH ROW
      WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.lease_token IS DISTINCT FROM NEW.lease_token)
      EXECUTE FUNCTION fault_move();
"""
FORGET_MOVES = """
    DROP TRIGGER IF EXISTS fault_inserts ON scheduler_attempt;
    DROP TRIGGER IF EXISTS fault_updates ON scheduler_attempt;
    DROP FUNCTION IF EXISTS fault_move;
    DROP TABLE IF EXISTS fault_moves;
"""


class Ledger:
    """What really ran: a line per beginning and end of a task, appended by the task itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def task(self, between: str = "true") -> dict[str, object]:
        """A document of one task that runs `between`. The folder that it works in is named `attempt.token`."""
        note = f'echo "$(basename "$PWD") %s" >> {self.path}'
        return {"+work": {"sh>": f"{note % 'begin'}; {between}; {note % 'end'}"}}

    def lines(self) -> list[tuple[int, int, str]]:
        """Attempt, token, and `begin` or `end`, in the order in which they happened."""
        text = self.path.read_text() if self.path.exists() else ""
        return [(int(pk), int(token), what) for pk, token, what in re.findall(r"^(\d+)\.(\d+) (\w+)$", text, re.M)]

    def begins(self, attempt_id: int) -> int:
        return sum(pk == attempt_id and what == "begin" for pk, _, what in self.lines())


def broken(
    *, ledger: Ledger, work: Path, first_slots: Mapping[int, datetime], workspaces_left: int = 0
) -> dict[str, list[object]]:
    """Every check that fails, with what contradicts it. Call it at rest, when what ran has ended.

    `work` is the folder of the workspaces; `first_slots` the first due session time by schedule id.
    """
    found: dict[str, list[object]] = {}
    with connection.cursor() as cursor:
        for name, query in QUERIES.items():
            cursor.execute(query)
            found[name] = list(cursor.fetchall())
    found["I1 slots"] = [row for pk, first in first_slots.items() for row in wrong_slots(pk, first)]
    found["I3 illegal moves"] = list(illegal_moves())
    found["I5, I6, I7 ledger"] = list(contradictions(ledger))
    found["I9 processes"] = list(left_processes(work))
    left = list(left_workspaces(work))
    found["I9 workspaces"] = list(left) if len(left) > workspaces_left else []
    found["I9 messages"] = left_messages()
    return {name: rows for name, rows in found.items() if rows}


def wrong_slots(schedule_id: int, first: datetime) -> list[str]:
    """Slots of the schedule up to its cursor that are missing, and sessions that no slot asks for."""
    schedule = Schedule.objects.get(pk=schedule_id)
    due = {slot.session_time for slot in schedule.timetable.between(first, schedule.next_session_time)}
    started = set(Session.objects.filter(workflow=schedule.workflow_id).values_list("session_time", flat=True))
    skipped = set(Skip.objects.filter(schedule=schedule).values_list("session_time", flat=True))
    return [
        *(f"lost: {at}" for at in sorted(due - started - skipped)),
        *(f"not due: {at}" for at in sorted((started | skipped) - due)),
        *(f"started and skipped: {at}" for at in sorted(started & skipped)),
    ]


def illegal_moves() -> Iterator[tuple[int, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT attempt_id, was, now FROM fault_moves WHERE was <> now")
        yield from (row for row in cursor.fetchall() if (row[1], row[2]) not in LEGAL)


def contradictions(ledger: Ledger) -> Iterator[str]:
    lines = ledger.lines()
    yield from (f"twice: {line}" for line, times in Counter(lines).items() if times > 1)
    ended = {(pk, token) for pk, token, what in lines if what == "end"}
    known = {pk for pk, _, _ in lines}
    for attempt in Attempt.objects.filter(pk__in=known):
        if attempt.status == AttemptStatus.SUCCESS and (attempt.pk, attempt.lease_token) not in ended:
            yield f"attempt {attempt.pk} is success, but delivery {attempt.lease_token} did not end"
        if attempt.status == AttemptStatus.KILLED and attempt.started_at is None:
            yield f"attempt {attempt.pk} was killed before it started, and ran"
        if len({token for pk, token, _ in lines if pk == attempt.pk}) > attempt.deliveries:
            yield f"attempt {attempt.pk} ran more often than it was delivered"


def left_processes(work: Path) -> Iterator[str]:
    """Processes of tasks, known by their home: the workspace."""
    mark = f"HOME={work}/".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                yield f"{folder.name}: {(folder / 'cmdline').read_bytes()!r}"
        except OSError:
            continue


def left_workspaces(work: Path) -> Iterator[str]:
    """Folders of the delivery that ended its attempt. A living worker removes those of killed ones within a lease."""
    for pk, token in Attempt.objects.filter(finished_at__isnull=False).values_list("pk", "lease_token"):
        if (work / f"{pk}.{token}").exists():
            yield f"{pk}.{token}"


def left_messages() -> list[str]:
    """More than the window in a queue of this test's own, and messages that a worker took and never acknowledged.

    What a killed worker took from Redis comes back by the visibility timeout alone, and counts as if it were there.
    Without queues of its own (the fixture `own_broker`) there is nothing that could be told apart.
    """
    queues = app.conf.task_queues or ()
    most = 2 * settings.HINDCAST_DOORBELLS
    with app.connection_for_read() as broker:
        kind, channel = broker.transport.driver_type, broker.default_channel
        held = {queue.name: queue(channel).queue_declare().message_count for queue in queues}
        if kind == "redis":
            under_way = b" ".join(channel.client.hvals(channel.unacked_key)).decode()
            held = {name: count + under_way.count(f'"{name}"]') for name, count in held.items()}
    return [
        *(f"{count} messages in {name}" for name, count in held.items() if count > most),
        *(f"not acknowledged: {line}" for line in unacknowledged(kind) if any(name in line for name in held)),
    ]


def unacknowledged(kind: str) -> list[str]:
    """Queues of RabbitMQ with messages that are not acknowledged; its administrator alone may ask."""
    if kind != "amqp" or os.geteuid() != 0 or not shutil.which("rabbitmqctl"):
        return []
    asked = ["rabbitmqctl", "--quiet", "list_queues", "--no-table-headers", "messages_unacknowledged", "name"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    return [line for line in answer.stdout.splitlines() if not line.startswith("0")]
