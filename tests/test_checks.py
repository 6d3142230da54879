"""System checks: wrong settings are refused with what to do."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from scheduler.environment import env_flag

ROOT = Path(__file__).resolve().parents[1]


def found() -> dict[str | None, str]:
    return {message.id: message.msg for message in run_checks() if (message.id or "").startswith("hindcast")}


def test_the_defaults_are_fine() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "check", "sentence"),
    [
        ({"BROKER_URL": "sqs://"}, "hindcast.E001", "begins with 'sqs'"),
        ({"BROKER_URL": "localhost:6379"}, "hindcast.E001", "begins with 'localhost'"),
        ({"HINDCAST_MAX_BACKFILL_SESSIONS": 0}, "hindcast.E002", "HINDCAST_MAX_BACKFILL_SESSIONS is 0"),
        ({"HINDCAST_PARALLEL_TASKS": 0}, "hindcast.E002", "HINDCAST_PARALLEL_TASKS is 0"),
        ({"HINDCAST_REQUESTS_PER_MINUTE": -5}, "hindcast.E008", "HINDCAST_REQUESTS_PER_MINUTE is -5"),
        ({"HINDCAST_HTTP_PORTS": [443, 0, 99999]}, "hindcast.E009", "HINDCAST_HTTP_PORTS: 0, 99999 is no port"),
        ({"HINDCAST_RESEND_SECONDS": 0.0}, "hindcast.E003", "HINDCAST_RESEND_SECONDS is 0"),
        (
            {"HINDCAST_RENEW_SECONDS": 45.0},
            "hindcast.E004",
            "HINDCAST_RENEW_SECONDS is 45 and HINDCAST_LEASE_SECONDS 45",
        ),
        ({"HINDCAST_HTTP_ALLOW": ["intranet"]}, "hindcast.E006", "'intranet' is not a host and a port"),
        ({"HINDCAST_HTTP_ALLOW": ["10.1:80"]}, "hindcast.E006", "'10.1' is not the usual form of an address"),
        ({"EMAIL_USE_SSL": True}, "hindcast.E007", "EMAIL_USE_TLS and EMAIL_USE_SSL are both on"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["localhost", "x.example"]}, "hindcast.W001", "answers to x.example"),
    ],
)
def test_a_wrong_setting_is_named(settings: Settings, changes: dict[str, Any], check: str, sentence: str) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    messages = found()

    assert list(messages) == [check]
    assert sentence in messages[check]


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://h", "amqp://u:p@h//", "hindcast+sqlite:////v/b.sqlite3"])
def test_the_brokers_that_work_are_fine(settings: Settings, url: str) -> None:
    settings.BROKER_URL = url

    assert found() == {}


def test_debug_on_this_machine_alone_is_fine(settings: Settings) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

    assert found() == {}


PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "scheduler.settings",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "HTTPS": "1",
    "HINDCAST_BEHIND_PROXY": "1",
    "ALLOWED_HOSTS": "hindcast.example",
    "DATABASE_URL": "postgres://hindcast@db.example/hindcast",
    "BROKER_URL": "redis://broker.example:6379/0",
}


def checked_for_deployment(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HINDCAST_VAR": str(tmp_path), **PRODUCTION, **environment},
        capture_output=True,
        text=True,
    )


def test_a_production_environment_passes_the_deployment_checks(tmp_path: Path) -> None:
    answer = checked_for_deployment(tmp_path)

    assert answer.returncode == 0, answer.stderr
    assert "no issues (2 silenced)" in answer.stdout  # to speak for subdomains: see the settings


def test_https_speaks_for_subdomains_only_when_it_is_told_to(tmp_path: Path) -> None:
    answer = checked_for_deployment(tmp_path, HINDCAST_HSTS_PRELOAD="1")

    assert answer.returncode == 0, answer.stderr
    assert "no issues (0 silenced)" in answer.stdout


def test_https_where_no_proxy_is_believed_is_told_before_deployment(tmp_path: Path) -> None:
    answer = checked_for_deployment(tmp_path, HINDCAST_BEHIND_PROXY="0")

    assert answer.returncode == 1
    assert answer.stderr.count("WARNINGS:") == 1
    assert "(hindcast.W003) HTTPS is on and HINDCAST_BEHIND_PROXY is not" in answer.stderr
    assert "1 issue" in answer.stderr


def started_with(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`import scheduler.settings` in a process of its own."""
    command = [sys.executable, "-c", "from scheduler import settings; print(settings.SECRET_KEY)"]
    env = {"PATH": os.environ["PATH"], "HINDCAST_VAR": str(tmp_path), **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def database_options(tmp_path: Path, url: str) -> dict[str, Any]:
    """Of the connection to the database at `url`, as the settings make them."""
    command = "import json; from scheduler.settings import DATABASES as d; print(json.dumps(d['default']['OPTIONS']))"
    env = {"PATH": os.environ["PATH"], "HINDCAST_VAR": str(tmp_path), "SECRET_KEY": "x", "DATABASE_URL": url}
    answer = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=env, capture_output=True, timeout=60)
    options: dict[str, Any] = json.loads(answer.stdout)
    return options


