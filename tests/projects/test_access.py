"""Who sees which project, and what a key opens."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.db.models import ProtectedError

from projects import apikeys
from projects.models import ApiKey, Project, Scope
from scheduler.models import Attempt, Schedule, Session

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def two_projects(make_schedule, make_attempt):
    """An open project and one for the group `ops`, each with a schedule and an attempt."""
    for name in ("open", "ops"):
        make_attempt(make_schedule(name=name, project=name))
    ops = Group.objects.create(name="ops")
    Project.objects.get(name="ops").groups.add(ops)
    return ops


def seen(user, key=None):
    return sorted(Project.objects.visible_to(user, key).values_list("name", flat=True))


def test_a_project_without_groups_is_open_to_every_active_user(two_projects, make_user):
    assert seen(make_user()) == ["open"]


def test_a_project_with_groups_is_open_to_their_members(two_projects, make_user):
    user = make_user()
    user.groups.add(two_projects)

    assert seen(user) == ["open", "ops"]


def test_a_project_of_two_groups_is_listed_once(two_projects, make_user):
    user = make_user()
    other = Group.objects.create(name="other")
    Project.objects.get(name="ops").groups.add(other)
    user.groups.add(two_projects, other)

    assert seen(user) == ["open", "ops"]


def test_a_superuser_sees_everything_but_what_is_deleted(two_projects, make_user):
    root = make_user("root", is_superuser=True)
    assert seen(root) == ["open", "ops"]

    Project.objects.filter(name="ops").update(deleted_at=NOW)
    assert seen(root) == ["open"]


def test_nobody_and_inactive_users_see_nothing(two_projects, make_user):
    assert seen(AnonymousUser()) == []
    assert seen(make_user("gone", is_superuser=True, is_active=False)) == []


def test_a_key_bound_to_a_project_narrows_what_its_user_sees(two_projects, make_user):
    root = make_user("root", is_superuser=True)
    key, _ = apikeys.issue(user=root, name="k", now=NOW, project=Project.objects.get(name="ops"))

    assert seen(root, key) == ["ops"]


def test_a_key_never_opens_more_than_its_user_may_see(two_projects, make_user):
    user = make_user()
    key, _ = apikeys.issue(user=user, name="k", now=NOW, project=Project.objects.get(name="ops"))

    assert seen(user, key) == []


def test_schedules_sessions_and_attempts_follow_their_project(two_projects, make_user):
    user = make_user()

    for model in (Schedule, Session, Attempt):
        assert model.objects.count() == 2
        assert model.objects.visible_to(user).count() == 1


def test_the_key_itself_is_not_stored(operator):
    key, text = apikeys.issue(user=operator, name="ci", now=NOW)

    stored = ApiKey.objects.filter(pk=key.pk).values().get()
    secret = text.split("_", 2)[2]
    assert text.startswith(f"hc_{key.prefix}_")
    assert len(secret) >= 43
    assert all(secret not in str(value) for value in stored.values())


def test_a_key_is_found_by_its_text_alone(operator):
    key, text = apikeys.issue(user=operator, name="ci", now=NOW)

    assert apikeys.find(text, now=NOW) == key
    for wrong in (
        "",
        "x",
        text[:-1],
        text + "x",
        text.upper(),
        f"hc_{key.prefix}_",
        "hc__",
        f"hc_{'0' * 12}_x",
        "é" * 20,
    ):
        assert apikeys.find(wrong, now=NOW) is None


def test_a_key_ends_when_it_expires_is_revoked_or_its_user_goes(operator):
    _, expiring = apikeys.issue(user=operator, name="a", now=NOW, expires_at=NOW + timedelta(hours=1))
    revoked, text = apikeys.issue(user=operator, name="b", now=NOW)

    assert apikeys.find(expiring, now=NOW + timedelta(minutes=59))
    assert apikeys.find(expiring, now=NOW + timedelta(hours=1)) is None
    assert apikeys.revoke(revoked, now=NOW)
    assert not apikeys.revoke(revoked, now=NOW)
    assert apikeys.find(text, now=NOW) is None
    operator.is_active = False
    operator.save()
    assert apikeys.find(expiring, now=NOW) is None


def test_another_pepper_ends_every_key(operator, settings):
    _, text = apikeys.issue(user=operator, name="a", now=NOW)

    settings.HINDCAST_API_KEY_PEPPER = "another"

    assert apikeys.find(text, now=NOW) is None


def test_a_key_has_the_scopes_it_was_given(operator):
    key, _ = apikeys.issue(user=operator, name="a", now=NOW, scopes=[Scope.READ])

    assert key.allows(Scope.READ)
    assert not key.allows(Scope.OPERATE)


def test_the_last_use_is_noted_at_most_once_a_minute(operator, django_assert_num_queries):
    key, text = apikeys.issue(user=operator, name="a", now=NOW)
    apikeys.touch(key, now=NOW)
    key = apikeys.find(text, now=NOW)

    with django_assert_num_queries(0):
        apikeys.touch(key, now=NOW + timedelta(seconds=30))
    apikeys.touch(key, now=NOW + timedelta(seconds=61))

    key.refresh_from_db()
    assert key.last_used_at == NOW + timedelta(seconds=61)


def test_a_group_that_a_project_is_for_cannot_be_deleted(two_projects):
    with pytest.raises(ProtectedError):
        two_projects.delete()
    with pytest.raises(ProtectedError):
        Group.objects.all().delete()

    assert list(Project.objects.get(name="ops").groups.all()) == [two_projects]


def test_a_group_can_be_deleted_once_no_project_is_for_it(two_projects):
    Project.objects.get(name="ops").groups.clear()

    two_projects.delete()

    assert not Group.objects.exists()
