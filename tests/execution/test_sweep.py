"""Workspaces that killed workers left, removed by those that live."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from scheduler import attempts
from scheduler.attempts import Claim
from scheduler.execution import sweep
from scheduler.execution.sweep import Sweeper
from scheduler.execution.workspace import Workspace
from scheduler.models import Attempt, AttemptStatus, Lane

Make = Callable[..., Any]
ECHO = {"+a": {"echo>": "x"}}


@pytest.fixture
def work(settings: Any, tmp_path: Path) -> Path:
    settings.HINDCAST_WORK_DIR = tmp_path / "work"
    return tmp_path / "work"


@pytest.fixture
def claimed(queue: Make) -> Callable[[], Claim]:
    """claimed(): the claim of a new attempt, which runs."""

    def make() -> Claim:
        attempt = queue(ECHO)
        claim = attempts.claim(lanes=[Lane.MANUAL], worker="test", now=attempt.created_at)
        assert claim
        return claim

    return make


def workspace(claim: Claim) -> Path:
    folder = Workspace(claim, archive="").path()
    (folder / "inside").mkdir()
    (folder / "inside" / "file").write_text("x")
    return folder


@pytest.mark.parametrize("end", ["success", "error", "killed"])
def test_the_workspace_of_an_attempt_that_ended_is_removed(work: Path, claimed: Make, end: str) -> None:
    claim = claimed()
    folder = workspace(claim)
    attempt = Attempt.objects.get(pk=claim.attempt_id)
    Attempt.objects.filter(pk=attempt.pk).update(
        status=AttemptStatus(end), lease_expires_at=None, finished_at=attempt.created_at
    )

    assert Sweeper().sweep() == 1
    assert not folder.exists()


@pytest.mark.parametrize("status", ["running", "canceling"])
def test_a_workspace_in_use_is_left_alone(work: Path, claimed: Make, status: str) -> None:
    claim = claimed()
    folder = workspace(claim)
    if status == "canceling":
        attempts.kill(claim.attempt_id, now=Attempt.objects.get().created_at)

    assert Sweeper().sweep() == 0
    assert (folder / "inside" / "file").exists()


def test_the_workspace_of_an_earlier_delivery_is_removed_while_a_later_one_runs(work: Path, claimed: Make) -> None:
    before = claimed()
    workspace(before)
    now = Attempt.objects.get().created_at
    attempts.give_back(before, now=now)
    after = attempts.claim(lanes=[Lane.MANUAL], worker="test", now=now)
    assert after
    (work / f"{after.attempt_id}.{after.token}").mkdir()

    assert Sweeper().sweep() == 1
    assert [folder.name for folder in work.iterdir()] == [f"{after.attempt_id}.{after.token}"]


def test_the_workspace_of_an_attempt_that_was_deleted_is_removed(db: None, work: Path) -> None:
    (work / "123456.7").mkdir(parents=True)

    assert Sweeper().sweep() == 1
    assert not (work / "123456.7").exists()


def test_what_is_no_workspace_is_left_alone(db: None, work: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("1", "1.2.3", "1.x", "notes", "٣.١", f"{'9' * 30}.1"):
        (work / name).mkdir(parents=True)
    (work / "5.1").write_text("a file")
    (work / "6.1").symlink_to(tmp_path / "elsewhere")
    before = set(os.listdir(work))

    assert Sweeper().sweep() == 0
    assert set(os.listdir(work)) == before


def test_an_attempt_that_is_claimed_after_the_look_at_the_folders_keeps_its_workspace(
    work: Path, claimed: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders first, then the database: the other way round, this one would be taken for abandoned."""
    workspace(claimed())
    folders, ask = [], sweep._held

    def claim_first(attempt_ids: Any) -> Any:
        folders.append(workspace(claimed()))
        return ask(attempt_ids)

    monkeypatch.setattr(sweep, "_held", claim_first)

    assert Sweeper().sweep() == 0
    assert folders
    assert all(folder.exists() for folder in folders)


def test_one_sweep_removes_a_bounded_number_and_the_next_goes_on(
    db: None, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_REMOVED", 3)
    monkeypatch.setattr(sweep, "ASKED_AT_ONCE", 2)
    for number in range(5):
        (work / f"{number}.1").mkdir(parents=True)
    sweeper = Sweeper()

    assert [sweeper.sweep(), sweeper.sweep(), sweeper.sweep()] == [3, 2, 0]


def test_where_nothing_is_nothing_is_asked(db: None, work: Path, django_assert_num_queries: Make) -> None:
    with django_assert_num_queries(0):
        assert Sweeper().sweep() == 0
        work.mkdir()
        assert Sweeper().sweep() == 0


def test_many_folders_are_asked_for_at_once(db: None, work: Path, django_assert_num_queries: Make) -> None:
    for number in range(50):
        (work / f"{number}.1").mkdir(parents=True)

    with django_assert_num_queries(1):
        assert Sweeper().sweep() == 50


def test_a_folder_that_cannot_be_removed_is_passed_over_the_next_time(
    db: None, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        (work / f"{number}.1").mkdir(parents=True)
    tried: list[str] = []
    monkeypatch.setattr(sweep, "remove_folder", lambda folder: tried.append(folder.name))
    sweeper = Sweeper()

    sweeper.sweep()
    sweeper.sweep()

    assert sorted(tried) == ["1.1", "2.1"]


def test_a_database_out_of_reach_removes_nothing_and_ends_nothing(
    db: None, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "1.1").mkdir(parents=True)

    def away(_: Any) -> Any:
        raise OperationalError("away")

    monkeypatch.setattr(sweep, "_held", away)

    assert Sweeper().sweep() == 0
    assert (work / "1.1").exists()