def test_options_of_the_database_url_stand_beside_those_of_the_house(tmp_path: Path) -> None:
    asked = "sslmode=require&sslrootcert=/ca.pem&application_name=x&connect_timeout=3&options=-c%20search_path%3Dh"

    options = database_options(tmp_path, f"postgres://u:p@db.example/hindcast?{asked}")

    assert options["sslmode"] == "require"
    assert options["sslrootcert"] == "/ca.pem"
    assert options["application_name"] == "x"
    assert options["connect_timeout"] == 3
    assert options["keepalives_count"] == 3
    assert options["options"].startswith("-c statement_timeout=60s -c lock_timeout=20s ")
    assert options["options"].endswith(" -c search_path=h")


def test_options_of_a_sqlite_url_stand_beside_those_of_the_house(tmp_path: Path) -> None:
    options = database_options(tmp_path, f"sqlite:///{tmp_path}/d.sqlite3?timeout=5")

    assert options["timeout"] == 5
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "options" not in options


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://u:geheim@h/d", "DATABASE_URL begins with 'mysql': give postgres://"),
        ("postgres+ssl://u:geheim@h/d", "DATABASE_URL begins with 'postgres+ssl': give postgres://"),
        ("geheim", "DATABASE_URL begins with 'geheim': give postgres://"),
        ("postgres://u:ge/heim@h/d", "DATABASE_URL is no URL: signs such as /"),
    ],
)
def test_a_database_that_is_none_of_ours_is_refused_without_telling_the_password(
    tmp_path: Path, url: str, told: str
) -> None:
    answer = started_with(tmp_path, DATABASE_URL=url)

    assert answer.returncode == 1
    assert f"ImproperlyConfigured: {told}" in answer.stderr
    assert "u:ge" not in answer.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [("HINDCAST_DOORBELLS", "give a whole number"), ("HINDCAST_LEASE_SECONDS", "give a number")],
)
def test_a_setting_that_is_no_number_is_named_with_what_would_be_right(tmp_path: Path, name: str, says: str) -> None:
    answer = started_with(tmp_path, **{name: "a few"})

    assert answer.returncode == 1
    assert f"ImproperlyConfigured: {name} is 'a few': {says}, or leave it out for" in answer.stderr


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("HTTPS", "ture", "HTTPS is 'ture': give 1, true, yes or on, or 0, false, no or off."),
        ("EMAIL_USE_TLS", "2", "EMAIL_USE_TLS is '2': give 1, true"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'LOUD': give one of DEBUG, INFO, WARNING, ERROR, CRITICAL."),
    ],
)
def test_a_word_that_means_nothing_is_named_with_those_that_do(tmp_path: Path, name: str, said: str, told: str) -> None:
    answer = started_with(tmp_path, **{name: said})

    assert answer.returncode == 1
    assert f"ImproperlyConfigured: {told}" in answer.stderr


@pytest.mark.parametrize(
    ("said", "default", "is_on"),
    [(" True ", False, True), ("ON", False, True), ("off", True, False), ("0", True, False), ("", True, True)],
)
def test_a_flag_is_read_in_any_case_and_left_empty_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, said: str, default: bool, is_on: bool
) -> None:
    monkeypatch.setenv("HTTPS", said)

    assert env_flag("HTTPS", default) is is_on


def test_ports_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    answer = started_with(tmp_path, HINDCAST_HTTP_PORTS="80,http")

    assert answer.returncode == 1
    assert "ImproperlyConfigured: HINDCAST_HTTP_PORTS is '80,http': give whole numbers" in answer.stderr


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/var/logs", "HINDCAST_STORAGES is no JSON object of storages"),
        ('["logs"]', "HINDCAST_STORAGES is no JSON object of storages"),
        ('{"default": {"BACKEND": "x"}}', "HINDCAST_STORAGES is no JSON object of storages"),
        ('{"logs": "x"}', "HINDCAST_STORAGES: logs is an object with a BACKEND"),
        ('{"logs": {"OPTIONS": {}}}', "HINDCAST_STORAGES: logs is an object with a BACKEND"),
    ],
)
def test_storages_that_are_none_are_refused(tmp_path: Path, said: str, told: str) -> None:
    answer = started_with(tmp_path, HINDCAST_STORAGES=said)

    assert answer.returncode == 1
    assert f"ImproperlyConfigured: {told}" in answer.stderr


def test_a_storage_of_another_kind_is_taken(tmp_path: Path) -> None:
    storage = {"logs": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    command = "from scheduler.settings import STORAGES as s; print(s['logs'], s['archives']['BACKEND'])"
    env = {"PATH": os.environ["PATH"], "HINDCAST_VAR": str(tmp_path), "HINDCAST_STORAGES": json.dumps(storage)}

    answer = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )

    assert answer.stdout == f"{storage['logs']} projects.storage.WholeFileStorage\n"


def test_the_secret_key_is_made_once_and_kept_for_the_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        keys = {answer.stdout for answer in pool.map(lambda _: started_with(tmp_path), range(4))}

    assert len(keys) == 1
    assert len(keys.pop().strip()) == 100
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("environment", [{}, {"SECRET_KEY": "x"}], ids=["for the key", "for the database"])
def test_the_folder_of_all_files_is_made_for_its_user_alone(tmp_path: Path, environment: dict[str, str]) -> None:
    started_with(tmp_path / "new" / "var", **environment)

    assert (tmp_path / "new" / "var").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)

    started_with(tmp_path)

    assert tmp_path.stat().st_mode & 0o777 == 0o750
