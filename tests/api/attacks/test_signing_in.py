"""The sign-in, of the pages and of the admin: passwords that are guessed, names that are fished for, ways out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.test import Client

from projects.models import Allowance

DOORS = ["/login", "/admin/login/"]
ELSEWHERE = [
    "//evil.test",
    "///evil.test",
    "https://evil.test/",
    "http:evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "\x00//evil.test",
    " //evil.test",
    "%2f%2fevil.test",
    "https://testserver@evil.test/",
    "/x\r\nX-Evil: 1",
]


@pytest.fixture
def ann(make_user: Callable[..., User]) -> User:
    return make_user("ann", is_staff=True)


def sign_in(door: str, name: str = "ann", password: str = "wrong", **more: Any) -> Any:
    client = more.pop("client", None) or Client()
    return client.post(door, {"username": name, "password": password, **more.pop("also", {})}, **more)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_way_out_to_elsewhere_is_not_taken(ann: User, door: str, target: str) -> None:
    answer = sign_in(door, password="correct horse", also={"next": target})

    assert answer.status_code == 302
    assert urlsplit(answer["Location"])[:2] == ("", "")
    assert answer["Location"] in {"/", "%2f%2fevil.test", "/x%0D%0AX-Evil:%201"}  # places of our own, though odd ones
    assert "X-Evil" not in answer


@pytest.mark.parametrize("door", DOORS)
def test_ten_tries_are_looked_at_and_the_eleventh_is_not_even_if_it_is_right(ann: User, door: str) -> None:
    answers = [sign_in(door).status_code for _ in range(10)]
    answer = sign_in(door, password="correct horse")

    assert answers == [200] * 10
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    assert "Try it again in 15 minutes." in answer.content.decode()
    assert "sessionid" not in answer.cookies


def test_both_doors_count_together(ann: User) -> None:
    for number in range(10):
        assert sign_in(DOORS[number % 2]).status_code == 200

    assert {sign_in(door).status_code for door in DOORS} == {429}


def test_after_a_quarter_of_an_hour_the_right_password_is_right_again(ann: User, now: Any) -> None:
    for _ in range(11):
        sign_in("/login")

    with time_machine.travel(now + timedelta(seconds=899), tick=False):
        assert sign_in("/login", password="correct horse").status_code == 429
    with time_machine.travel(now + timedelta(seconds=900), tick=False):
        assert sign_in("/login", password="correct horse").status_code == 302


def test_somebody_who_mistypes_now_and_then_is_never_kept_out(ann: User) -> None:
    for _ in range(5):
        answers = [sign_in("/login").status_code for _ in range(9)]
        answers.append(sign_in("/login", password="correct horse").status_code)

        assert answers == [200] * 9 + [302]


def test_a_session_of_ones_own_does_not_buy_more_tries_at_another_name(
    ann: User, make_user: Callable[..., User]
) -> None:
    make_user("mallory", is_staff=True)
    client = Client()
    sign_in("/login", "mallory", "correct horse", client=client)

    for _ in range(10):
        sign_in("/admin/login/", client=client)
        sign_in("/login", client=client)

    assert sign_in("/admin/login/", client=client).status_code == 429


def test_others_elsewhere_can_sign_in_by_a_name_that_is_being_guessed(ann: User) -> None:
    for _ in range(11):
        sign_in("/login")

    answer = sign_in("/login", password="correct horse", REMOTE_ADDR="192.0.2.7")

    assert answer.status_code == 302


def test_one_password_for_many_names_is_bounded_too(db: None) -> None:
    answers = [sign_in("/login", f"user{number}").status_code for number in range(101)]

    assert answers == [200] * 100 + [429]


def test_a_name_written_in_another_way_is_the_same_name(ann: User) -> None:
    """Django reads full-width letters as the letters that they are."""
    for number in range(10):
        sign_in("/login", ["ann", "\uff41nn", " ann", "an\uff4e"][number % 4])

    assert sign_in("/login", password="correct horse").status_code == 429


def test_where_a_caller_says_that_he_calls_from_counts_for_nothing(ann: User) -> None:
    for number in range(10):
        sign_in("/login", headers={"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"})

    assert sign_in("/login", headers={"X-Forwarded-For": "198.51.100.1", "X-Real-IP": "10.0.0.1"}).status_code == 429


def test_behind_a_proxy_only_what_the_proxy_added_counts(ann: User, settings: Any) -> None:
    settings.HINDCAST_BEHIND_PROXY = True
    for number in range(10):
        sign_in("/login", headers={"X-Forwarded-For": f"192.0.2.{number}, 203.0.113.5"})

    assert sign_in("/login", headers={"X-Forwarded-For": "192.0.2.200,203.0.113.5"}).status_code == 429
    assert sign_in("/login", headers={"X-Forwarded-For": "203.0.113.6"}).status_code == 200


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_there_is_and_one_that_there_is_not_are_told_alike(
    ann: User, make_user: Callable[..., User], door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("gone", is_active=False)
    hashed: list[str] = []
    encode = hashers.MD5PasswordHasher.encode
    monkeypatch.setattr(
        hashers.MD5PasswordHasher,
        "encode",
        lambda self, *args, **more: hashed.append("") or encode(self, *args, **more),
    )
    texts, work = set(), set()

    for name in ("ann", "nobody", "gone"):
        hashed.clear()
        html = sign_in(door, name).content.decode().replace(f'value="{name}"', "")
        texts.add(html.partition("<form")[0].replace(name, ""))
        texts.add(
            html[html.index("errornote") if "errornote" in html else html.index("problem") :][:300].partition("</")[0]
        )
        work.add(len(hashed))

    assert len(texts) == 2, texts
    assert work == {1}


def test_neither_names_nor_addresses_are_kept(ann: User) -> None:
    sign_in("/login", "somebody's password, typed into the wrong field")

    assert Allowance.objects.count() == 2
    assert not Allowance.objects.filter(name__contains="somebody").exists()
    assert all(len(row.name) == 64 for row in Allowance.objects.all())
