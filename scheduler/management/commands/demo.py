"""DOOR: the demo project."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from scheduler.management import demo


class Command(BaseCommand):
    help = "Make the project `demo` with four weeks of past to backfill. Does nothing when it is there."

    def handle(self, *args: Any, **options: Any) -> None:
        for schedule in demo.make(now=datetime.now(UTC)):
            self.stdout.write(f"schedule {schedule.pk}: {schedule.workflow.name}, {schedule.timetable.describe()}")
