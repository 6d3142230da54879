"""Killing a whole backfill from its page, and running again what failed of it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduler.backfill import backfill
from scheduler.models import Attempt, AttemptStatus, Backfill, Schedule

PERMISSIONS = ("scheduler.run_attempt", "scheduler.backfill_schedule")


@pytest.fixture
def mender(make_user: Callable[..., User]) -> Client:
    """Signed in as somebody who may backfill, retry and kill."""
    client = Client()
    client.force_login(make_user("mia", *PERMISSIONS))
    return client


@pytest.fixture
def make_run(schedule: Schedule, now: datetime) -> Callable[..., Backfill]:
    """make_run("success", "error", "queued"): a backfill whose attempts are in these states, oldest session first."""

    def make(*states: str, name: str = "again") -> Backfill:
        from_time = now - timedelta(hours=len(states) - 1)
        plan = backfill(schedule_id=schedule.pk, attempt_name=name, from_time=from_time, dry_run=False, now=now)
        assert plan.backfill
        for item, state in zip(plan.planned, states, strict=True):
            done = state in ("success", "error", "killed")
            leased = now + timedelta(minutes=5) if state in ("running", "canceling") else None
            Attempt.objects.filter(pk=item.attempt_id).update(
                status=state, finished_at=now if done else None, lease_expires_at=leased, started_at=now
            )
        return plan.backfill

    return make


def read(client: Client, row: Backfill, verb: str = "") -> str:
    return client.get(f"/backfills/{row.pk}{verb}").content.decode()


def send(client: Client, row: Backfill, verb: str, **fields: str) -> Any:
    return client.post(f"/backfills/{row.pk}/{verb}", fields, follow=True)


def states(row: Backfill) -> list[str]:
    return list(Attempt.objects.filter(backfill=row).order_by("pk").values_list("status", flat=True))


def test_its_page_says_how_many_would_be_killed(mender: Client, make_run: Callable[..., Backfill]) -> None:
    html = read(mender, make_run("success", "running", "queued", "queued"))

    assert ">Kill 3 attempts</a>" in html
    assert "Retry" not in html


def test_killing_asks_with_what_becomes_of_each(mender: Client, make_run: Callable[..., Backfill]) -> None:
    row = make_run("success", "running", "queued", "queued")

    html = read(mender, row, "/kill")

    assert "<bdi>Kill the backfill “again”</bdi>" in html
    assert "2 attempts wait, and are killed at once." in html
    assert "1 attempt runs, and is told to stop, and killed if it does not." in html
    assert "1 attempt is done, and stays so." in html
    assert ">Kill 3 attempts</button>" in html
    assert states(row) == ["success", "running", "queued", "queued"]


def test_it_is_killed_once_it_was_confirmed(mender: Client, make_run: Callable[..., Backfill]) -> None:
    row = make_run("success", "running", "queued", "queued")

    html = send(mender, row, "kill").content.decode()

    assert "3 attempts are being killed. No other starts." in html
    assert "3 of 4 done, the rest is being killed" in html
    assert ">Kill" not in html
    assert states(row) == ["success", "canceling", "killed", "killed"]


@pytest.mark.parametrize(
    ("last", "said"),
    [("killed", "All of its attempts are done already."), ("canceling", "Its last attempts are being killed already.")],
)
def test_a_second_click_says_what_is_so(
    mender: Client, make_run: Callable[..., Backfill], last: str, said: str
) -> None:
    row = make_run("success", last)

    posted = send(mender, row, "kill").content.decode()
    looked = mender.get(f"/backfills/{row.pk}/kill", follow=True).content.decode()

    assert said in posted
    assert said in looked
    assert states(row) == ["success", last]


def test_a_backfill_that_is_done_offers_to_retry_what_failed(mender: Client, make_run: Callable[..., Backfill]) -> None:
    row = make_run("success", "error", "killed")

    assert ">Retry 2 sessions</a>" in read(mender, row)
    html = read(mender, row, "/retry")
    assert ">Retry 2 sessions</button>" in html
    assert html.count('<th scope="row">') == 2
    assert Backfill.objects.count() == 1


def test_what_failed_is_run_again_as_it_was_previewed(
    mender: Client, make_run: Callable[..., Backfill], now: datetime
) -> None:
    row = make_run("success", "error", "killed")
    seen = mender.get(f"/backfills/{row.pk}/retry").context["values"]["seen"]

    response = send(mender, row, "retry", name="mend", seen=seen)

    made = Backfill.objects.get(name="mend")
    assert response.redirect_chain == [(f"/backfills/{made.pk}", 302)]
    assert (states(made), made.created_by.get_username()) == (["queued", "queued"], "mia")
    assert "Retry" not in read(mender, row)


def test_what_was_not_previewed_is_not_run(mender: Client, make_run: Callable[..., Backfill]) -> None:
    row = make_run("success", "error", "killed")

    html = send(mender, row, "retry", name="mend", seen="other").content.decode()

    assert "What failed has changed since the preview" in html
    assert ">Retry 2 sessions</button>" in html
    assert Backfill.objects.count() == 1


def test_a_second_click_on_retry_leads_to_the_same_backfill(mender: Client, make_run: Callable[..., Backfill]) -> None:
    row = make_run("success", "error", "killed")
    seen = mender.get(f"/backfills/{row.pk}/retry").context["values"]["seen"]

    chains = [send(mender, row, "retry", name="mend", seen=seen).redirect_chain for _ in range(2)]

    assert chains[0] == chains[1]
    assert Backfill.objects.count() == 2


@pytest.mark.parametrize(("name", "text"), [("", "Give the attempt a name."), ("again", "choose another name")])
def test_a_name_that_cannot_be_is_refused(
    mender: Client, make_run: Callable[..., Backfill], name: str, text: str
) -> None:
    row = make_run("success", "error")

    html = send(mender, row, "retry", name=name, seen="x").content.decode()

    assert text in html
    assert Backfill.objects.count() == 1


def test_nothing_to_retry_is_said(mender: Client, make_run: Callable[..., Backfill]) -> None:
    row = make_run("success", "success")

    assert "Nothing to retry" in mender.get(f"/backfills/{row.pk}/retry", follow=True).content.decode()


def test_both_need_the_permission(onlooker: Client, make_run: Callable[..., Backfill]) -> None:
    row = make_run("error", "running")

    assert ">Kill" not in read(onlooker, row)
    for verb in ("kill", "retry"):
        assert onlooker.get(f"/backfills/{row.pk}/{verb}").status_code == 403
        assert onlooker.post(f"/backfills/{row.pk}/{verb}").status_code == 403
    assert states(row) == ["error", "running"]


def test_after_the_schedule_is_gone_nothing_is_offered_that_cannot_be(
    mender: Client, make_run: Callable[..., Backfill], schedule: Schedule
) -> None:
    row = make_run("success", "error")
    schedule.delete()

    assert "Retry" not in read(mender, row)
    answer = mender.get(f"/backfills/{row.pk}/retry")
    assert answer.status_code == 404
    assert f"The schedule of the backfill “{row.name}” is not there any more." in answer.content.decode()
    assert Attempt.objects.filter(status=AttemptStatus.ERROR).count() == 1
