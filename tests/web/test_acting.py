"""Killing and retrying from the page of an attempt."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduler.models import Attempt, AttemptStatus, Pool, Schedule


@pytest.fixture
def runner(make_user: Callable[..., User]) -> Client:
    client = Client()
    client.force_login(make_user("rita", "scheduler.run_attempt"))
    return client


def text_of(client: Client, path: str) -> str:
    return client.get(path).content.decode()


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("queued", ["kill"]),
        ("running", ["kill"]),
        ("canceling", []),
        ("success", []),
        ("error", ["retry", "retry?resume=failed"]),
        ("killed", ["retry", "retry?resume=failed"]),
    ],
)
def test_the_page_offers_what_can_be_done(
    runner: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], status: str, offered: list[str]
) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus(status))

    html = text_of(runner, f"/attempts/{attempt.pk}")

    for action in ("kill", "retry", "retry?resume=failed"):
        assert (f'href="/attempts/{attempt.pk}/{action}"' in html) == (action in offered)


def test_who_may_only_look_is_offered_nothing_and_may_do_nothing(
    onlooker: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus.QUEUED)

    assert "/kill" not in text_of(onlooker, f"/attempts/{attempt.pk}")
    for action in ("kill", "retry"):
        assert onlooker.post(f"/attempts/{attempt.pk}/{action}", {"name": "again"}).status_code == 403
    attempt.refresh_from_db()
    assert attempt.status == "queued"


def test_killing_asks_once_naming_the_attempt(
    runner: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(schedule, status=AttemptStatus.QUEUED)

    asked = text_of(runner, f"/attempts/{attempt.pk}/kill")
    attempt.refresh_from_db()
    before = attempt.status
    runner.post(f"/attempts/{attempt.pk}/kill")

    attempt.refresh_from_db()
    assert f"Kill attempt {attempt.pk}" in asked
    assert (before, attempt.status) == ("queued", "killed")


def test_killing_what_is_done_says_so(runner: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]) -> None:
    attempt = make_attempt(schedule)

    html = runner.post(f"/attempts/{attempt.pk}/kill", follow=True).content.decode()

    assert "is success already" in html


def test_a_retry_runs_all_tasks_or_resumes(
    runner: Client, schedule: Schedule, make_attempt: Callable[..., Attempt]
) -> None:
    failed = make_attempt(schedule, status=AttemptStatus.ERROR, params={"a": 1})

    asked = text_of(runner, f"/attempts/{failed.pk}/retry?resume=failed")
    runner.post(f"/attempts/{failed.pk}/retry", {"name": "again", "resume": "failed"})

    retry = Attempt.objects.get(name="again")
    assert 'value="retry-20' in asked
    assert "not run again" in asked
    assert (retry.resumed_from_id, retry.params, retry.session_id) == (failed.pk, {"a": 1}, failed.session_id)
    Attempt.objects.filter(pk=retry.pk).update(status="error", finished_at=failed.finished_at)
    runner.post(f"/attempts/{failed.pk}/retry", {"name": "whole", "resume": ""})
    assert Attempt.objects.get(name="whole").resumed_from_id is None


def test_a_retry_runs_in_the_pool_of_the_attempt(
    runner: Client, make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    usual, narrow = (Pool.objects.create(name=name, slots=1) for name in ("usual", "narrow"))
    failed = make_attempt(make_schedule(pool=usual), status=AttemptStatus.ERROR, pool=narrow)

    runner.post(f"/attempts/{failed.pk}/retry", {"name": "again", "resume": ""})

    assert Attempt.objects.get(name="again").pool == narrow


@pytest.mark.parametrize("name", ["", "a\x07b", "x" * 300, "taken"])
def test_a_refused_retry_says_why_and_starts_nothing(
    runner: Client, schedule: Schedule, make_attempt: Callable[..., Attempt], name: str
) -> None:
    failed = make_attempt(schedule, status=AttemptStatus.ERROR, name="taken")

    response = runner.post(f"/attempts/{failed.pk}/retry", {"name": name, "resume": "failed"})

    assert response.status_code == 200
    assert 'class="wrong-text"' in response.content.decode() or 'role="alert"' in response.content.decode()
    assert Attempt.objects.count() == 1
