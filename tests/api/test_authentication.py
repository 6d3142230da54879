"""Who is let in, by key or by browser session, and what each may do."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from projects import apikeys
from projects.models import ApiKey, Project, Scope
from scheduler.models import Attempt, Schedule

PATHS = ["schedules", "schedules/1", "sessions", "sessions/1/attempts", "attempts", "attempts/1/tasks", "nonsense"]


@pytest.fixture
def get(db: None) -> Callable[[str | None], Any]:
    """GET /api/schedules with the Authorization header given."""

    def get(header: str | None) -> Any:
        return Client().get("/api/schedules", headers={"Authorization": header} if header is not None else {})

    return get


@pytest.mark.parametrize("scheme", ["TD1", "td1", "Bearer", "bearer", "BEARER", "TD1  "])
def test_a_key_opens_the_api_by_either_scheme(get: Any, operator: User, now: datetime, scheme: str) -> None:
    _, text = apikeys.issue(user=operator, name="test", now=now)

    assert get(f"{scheme} {text}").status_code == 200


def test_the_use_of_a_key_is_noted(get: Any, operator: User, now: datetime) -> None:
    key, text = apikeys.issue(user=operator, name="test", now=now - timedelta(days=1))

    get(f"TD1 {text}")

    assert ApiKey.objects.get(pk=key.pk).last_used_at == now


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "TD1",
        "TD1 ",
        "Bearer",
        "TD1 wrong",
        "TD1 hc__",
        "TD1 hc_000000000000_wrong",
        "TD1 a b",
        "TD1 kéy",
        "TD1 hc_\0_x",
        "TD1 " + "x" * 10_000,
        "Basic b2xnYTp4",
        "Token x",
    ],
)
def test_without_a_good_key_the_answer_is_401_and_says_how_to_ask(get: Any, header: str | None) -> None:
    response = get(header)

    assert (response.status_code, response.json()["status"]) == (401, 401)
    assert sorted(response.json()) == ["message", "status"]
    assert response["WWW-Authenticate"] == 'TD1 realm="hindcast"'


def wrong_keys(user: User, now: datetime) -> dict[str, str]:
    _, good = apikeys.issue(user=user, name="good", now=now)
    revoked, revoked_text = apikeys.issue(user=user, name="revoked", now=now)
    apikeys.revoke(revoked, now=now)
    _, expired = apikeys.issue(user=user, name="old", now=now - timedelta(days=2), expires_at=now)
    return {"revoked": revoked_text, "expired": expired, "longer": good + "x", "other case": good.swapcase()}


@pytest.mark.parametrize("kind", ["revoked", "expired", "longer", "other case"])
def test_revoked_expired_and_wrong_keys_get_the_same_answer(get: Any, operator: User, now: datetime, kind: str) -> None:
    response = get(f"TD1 {wrong_keys(operator, now)[kind]}")

    assert response.status_code == 401
    assert response.json() == {"message": "The API key is wrong, revoked or expired.", "status": 401}


def test_a_key_works_until_the_moment_it_expires(get: Any, operator: User, now: datetime) -> None:
    _, text = apikeys.issue(user=operator, name="t", now=now - timedelta(days=1), expires_at=now + timedelta(seconds=1))

    assert get(f"TD1 {text}").status_code == 200


def test_the_key_of_a_user_who_may_not_sign_in_is_refused(get: Any, operator: User, now: datetime) -> None:
    _, text = apikeys.issue(user=operator, name="test", now=now)
    User.objects.filter(pk=operator.pk).update(is_active=False)

    assert get(f"TD1 {text}").status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_every_path_asks_for_a_key_first(nobody: Any, db: None, path: str) -> None:
    assert nobody.get(path).status_code == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_a_backfill_without_a_key_is_a_401_whatever_the_method(nobody: Any, schedule: Schedule, method: str) -> None:
    response = nobody.client.generic(method, f"/api/schedules/{schedule.pk}/backfill")

    assert response.status_code == 401


# --- browser session ----------------------------------------------------------------------------------


@pytest.fixture
def browser(operator: User) -> Client:
    """Signed in as `operator`, by a client that insists on CSRF as a browser's server does."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    return client


def test_a_browser_session_reads(browser: Client, schedule: Schedule) -> None:
    assert len(browser.get("/api/schedules").json()["schedules"]) == 1


def test_a_wrong_key_is_refused_even_with_a_browser_session(browser: Client) -> None:
    assert browser.get("/api/schedules", headers={"Authorization": "TD1 wrong"}).status_code == 401


def post_from(browser: Client, schedule: Schedule, token: str | None) -> Any:
    return browser.post(
        f"/api/schedules/{schedule.pk}/backfill",
        {"attemptName": "again", "fromTime": "2026-03-02T10:00:00Z", "dryRun": False},
        content_type="application/json",
        headers={"X-CSRFToken": token} if token else {},
    )


@pytest.mark.parametrize("token", [None, "x", "b" * 32])
def test_a_browser_session_without_the_csrf_token_may_not_backfill(
    browser: Client, schedule: Schedule, counts: Callable[[], dict[str, int]], token: str | None
) -> None:
    browser.cookies["csrftoken"] = "a" * 32
    before = counts()

    response = post_from(browser, schedule, token)

    assert (response.status_code, response.json()["status"]) == (403, 403)
    assert "CSRF" in response.json()["message"]
    assert counts() == before


def test_a_browser_session_with_the_csrf_token_backfills(browser: Client, schedule: Schedule) -> None:
    browser.cookies["csrftoken"] = "a" * 32

    assert post_from(browser, schedule, "a" * 32).status_code == 200


