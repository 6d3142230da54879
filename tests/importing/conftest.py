"""Crontabs and periodic tasks to come from."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from scheduler.importing.crontab import CrontabTaken, take_over
from scheduler.importing.periodic import Tracking, track

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TASK = "tests.shop.tasks.total"


@pytest.fixture
def import_crontab(db: None) -> Callable[..., CrontabTaken]:
    """import_crontab("0 3 * * * /bin/true"): into the project `jobs`, in UTC, unless told."""

    def take(text: str, **options: Any) -> CrontabTaken:
        return take_over(
            text, **{"source": "jobs.txt", "project_name": "jobs", "timezone": "UTC", "now": NOW, **options}
        )

    return take


@pytest.fixture
def make_periodic(db: None) -> Callable[..., PeriodicTask]:
    """A periodic task: make_periodic("0 3 * * *", timezone="Asia/Tokyo"), make_periodic(every=(5, "minutes"))."""

    def make(
        cron: str | None = "0 3 * * *",
        *,
        name: str = "Nightly totals",
        timezone: str = "UTC",
        every: tuple[int, str] | None = None,
        **fields: Any,
    ) -> PeriodicTask:
        rule: dict[str, Any] = {}
        if every:
            rule["interval"] = IntervalSchedule.objects.get_or_create(every=every[0], period=every[1])[0]
        elif cron:
            keys = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
            parts = dict(zip(keys, cron.split(), strict=True))
            rule["crontab"] = CrontabSchedule.objects.create(**parts, timezone=timezone)
        return PeriodicTask.objects.create(**{"name": name, "task": TASK, **rule, **fields})

    return make


@pytest.fixture
def track_all(db: None) -> Callable[..., Tracking]:
    """Track every periodic task there is, into the project `tracked`."""

    def take(**options: Any) -> Tracking:
        tasks = PeriodicTask.objects.select_related("crontab", "interval").order_by("pk")
        return track(tasks, **{"project_name": "tracked", "now": NOW, **options})

    return take
