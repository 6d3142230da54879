"""The way that leads to a page."""

from __future__ import annotations

from django.urls import reverse

from projects.models import Project, Workflow
from scheduler.models import Schedule, Session
from scheduler.web.frame import Link
from scheduler.web.times import local_text, zone_or_utc


def project_crumbs(project: Project) -> list[Link]:
    return [Link("Projects", reverse("projects")), Link(project.name, reverse("project", args=[project.pk]))]


def workflow_crumbs(workflow: Workflow, schedule: Schedule | None) -> list[Link]:
    """To the schedule of a workflow; its name alone where it has no schedule any more."""
    href = reverse("schedule", args=[schedule.pk]) if schedule else ""
    return [Link("Schedules", reverse("schedules")), Link(workflow.name, href)]


def session_crumbs(session: Session, schedule: Schedule | None, zone_name: str) -> list[Link]:
    text = local_text(session.session_time, zone_or_utc(zone_name))
    return [*workflow_crumbs(session.workflow, schedule), Link(text, reverse("session", args=[session.pk]))]