def test_a_key_needs_no_csrf_token(operator: User, schedule: Schedule, now: datetime) -> None:
    _, text = apikeys.issue(user=operator, name="test", now=now)
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"TD1 {text}"})

    assert post_from(client, schedule, None).status_code == 200


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_form_sent_by_a_browser_is_refused(browser: Client, schedule: Schedule, content_type: str) -> None:
    browser.cookies["csrftoken"] = "a" * 32
    path = f"/api/schedules/{schedule.pk}/backfill"

    response = browser.generic("POST", path, b"x=1", content_type=content_type, headers={"X-CSRFToken": "a" * 32})

    assert response.status_code in {400, 415}
    assert response["Content-Type"] == "application/json"


def test_a_large_form_sent_by_a_browser_is_refused(browser: Client, schedule: Schedule) -> None:
    path = f"/api/schedules/{schedule.pk}/backfill"

    response = browser.generic("POST", path, b"x=" + b"1" * 2_000_000, content_type="application/x-www-form-urlencoded")

    assert response.status_code in {403, 413}
    assert response["Content-Type"] == "application/json"


# --- rights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_key_that_only_reads_may_not_backfill(
    make_api: Any, operator: User, schedule: Schedule, counts: Callable[[], dict[str, int]], dry_run: bool
) -> None:
    api = make_api(operator, scopes=[Scope.READ])
    before = counts()

    response = api.backfill(schedule, dryRun=dry_run)

    assert (response.status_code, response.json()["status"]) == (403, 403)
    assert "scope `operate`" in response.json()["message"]
    assert counts() == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_user_without_the_permission_may_not_backfill(
    make_api: Any, make_user: Any, schedule: Schedule, counts: Callable[[], dict[str, int]], dry_run: bool
) -> None:
    api = make_api(make_user("ann"))
    before = counts()

    response = api.backfill(schedule, dryRun=dry_run)

    assert response.status_code == 403
    assert "scheduler.backfill_schedule" in response.json()["message"]
    assert counts() == before


def test_a_superuser_may_backfill(make_api: Any, make_user: Any, schedule: Schedule) -> None:
    assert make_api(make_user("root", is_superuser=True)).backfill(schedule).status_code == 200


def test_a_key_without_the_scope_read_may_not_read(make_api: Any, operator: User) -> None:
    response = make_api(operator, scopes=[Scope.OPERATE]).get("schedules")

    assert response.status_code == 403
    assert "scope `read`" in response.json()["message"]


# --- what is seen ---------------------------------------------------------------------------------------


@pytest.fixture
def hidden(make_schedule: Callable[..., Schedule]) -> Schedule:
    """A schedule of a project for a group that nobody is in."""
    schedule = make_schedule(project="secret", name="payroll")
    schedule.workflow.project.groups.add(Group.objects.create(name="board"))
    return schedule


@pytest.fixture
def hidden_attempt(hidden: Schedule, make_attempt: Callable[..., Attempt]) -> Attempt:
    return make_attempt(hidden)


def test_what_a_user_may_not_see_is_not_there(
    api: Any, hidden: Schedule, hidden_attempt: Attempt, counts: Callable[[], dict[str, int]]
) -> None:
    before = counts()

    statuses = {
        path: api.get(path).status_code
        for path in [
            f"schedules/{hidden.pk}",
            f"sessions/{hidden_attempt.session_id}",
            f"sessions/{hidden_attempt.session_id}/attempts",
            f"attempts/{hidden_attempt.pk}",
            f"attempts/{hidden_attempt.pk}/retries",
            f"attempts/{hidden_attempt.pk}/tasks",
            "attempts?project=secret",
        ]
    }

    assert set(statuses.values()) == {404}
    assert api.backfill(hidden).status_code == 404
    assert api.backfill(hidden, dryRun=True).status_code == 404
    assert counts() == before


def test_lists_leave_out_what_a_user_may_not_see(api: Any, hidden_attempt: Attempt) -> None:
    assert api.get("schedules").json() == {"schedules": []}
    assert api.get("sessions").json() == {"sessions": []}
    assert api.get("attempts", include_retried="true").json() == {"attempts": []}
    assert api.get("attempts", workflow="payroll").json() == {"attempts": []}


def test_an_invisible_schedule_and_a_missing_one_are_told_alike(api: Any, hidden: Schedule) -> None:
    invisible, missing = api.get(f"schedules/{hidden.pk}").json(), api.get("schedules/999999").json()

    assert invisible["message"].replace(str(hidden.pk), "N") == missing["message"].replace("999999", "N")


def test_a_member_of_the_group_sees_the_project(make_api: Any, make_user: Any, hidden: Schedule) -> None:
    member = make_user("beth")
    member.groups.add(Group.objects.get(name="board"))

    assert make_api(member).get(f"schedules/{hidden.pk}").status_code == 200


def test_a_key_for_one_project_sees_no_other(
    make_api: Any, operator: User, make_schedule: Callable[..., Schedule], make_attempt: Callable[..., Attempt]
) -> None:
    mine, other = make_schedule(project="mine"), make_schedule(project="other")
    attempts = [make_attempt(mine), make_attempt(other)]
    api = make_api(operator, project=Project.objects.get(name="mine"))

    assert [entry["id"] for entry in api.get("schedules").json()["schedules"]] == [str(mine.pk)]
    assert [entry["id"] for entry in api.get("attempts").json()["attempts"]] == [str(attempts[0].pk)]
    assert [entry["id"] for entry in api.get("sessions").json()["sessions"]] == [str(attempts[0].session_id)]
    assert api.backfill(other).status_code == 404
    assert api.backfill(mine).status_code == 200


def test_a_deleted_project_is_gone(api: Any, schedule: Schedule, now: datetime) -> None:
    Project.objects.update(deleted_at=now)

    assert api.get(f"schedules/{schedule.pk}").status_code == 404
    assert api.backfill(schedule).status_code == 404
