"""Reading environment variables by their kinds. ImproperlyConfigured names a wrong one, and says what is right."""

import json
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

Number = TypeVar("Number", int, float)
FLAGS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
DATABASES = ("sqlite", "postgres", "postgresql", "pgsql")


def env_flag(name: str, default: bool = False) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text and text not in FLAGS:
        raise ImproperlyConfigured(f"{name} is {text!r}: give 1, true, yes or on, or 0, false, no or off.")
    return FLAGS[text] if text else default


def env_level(name: str, default: str) -> str:
    """A level of logging, by its name."""
    level = (os.environ.get(name, "").strip() or default).upper()
    if level not in LEVELS:
        raise ImproperlyConfigured(f"{name} is {level!r}: give one of {', '.join(LEVELS)}.")
    return level


def env_list(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def env_number(name: str, default: Number) -> Number:
    """A number of the kind of `default`. Raises ImproperlyConfigured naming the variable."""
    text = os.environ.get(name, "").strip()
    try:
        return type(default)(text) if text else default
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise ImproperlyConfigured(f"{name} is {text!r}: give {kind}, or leave it out for {default:g}.") from None


def env_numbers(name: str, default: str) -> list[int]:
    """Whole numbers with commas between them. Raises ImproperlyConfigured naming the variable."""
    items = env_list(name, default)
    if not all(item.isascii() and item.isdecimal() for item in items):
        raise ImproperlyConfigured(f"{name} is {','.join(items)!r}: give whole numbers, as in {default}.")
    return list(map(int, items))


def env_storages(name: str) -> dict[str, dict[str, object]]:
    """Storages of Django by alias, as JSON: `{"logs": {"BACKEND": "…", "OPTIONS": {…}}}`."""
    text = os.environ.get(name, "").strip() or "{}"
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not set(given) <= {"archives", "logs"}:
        raise ImproperlyConfigured(
            f'{name} is no JSON object of storages: give {{"logs": {{"BACKEND": …}}}}, or archives.'
        )
    for alias, storage in given.items():
        if not isinstance(storage, dict) or not set(storage) <= {"BACKEND", "OPTIONS"} or "BACKEND" not in storage:
            raise ImproperlyConfigured(f"{name}: {alias} is an object with a BACKEND, and OPTIONS if it needs some.")
    return given


def env_database(name: str, default: str) -> dj_database_url.DBConfig:
    """A database by its URL. The URL itself, which may hold a password, is not told."""
    url = os.environ.get(name) or default
    scheme = url.partition(":")[0]
    if scheme not in DATABASES:
        raise ImproperlyConfigured(
            f"{name} begins with {scheme[:20]!r}: give postgres://USER:PASSWORD@HOST/NAME, or leave it out for SQLite."
        )
    try:
        # Checked before use: a connection that the server closed costs nobody a request.
        return dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True)
    except dj_database_url.ParseError:
        raise ImproperlyConfigured(
            f"{name} is no URL: signs such as / # ? @ in a name or password are written %2F %23 %3F %40."
        ) from None


def with_options(database: dj_database_url.DBConfig, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a connection: `ours`, over them those of the URL; what both tell the server (`options`) is joined."""
    given = database.get("OPTIONS", {})
    told = [str(those["options"]) for those in (ours, given) if "options" in those]
    return {**ours, **given, **({"options": " ".join(told)} if told else {})}
