"""Lists of 100 attempts and of 100 sessions by the API, at 10,000 and at 1,000,000 attempts, by gunicorn over loopback.

    python bench/lists.py [--rounds 5] [--requests 20] [--sizes 10000 1000000] [--explain]

Each figure is the median, over the rounds, of the mean time of one request. The caller is a user like any other, in
one group, who sees half of 40 projects. Every tenth session has a second attempt. Needs PostgreSQL.
"""

import argparse

import requests
from scratch import django_on_scratch, machine, median_seconds, served, table

PROJECTS = 40
WORKFLOWS = 10  # of each project
GOAL, FLOOR = "8 ms", "25 ms"
PATHS = {
    "attempts": (GOAL, FLOOR),
    "attempts?include_retried=true": (GOAL, FLOOR),
    "sessions": (GOAL, FLOOR),
    "attempts?last_id={middle}": (GOAL, FLOOR),
    "attempts?project=p3": ("", ""),
    "attempts?project=p3&workflow=w5": ("", ""),
    "attempts?project=quiet": ("", ""),
    "sessions/{session}/attempts": ("", ""),
}

SESSIONS = """
INSERT INTO scheduler_session (workflow_id, session_time, uuid, created_at)
SELECT workflows[1 + i %% %(count)s], timestamptz '2020-01-01 00:00Z' + i / %(count)s * interval '1 minute',
       gen_random_uuid(), timestamptz '2026-01-01 00:00Z'
  FROM generate_series(%(first)s, %(last)s) i, (SELECT %(workflows)s::bigint[] AS workflows) w
"""
ATTEMPTS = """
INSERT INTO scheduler_attempt (session_id, workflow_id, definition_id, index, name, is_latest, status, reason, params,
       lane, created_at, released_at, started_at, finished_at, worker, lease_token, deliveries)
SELECT s.id, s.workflow_id, d.id, n, CASE n WHEN 1 THEN '' ELSE 'again' END, n = last, 'success', '{}',
       '{"day": "2026-01-01"}', 'scheduled', s.created_at, s.created_at, s.created_at, s.created_at, 'host-1', 1, 1
  FROM scheduler_session s
  JOIN projects_workflowdefinition d ON d.workflow_id = s.workflow_id
  CROSS JOIN LATERAL (SELECT CASE WHEN s.id %% 10 = 0 THEN 2 ELSE 1 END AS last) l
  CROSS JOIN LATERAL generate_series(1, last) n
 WHERE s.id > %(after)s
 ORDER BY s.id, n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--explain", action="store_true", help="print the plans at each size")
    options = parser.parse_args()
    django_on_scratch("lists")
    key, workflows = prepare()
    rows = []
    for size in options.sizes:
        fill(size, workflows)
        with served() as address:
            rows += measured(address, key, size, options)
        if options.explain:
            explain()
    print(machine())
    print(table(rows))


def prepare() -> tuple[str, list[int]]:
    """Projects, workflows, and a user with a key who is in the group of every second project."""
    from datetime import UTC, datetime

    from django.contrib.auth.models import Group, User

    from projects import apikeys
    from projects.models import Project, Revision, Workflow, WorkflowDefinition

    now = datetime.now(UTC)
    mine, others = (Group.objects.create(name=name) for name in ("mine", "others"))
    user = User.objects.create_user("bench")
    user.groups.add(mine)
    workflows = []
    for number in range(PROJECTS):
        project = Project.objects.create(name=f"p{number}", created_at=now)
        project.groups.add(mine if number % 2 else others)
        revision = Revision.objects.create(project=project, name="r1", created_at=now)
        for name in range(WORKFLOWS):
            workflow = Workflow.objects.create(project=project, name=f"w{name}")
            WorkflowDefinition.objects.create(revision=revision, workflow=workflow, timezone="America/New_York")
            workflows.append(workflow.pk)
    quiet = Project.objects.create(name="quiet", created_at=now)
    quiet.groups.add(mine)
    Workflow.objects.create(project=quiet, name="w0")
    return apikeys.issue(user=user, name="bench", now=now)[1], workflows


def fill(size: int, workflows: list[int]) -> None:
    """Add sessions with their attempts until there are `size` attempts, then let the planner look at them."""
    from django.db import connection

    from scheduler.models import Session

    there = Session.objects.count()
    last = round(size * 10 / 11)
    values = {"workflows": workflows, "count": len(workflows), "first": there, "last": last - 1, "after": there}
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(SESSIONS, values)
        cursor.execute(ATTEMPTS, values)
        cursor.execute("VACUUM (ANALYZE) scheduler_session, scheduler_attempt, projects_project, projects_workflow")


def measured(address: str, key: str, size: int, options: argparse.Namespace) -> list[tuple[str, str, str, str]]:
    client = requests.Session()
    client.headers["Authorization"] = f"TD1 {key}"
    values = {"middle": size // 2, "session": first_visible_session(client, address)}

    def ask(path: str) -> None:
        answer = client.get(f"{address}/api/{path}", timeout=60)
        assert answer.status_code == 200, answer.text[:300]

    def milliseconds(path: str) -> float:
        ask(path)
        spent = median_seconds(lambda _: [ask(path) for _ in range(options.requests)], options.rounds)
        return spent / options.requests * 1000

    return [
        (f"{path} at {size:,}", f"{milliseconds(path.format(**values)):.1f} ms", goal, floor)
        for path, (goal, floor) in PATHS.items()
    ]


def first_visible_session(client: requests.Session, address: str) -> str:
    return client.get(f"{address}/api/sessions", timeout=60).json()["sessions"][0]["id"]


def explain() -> None:
    from django.contrib.auth.models import User
    from django.db import connection

    from projects.models import Project
    from scheduler.api.rows import attempt_query, session_query
    from scheduler.api.views import attempts_asked_for
    from scheduler.models import Session

    projects = Project.objects.visible_to(User.objects.get(username="bench"))
    names = dict(projects.values_list("pk", "name"))
    for rows in (
        attempt_query(attempts_asked_for(names, {})),
        attempt_query(attempts_asked_for(names, {"project": "p3"})),
        attempt_query(attempts_asked_for(names, {"project": "p3", "workflow": "w5"})),
        session_query(Session.objects.filter(workflow__project__in=names)),
    ):
        sql, values = rows.order_by("-pk")[:100].query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", values)
            print("\n".join(line for (line,) in cursor.fetchall()), end="\n\n")


if __name__ == "__main__":
    main()
