from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from projects import apikeys
from projects.models import ApiKey


def create(*arguments: str) -> str:
    output = StringIO()
    call_command("create_api_key", *arguments, stdout=output)
    return output.getvalue()


def test_prints_the_key_alone_and_the_key_opens_the_api(operator: User) -> None:
    printed = create("olga")

    assert printed.count("\n") == 1
    found = apikeys.find(printed.strip(), now=datetime.now(UTC))
    assert found is not None
    assert found.user_id == operator.pk
    assert found.scopes == ["read", "operate"]


def test_name_scope_and_expiry_are_kept(operator: User) -> None:
    create("olga", "--name", "dashboard", "--scope", "read", "--expires", "2999-01-31T00:00:00+09:00")

    key = ApiKey.objects.get()
    assert (key.name, key.scopes) == ("dashboard", ["read"])
    assert key.expires_at == datetime(2999, 1, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody"], "There is no user 'nobody'"),
        (["olga", "--expires", "tomorrow"], "is not a time with its offset"),
        (["olga", "--expires", "2999-01-31T00:00:00"], "is not a time with its offset"),
        (["olga", "--expires", "0001-01-01T00:00:00+10:00"], "is not a time with its offset"),
        (["olga", "--expires", (datetime.now(UTC) - timedelta(hours=1)).isoformat()], "is over already"),
        (["olga", "--name", " "], "--name: 1 to 255 letters"),
        (["olga", "--name", "a\nb"], "--name: 1 to 255 letters"),
        (["olga", "--scope", "everything"], "invalid choice"),
    ],
)
def test_refuses_what_makes_no_usable_key_and_writes_nothing(
    operator: User, arguments: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        create(*arguments)

    assert not ApiKey.objects.exists()


def test_refuses_a_user_who_may_not_sign_in(make_user: Callable[..., User]) -> None:
    make_user("gone", is_active=False)

    with pytest.raises(CommandError, match="is not active"):
        create("gone")
