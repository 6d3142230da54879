"""`manage.py migrate`, wherever it is called from."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connection

from scheduler.management import prepare


def shown(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        (value,) = cursor.fetchone()
    return str(value)


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_migration_takes_its_time_but_waits_for_no_lock_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        DjangoMigrate, "handle", lambda *_, **__: told.extend([shown("statement_timeout"), shown("lock_timeout")])
    )
    monkeypatch.setattr(prepare, "unapplied_migrations", lambda: True)

    prepare.migrate()  # as `manage.py up --demo` does

    assert told == ["0", "20s"]
    assert shown("statement_timeout") == "1min"


@pytest.mark.django_db
def test_it_migrates_as_ever(manage: Callable[..., Any]) -> None:
    said = manage("migrate", "--plan")

    assert said.code == 0
    assert "No planned migration operations." in said.out
