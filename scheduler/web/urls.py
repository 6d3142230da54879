"""Where the pages are."""

from django.contrib.auth.views import LogoutView
from django.urls import path, register_converter
from django.urls.converters import IntConverter

from scheduler.web import (
    acting,
    attempts,
    backfill_acting,
    backfilling,
    backfills,
    deleting,
    project,
    projects,
    pushing,
    revisions,
    schedules,
    secrets,
    sessions,
    starting,
    switching,
)
from scheduler.web.health import healthz, livez
from scheduler.web.signing_in import login


class RowId(IntConverter):
    """A number that a row's id can be, in every database."""

    regex = "[0-9]{1,18}"


register_converter(RowId, "row")

urlpatterns = [
    path("", schedules.schedule_list, name="schedules"),
    path("schedules/<int:schedule_id>", schedules.schedule_page, name="schedule"),
    path("schedules/<int:schedule_id>/enable", switching.schedule_enable, name="schedule_enable"),
    path("schedules/<int:schedule_id>/disable", switching.schedule_disable, name="schedule_disable"),
    path("schedules/<int:schedule_id>/skip", switching.schedule_skip, name="schedule_skip"),
    path("schedules/<int:schedule_id>/backfill", backfilling.backfill_form, name="backfill_form"),
    path("projects", projects.project_list, name="projects"),
    path("projects/push", pushing.project_push, name="project_push"),
    path("projects/<row:project_id>", project.project_page, name="project"),
    path("projects/<row:project_id>/push", pushing.project_push, name="project_push_to"),
    path("projects/<row:project_id>/delete", deleting.project_delete, name="project_delete"),
    path("projects/<row:project_id>/secrets", secrets.secret_list, name="secrets"),
    path("projects/<row:project_id>/secrets/set", secrets.secret_set, name="secret_set"),
    path("projects/<row:project_id>/secrets/<path:key>/delete", secrets.secret_delete, name="secret_delete"),
    path("projects/<row:project_id>/revisions/<row:revision_id>", revisions.revision_page, name="revision"),
    path(
        "projects/<row:project_id>/revisions/<row:revision_id>/archive",
        revisions.revision_archive,
        name="revision_archive",
    ),
    path("projects/<row:project_id>/workflows/<row:workflow_id>/start", starting.workflow_start, name="workflow_start"),
    path("backfills", backfills.backfill_list, name="backfills"),
    path("backfills/<int:backfill_id>", backfills.backfill_page, name="backfill"),
    path("backfills/<int:backfill_id>/progress", backfills.backfill_progress, name="backfill_progress"),
    path("backfills/<int:backfill_id>/kill", backfill_acting.backfill_kill, name="backfill_kill"),
    path("backfills/<int:backfill_id>/retry", backfill_acting.backfill_retry, name="backfill_retry"),
    path("sessions/<int:session_id>", sessions.session_page, name="session"),
    path("attempts", attempts.attempt_list, name="attempts"),
    path("attempts/<int:attempt_id>", attempts.attempt_page, name="attempt"),
    path("attempts/<int:attempt_id>/kill", acting.attempt_kill, name="attempt_kill"),
    path("attempts/<int:attempt_id>/retry", acting.attempt_retry, name="attempt_retry"),
    path("attempts/<int:attempt_id>/live", attempts.attempt_live, name="attempt_live"),
    path("attempts/<int:attempt_id>/tasks", attempts.attempt_tasks, name="attempt_tasks"),
    path("attempts/<int:attempt_id>/log", attempts.attempt_log, name="attempt_log"),
    path("attempts/<int:attempt_id>/log.txt", attempts.attempt_log_raw, name="attempt_log_raw"),
    path("login", login, name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("healthz", healthz, name="healthz"),
    path("livez", livez, name="livez"),
]
