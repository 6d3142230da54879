"""Secrets: encrypted at rest, bound to their row, written and never read but by the worker."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin import autodiscover, site
from django.core.checks import run_checks
from django.db import IntegrityError, connection, transaction
from django.views.debug import get_exception_reporter_filter
from pytest_django import Settings

from projects import sealing, secrets
from projects.models import Project, Secret
from scheduler import deletion
from tests.conftest import NOW

CANARY = "canary-5ecret-v\u00e4lue"


@pytest.fixture
def project(db: None) -> Project:
    return Project.objects.create(name="sales", created_at=NOW)


@pytest.fixture
def put(project: Project) -> Callable[..., None]:
    def put(key: str = "db.password", value: str = CANARY, **fields: Any) -> None:
        secrets.put(**{"project_id": project.pk, "key": key, "value": value, "now": NOW, **fields})

    return put


def test_a_secret_comes_back_as_it_was_set(project: Project, put: Callable[..., None]) -> None:
    for value in (CANARY, "", "x" * secrets.MOST_VALUE_BYTES, "line\nline\0\U0001f511"):
        put(value=value)

        assert secrets.reveal(project_id=project.pk, key="db.password") == value


def test_a_secret_that_is_set_again_replaces_the_first(project: Project, put: Callable[..., None]) -> None:
    put(value="first")
    put(value="second", now=NOW + timedelta(minutes=1))

    assert secrets.reveal(project_id=project.pk, key="db.password") == "second"
    assert Secret.objects.get().updated_at == NOW + timedelta(minutes=1)


def test_keys_are_listed_and_a_key_that_is_not_there_is_deleted_without_an_error(
    project: Project, put: Callable[..., None]
) -> None:
    for key in ("b", "a.z", "a"):
        put(key)

    assert secrets.keys(project.pk) == ["a", "a.z", "b"]
    assert secrets.delete(project_id=project.pk, key="a.z")
    assert not secrets.delete(project_id=project.pk, key="a.z")
    assert secrets.keys(project.pk) == ["a", "b"]
    with pytest.raises(secrets.SecretNotFound, match=r"no secret 'a\.z'"):
        secrets.reveal(project_id=project.pk, key="a.z")


def test_secrets_of_another_project_are_not_seen(project: Project, put: Callable[..., None]) -> None:
    other = Project.objects.create(name="other", created_at=NOW)
    put()

    assert secrets.keys(other.pk) == []
    assert not secrets.delete(project_id=other.pk, key="db.password")
    with pytest.raises(secrets.SecretNotFound):
        secrets.reveal(project_id=other.pk, key="db.password")


@pytest.mark.parametrize("key", ["a", "A1", "db.password", "a-b_c.d9", "aws.s3.secret-access-key", "a" * 255])
def test_keys_are_dotted_segments(put: Callable[..., None], key: str) -> None:
    put(key)

    assert Secret.objects.get().key == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "1a",
        "_a",
        "a-",
        "a_",
        "a.b-",
        "a b",
        "a/b",
        "a\n",
        "ä",
        "a\u0660",
        "a" * 256,
        "a" * 9999,
    ],
)
def test_other_keys_are_refused(put: Callable[..., None], key: str) -> None:
    with pytest.raises(secrets.InvalidSecret) as refused:
        put(key)

    assert refused.value.field == "key"
    assert not Secret.objects.exists()


@pytest.mark.parametrize("value", ["x" * (16 * 1024 + 1), "ä" * (8 * 1024 + 1), "half \ud800"])
def test_a_value_that_is_too_long_or_no_text_is_refused_without_being_told(
    put: Callable[..., None], value: str
) -> None:
    with pytest.raises(secrets.InvalidSecret) as refused:
        put(value=value)

    assert refused.value.field == "value"
    assert value not in str(refused.value)
    assert not Secret.objects.exists()


def test_a_deleted_project_takes_no_secrets(project: Project, put: Callable[..., None]) -> None:
    Project.objects.update(deleted_at=NOW)

    with pytest.raises(Project.DoesNotExist):
        put()


def test_deleting_a_project_forgets_its_secrets_and_no_others(project: Project, put: Callable[..., None]) -> None:
    other = Project.objects.create(name="other", created_at=NOW)
    put()
    put(project_id=other.pk)

    deletion.delete(project.pk, now=NOW)

    assert secrets.keys(project.pk) == []
    assert secrets.keys(other.pk) == ["db.password"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_secret_that_is_set_while_its_project_is_deleted_is_not_left_behind(wait_until: Callable[..., Any]) -> None:
    project = Project.objects.create(name="sales", created_at=NOW)

    def put() -> None:
        try:
            secrets.put(project_id=project.pk, key="a", value=CANARY, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            deletion.delete(project.pk, now=NOW)
            late = pool.submit(put)
            wait_until(lambda: late.done() or somebody_waits_for_us(), timeout=30)
        with pytest.raises(Project.DoesNotExist):
            late.result(30)

    assert not Secret.objects.exists()


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return cursor.fetchone() is not None


def test_one_key_has_one_row(project: Project, put: Callable[..., None]) -> None:
    put()

    with pytest.raises(IntegrityError, match="secret"):
        Secret.objects.create(project=project, key="db.password", sealed="x", updated_at=NOW)


# --- at rest -----------------------------------------------------------------------------------------


def test_a_value_is_stored_encrypted_and_otherwise_each_time(put: Callable[..., None]) -> None:
    put()
    first = Secret.objects.get().sealed
    put()

    assert CANARY not in first
    assert Secret.objects.get().sealed != first


def test_a_row_copied_to_another_project_or_key_does_not_open(project: Project, put: Callable[..., None]) -> None:
    thief = Project.objects.create(name="thief", created_at=NOW)
    put()
    sealed = Secret.objects.get().sealed
    Secret.objects.create(project=thief, key="db.password", sealed=sealed, updated_at=NOW)
    Secret.objects.create(project=project, key="other", sealed=sealed, updated_at=NOW)

    for owner, key in ((thief.pk, "db.password"), (project.pk, "other")):
        with pytest.raises(secrets.SecretUnreadable, match="cannot be opened") as refused:
            secrets.reveal(project_id=owner, key=key)
        assert CANARY not in str(refused.value)


def test_a_damaged_row_does_not_open(project: Project, put: Callable[..., None]) -> None:
    put()
    sealed = Secret.objects.get().sealed

    for damaged in (sealed[:-5] + "AAAA=", sealed[:40], "", "ä", "not base64!"):
        Secret.objects.update(sealed=damaged)
        with pytest.raises(secrets.SecretUnreadable):
            secrets.reveal(project_id=project.pk, key="db.password")


def test_the_first_key_seals_and_every_key_opens(
    settings: Settings, project: Project, put: Callable[..., None]
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.HINDCAST_SECRETS_KEYS = [old]
    put("first")
    settings.HINDCAST_SECRETS_KEYS = [new, old]
    put("second")

    assert {secrets.reveal(project_id=project.pk, key=key) for key in ("first", "second")} == {CANARY}
    settings.HINDCAST_SECRETS_KEYS = [new]
    assert secrets.reveal(project_id=project.pk, key="second") == CANARY
    with pytest.raises(secrets.SecretUnreadable, match="HINDCAST_SECRETS_KEYS"):
        secrets.reveal(project_id=project.pk, key="first")


def test_what_was_sealed_before_there_were_keys_opens_as_long_as_secret_key_stays(
    settings: Settings, project: Project, put: Callable[..., None]
) -> None:
    settings.HINDCAST_SECRETS_KEYS = []
    put()
    settings.HINDCAST_SECRETS_KEYS = [Fernet.generate_key().decode()]

    assert secrets.reveal(project_id=project.pk, key="db.password") == CANARY
    settings.SECRET_KEY = "another"
    with pytest.raises(secrets.SecretUnreadable):
        secrets.reveal(project_id=project.pk, key="db.password")


def test_a_setting_that_is_no_key_is_named_by_its_place(settings: Settings) -> None:
    good = Fernet.generate_key().decode()
    settings.HINDCAST_SECRETS_KEYS = [good, "c2hvcnQ=", good, "not-a-key-but-a-canary"]

    found = [message for message in run_checks() if message.id == "hindcast.E005"]

    assert [message.msg for message in found] == ["HINDCAST_SECRETS_KEYS: no key is at position 2, 4 of the list."]
    assert "Fernet.generate_key()" in str(found[0].hint)
    assert sealing.wrong_keys([good, f" {good}"[1:]]) == []


# --- not shown ---------------------------------------------------------------------------------------


def test_neither_row_nor_value_shows_the_secret(project: Project, put: Callable[..., None]) -> None:
    put()

    value = secrets.reveal(project_id=project.pk, key="db.password")

    assert repr(Secret.objects.get()) == "<Secret: db.password>"
    assert repr({"password": value}) == "{'password': ***}"
    assert f"{value}" == CANARY


def test_the_admin_reads_no_value(rf: Any, admin_user: Any, project: Project, put: Callable[..., None]) -> None:
    put()
    autodiscover()
    request = rf.get("/")
    request.user = admin_user

    (row,) = site._registry[Secret].get_queryset(request)

    assert "sealed" in row.get_deferred_fields()


def test_the_report_of_an_error_shows_no_value(
    project: Project, put: Callable[..., None], rf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(Secret.objects, "update_or_create", broken)
    try:
        secrets.put(project_id=project.pk, key="a", value=CANARY, now=NOW)
    except RuntimeError as error:
        frame = error.__traceback__
    request = rf.post("/")

    shown = []
    while frame:
        shown += get_exception_reporter_filter(request).get_traceback_frame_variables(request, frame.tb_frame)
        frame = frame.tb_next
    assert CANARY not in str(shown)
    assert "value" in dict(shown)
