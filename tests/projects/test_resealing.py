"""Secrets under another key: sealed anew, so that the old key can go."""

from collections.abc import Callable
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from projects import sealing, secrets
from projects.models import Project, Secret
from tests.conftest import NOW

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def project(db: None) -> Project:
    return Project.objects.create(name="sales", created_at=NOW)


@pytest.fixture
def put(project: Project, settings: Settings) -> Callable[..., None]:
    """put("db.password", OLD): a secret that these keys seal."""

    def put(key: str, *keys: str) -> None:
        settings.HINDCAST_SECRETS_KEYS = list(keys)
        secrets.put(project_id=project.pk, key=key, value=f"value of {key}", now=NOW)

    return put


def test_the_old_key_can_go_once_all_are_sealed_anew(
    settings: Settings, project: Project, put: Callable[..., None]
) -> None:
    put("by_secret_key")
    put("by_old", OLD)
    put("by_new", NEW, OLD)

    done = secrets.reseal_all(dry_run=False)

    assert (done.resealed, done.current, done.unreadable) == (2, 1, [])
    settings.HINDCAST_SECRETS_KEYS, settings.SECRET_KEY = [NEW], "another"
    assert secrets.reveal_all(project.pk) == {key: f"value of {key}" for key in ("by_secret_key", "by_old", "by_new")}
    assert {secret.updated_at for secret in Secret.objects.all()} == {NOW}
    assert secrets.reseal_all(dry_run=False).resealed == 0


def test_a_dry_run_counts_the_same_and_writes_nothing(put: Callable[..., None]) -> None:
    put("a", OLD)
    put("b", NEW, OLD)
    before = list(Secret.objects.order_by("pk").values())

    done = secrets.reseal_all(dry_run=True)

    assert (done.resealed, done.current) == (1, 1)
    assert list(Secret.objects.order_by("pk").values()) == before


def test_one_that_cannot_be_opened_is_named_and_left_while_the_others_are_sealed(
    settings: Settings, project: Project, put: Callable[..., None]
) -> None:
    put("lost", Fernet.generate_key().decode())
    put("copied", OLD)
    put("kept", OLD)
    Secret.objects.filter(key="copied").update(sealed=Secret.objects.get(key="kept").sealed)
    before = dict(Secret.objects.values_list("key", "sealed"))
    settings.HINDCAST_SECRETS_KEYS = [NEW, OLD]
    out = StringIO()

    with pytest.raises(CommandError, match=r"^2 cannot be opened \(sales lost, sales copied\)\.") as refusal:
        call_command("reseal_secrets", stdout=out)

    assert refusal.value.returncode == 1
    assert out.getvalue() == "1 sealed anew, 0 as they should be.\n"
    after = dict(Secret.objects.values_list("key", "sealed"))
    assert {key for key in after if after[key] == before[key]} == {"lost", "copied"}


def test_one_that_is_set_meanwhile_stays_as_it_was_set(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, project: Project, put: Callable[..., None]
) -> None:
    put("a", OLD)
    settings.HINDCAST_SECRETS_KEYS = [NEW, OLD]
    resealed = sealing.resealed

    def set_meanwhile(sealed: str, *, owner: tuple[int, str]) -> str | None:
        secrets.put(project_id=project.pk, key="a", value="newer", now=NOW)
        return resealed(sealed, owner=owner)

    monkeypatch.setattr(sealing, "resealed", set_meanwhile)

    done = secrets.reseal_all(dry_run=False)

    assert done.resealed == 0
    assert secrets.reveal(project_id=project.pk, key="a") == "newer"


def test_the_command_says_what_it_would_do(put: Callable[..., None], settings: Settings) -> None:
    put("a", OLD)
    settings.HINDCAST_SECRETS_KEYS = [NEW, OLD]
    out = StringIO()

    call_command("reseal_secrets", "--dry-run", stdout=out)

    assert out.getvalue() == "1 to seal anew, 0 as they should be.\n"
