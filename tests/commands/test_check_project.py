"""`manage.py check_project DIR`, and `manage.py check DIR`: what a push would do, and every mistake."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError, call_command

NOW = datetime(2026, 3, 7, 20, 0, tzinfo=UTC)  # noon in Los Angeles, the day before the clocks change
DAILY = """timezone: America/Los_Angeles
schedule:
  daily>: 07:00:00
  overlap: queue_one
  end: 2026-12-31
_export:
  region: eu
+load:
  echo>: ${region}
+group:
  +inner:
    echo>: x
"""

Manage = Callable[..., object]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "daily.dig").write_text(DAILY)
    (folder / "by_hand.dig").write_text("+a:\n  echo>: x\n")
    return folder


def said(folder: Path, *arguments: str, command: str = "check_project") -> str:
    out = StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command(command, str(folder), *arguments, stdout=out)
    return out.getvalue()


def paragraphs(text: str) -> dict[str, dict[str, str]]:
    """The facts of each workflow by its name."""
    found = {}
    for name, *lines in (part.splitlines() for part in text.split("\n\n")):
        pairs = (line.strip().partition(": ") for line in lines)
        found[name] = {key: value.strip() for key, _, value in pairs}
    return found


def test_each_workflow_is_told_with_its_schedule_and_when_it_runs_first(shop: Path) -> None:
    told = paragraphs(said(shop))

    assert list(told) == ["by_hand", "daily"]
    assert told["daily"] == {
        "tasks": "3",
        "time zone": "America/Los_Angeles",
        "parameters": '{"region": "eu"}',
        "schedule": "daily at 07:00 America/Los_Angeles",
        "overlap": "waits for an earlier run, one at most",
        "end": "2026-12-31, that day included",
        # Midnight is at -08:00; seven hours of clock time later the run is at -07:00, an hour of which did not occur.
        "first session": "2026-03-08T00:00:00-08:00",
        "first run": "2026-03-08T08:00:00-07:00 (in 19 h)",
    }
    assert told["by_hand"]["schedule"].startswith("none")


def test_a_machine_gets_the_names_of_the_wire(shop: Path) -> None:
    by_hand, daily = json.loads(said(shop, "--json"))["workflows"]

    assert (by_hand["name"], by_hand["schedule"], by_hand["firstSessionTime"]) == ("by_hand", None, None)
    assert daily == {
        "name": "daily",
        "timezone": "America/Los_Angeles",
        "tasks": 3,
        "params": {"region": "eu"},
        "schedule": "daily at 07:00 America/Los_Angeles",
        "firstSessionTime": "2026-03-08T00:00:00-08:00",
        "firstRunTime": "2026-03-08T15:00:00Z",
    }


def test_a_schedule_that_has_ended_never_runs(shop: Path) -> None:
    (shop / "daily.dig").write_text(DAILY.replace("2026-12-31", "2026-01-31"))

    assert paragraphs(said(shop))["daily"]["first session"] == "never: its end has passed"


def test_every_mistake_is_told_with_file_and_line_and_exit_status_1(shop: Path) -> None:
    (shop / "daily.dig").write_text("+a:\n  eco>: x\n+b:\n  ech>: y\n")

    with pytest.raises(CommandError) as refused:
        said(shop)

    assert refused.value.returncode == 1
    assert "2 problems in 1 file:" in str(refused.value)
    assert "daily.dig:2:3: There is no operator" in str(refused.value)
    assert "daily.dig:4:3: There is no operator" in str(refused.value)


def test_a_link_and_a_folder_that_is_not_there_are_refused(shop: Path) -> None:
    (shop / "link").symlink_to("/etc/passwd")

    with pytest.raises(CommandError, match="link"):
        said(shop)
    with pytest.raises(CommandError, match="There is no folder"):
        said(shop / "nowhere")


def test_a_folder_without_workflows_says_so_beside_the_data(tmp_path: Path) -> None:
    err = StringIO()

    call_command("check_project", str(tmp_path), stdout=(out := StringIO()), stderr=err)

    assert (out.getvalue(), err.getvalue().startswith("There are no workflows")) == ("", True)


def test_the_check_of_django_takes_a_folder(shop: Path) -> None:
    assert said(shop, command="check") == said(shop)
    assert said(shop, "--json", command="check") == said(shop, "--json")


def test_the_check_of_the_installation_has_no_json() -> None:
    with pytest.raises(CommandError, match="--json goes with the folder of a project"):
        call_command("check", "--json")


def test_the_check_of_django_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])  # where the folder scheduler/ is

    for arguments in ((), ("scheduler",), ("--tag", "models")):
        out = StringIO()
        call_command("check", *arguments, stdout=out, stderr=out)
        assert "System check identified no issues" in out.getvalue()
    with pytest.raises(CommandError, match="no system check with the"):
        call_command("check", "--tag", "nope")
    with pytest.raises(LookupError, match="No installed app with label 'nope'"):
        call_command("check", "nope")
