"""Logs of attempts that are done go into the storage, a file for each task, and are read from there."""

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.test import Client

from scheduler import logs
from scheduler.execution import log_sweep
from scheduler.execution.log_sweep import LogSweeper, StorageAway
from scheduler.models import Attempt, AttemptStatus, LogChunk, LogFile, Schedule, TaskRun
from scheduler.web import log

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OLD = NOW + timedelta(days=10_000)

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(settings: Any, tmp_path: Path) -> Path:
    """The folder of the storage `logs`."""
    use(settings, "projects.storage.WholeFileStorage", location=str(tmp_path / "logs"))
    return tmp_path / "logs"


def use(settings: Any, backend: str, **options: Any) -> None:
    settings.STORAGES = {**settings.STORAGES, "logs": {"BACKEND": backend, "OPTIONS": options}}


@pytest.fixture
def ended(schedule: Schedule, make_attempt: Callable[..., Attempt], place: Path) -> Attempt:
    """An attempt of two tasks whose log is in pieces: 1 wrote "one", "two", 2 wrote "ä" between them."""
    attempt = make_attempt(schedule, NOW, status=AttemptStatus.ERROR)
    write(attempt, (1, "one\n"), (2, "ä\n"), (1, "two"))
    return attempt


def write(attempt: Attempt, *pieces: tuple[int, str]) -> None:
    for position, name in ((1, "+wf+a"), (2, "+wf+b")):
        TaskRun.objects.get_or_create(
            attempt=attempt, position=position, defaults={"full_name": name, "updated_at": NOW, "state": "success"}
        )
    LogChunk.objects.bulk_create(
        LogChunk(attempt=attempt, position=at, text=text, written_at=NOW) for at, text in pieces
    )


def files_in(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): gzip.decompress(path.read_bytes()).decode()
        for path in place.rglob("*")
        if path.is_file()
    }


def test_the_log_becomes_a_file_for_each_task(ended: Attempt, place: Path) -> None:
    assert logs.move(ended.pk) == 2

    folder = f"{ended.pk // 1000}/{ended.pk}"
    assert files_in(place) == {f"{folder}.1.log.gz": "one\ntwo", f"{folder}.2.log.gz": "ä\n"}
    assert not LogChunk.objects.exists()
    assert list(LogFile.objects.order_by("position").values_list("position", "size", "lines")) == [(1, 7, 1), (2, 3, 1)]


def test_it_reads_the_same_before_and_after(ended: Attempt) -> None:
    def read() -> list[object]:
        return [
            logs.tasks_with_text(ended.pk),
            gzip.decompress(logs.gzipped(ended.pk, 1)),
            logs.gzipped(ended.pk, 2),
            "".join(logs.text(ended.pk, [2])),
        ]

    before = read()
    logs.move(ended.pk)

    assert read() == before
    assert "".join(logs.text(ended.pk)) == "one\ntwoä\n"  # by task, no longer by time


def test_a_file_keeps_the_time_of_its_first_line_while_it_grows_and_when_it_is_moved(ended: Attempt) -> None:
    LogChunk.objects.create(attempt=ended, position=1, text="late", written_at=NOW + timedelta(seconds=10))
    before = logs.tasks_with_text(ended.pk)

    logs.move(ended.pk)

    assert [text.written_at for text in before] == [NOW, NOW]
    assert logs.tasks_with_text(ended.pk) == before


def test_moving_again_changes_nothing(ended: Attempt, place: Path) -> None:
    logs.move(ended.pk)
    before = (files_in(place), list(LogFile.objects.values()))

    assert logs.move(ended.pk) == 0
    assert (files_in(place), list(LogFile.objects.values())) == before


def test_a_crash_between_the_files_and_the_row_loses_nothing(
    ended: Attempt, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(name: str) -> None:
        raise KeyboardInterrupt(name)

    monkeypatch.setattr(logs, "crashpoint", crash)
    with pytest.raises(KeyboardInterrupt, match="after_files"):
        logs.move(ended.pk)
    assert "".join(logs.text(ended.pk)) == "one\nä\ntwo"
    written = files_in(place)

    monkeypatch.setattr(logs, "crashpoint", lambda name: None)
    assert logs.move(ended.pk) == 2
    assert files_in(place) == written
    assert not LogChunk.objects.exists()


def test_who_comes_second_writes_nothing_over(ended: Attempt, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = iter([lambda: logs.move(ended.pk)])
    monkeypatch.setattr(logs, "crashpoint", lambda name: next(others, lambda: 0)())  # somebody moves it in between

    assert logs.move(ended.pk) == 0
    assert LogFile.objects.count() == 2
    assert set(files_in(place).values()) == {"one\ntwo", "ä\n"}


def test_a_storage_that_gives_second_files_names_of_their_own_keeps_one(
    ended: Attempt, settings: Any, place: Path
) -> None:
    use(settings, "django.core.files.storage.FileSystemStorage", location=str(place))
    assert isinstance(storages["logs"], FileSystemStorage)
    storages["logs"].save(f"{ended.pk // 1000}/{ended.pk}.1.log.gz", ContentFile(gzip.compress(b"of a crash")))

    logs.move(ended.pk)

    assert sorted(files_in(place).values()) == ["one\ntwo", "ä\n"]


def test_only_logs_whose_end_is_a_while_ago_are_moved(
    schedule: Schedule, make_attempt: Callable[..., Attempt], place: Path, settings: Any
) -> None:
    settings.HINDCAST_LOG_MOVE_SECONDS = 3600.0
    now = datetime.now(UTC)
    runs = make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)
    just = make_attempt(schedule, NOW + timedelta(1), finished_at=now - timedelta(minutes=59))
    long = make_attempt(schedule, NOW + timedelta(2), finished_at=now - timedelta(minutes=61))
    silent = make_attempt(schedule, NOW + timedelta(3), finished_at=NOW)
    for attempt in (runs, just, long):
        write(attempt, (1, "x"))

    assert LogSweeper().sweep() == 1
    assert list(LogFile.objects.values_list("attempt", flat=True)) == [long.pk]
    assert silent.pk not in logs.movable(limit=10)


def test_one_sweep_moves_so_many_and_the_next_goes_on(
    schedule: Schedule, make_attempt: Callable[..., Attempt], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_sweep, "MOST_MOVED", 2)
    for day in range(5):
        write(make_attempt(schedule, NOW + timedelta(days=day)), (1, "x"))
    sweeper = LogSweeper()

    assert [sweeper.sweep() for _ in range(4)] == [2, 2, 1, 0]


def test_one_worker_sweeps_at_a_time(ended: Attempt) -> None:
    first, second = LogSweeper(), LogSweeper()
    second._owner = "another"
    first.sweep()
    write(ended, (1, "as if it had come later"))

    assert second.sweep() == 0


class Away(FileSystemStorage):
    """A storage that is out of reach."""

    def save(self, *_: Any, **__: Any) -> str:
        raise TimeoutError("no answer")

    def open(self, *_: Any, **__: Any) -> Any:
        raise TimeoutError("no answer")


def test_while_the_storage_is_away_logs_stay_and_are_read(ended: Attempt, settings: Any) -> None:
    use(settings, f"{__name__}.Away")

    with pytest.raises(StorageAway, match="no answer"):
        LogSweeper().sweep()

    assert "".join(logs.text(ended.pk)) == "one\nä\ntwo"
    assert not LogFile.objects.exists()


def test_an_attempt_that_cannot_be_moved_holds_up_no_other(
    ended: Attempt, schedule: Schedule, make_attempt: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_attempt(schedule, NOW + timedelta(1))
    write(other, (1, "x"))
    write_files = logs.write

    def refuse(attempt_id: int) -> logs.Written | None:
        if attempt_id == ended.pk:
            raise OSError("name too long")
        return write_files(attempt_id)

    monkeypatch.setattr(logs, "write", refuse)
    sweeper = LogSweeper()
    with pytest.raises(StorageAway):
        sweeper.sweep()

    assert sweeper.sweep() == 1
    assert LogFile.objects.get().attempt_id == other.pk


def test_what_was_written_before_the_storage_refused_is_moved(
    ended: Attempt, schedule: Schedule, make_attempt: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(make_attempt(schedule, NOW + timedelta(1)), (1, "x"))
    write_files = logs.write
    monkeypatch.setattr(logs, "write", lambda pk: write_files(pk) if pk == ended.pk else open("/nowhere"))  # noqa: SIM115

    with pytest.raises(StorageAway):
        LogSweeper().sweep()

    assert set(LogFile.objects.values_list("attempt", flat=True)) == {ended.pk}
    assert not LogChunk.objects.filter(attempt=ended).exists()


def test_a_sweep_tells_of_trouble_and_rests(ended: Attempt, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    use(settings, f"{__name__}.Away")

    assert LogSweeper()._round() == log_sweep.AWAY_SECONDS
    assert "logs_not_moved" in caplog.text


def test_files_that_no_row_names_are_removed_when_they_are_old(ended: Attempt, place: Path) -> None:
    logs.move(ended.pk)
    folder = place / str(ended.pk // 1000)
    stray, half, mine = folder / "999.1.log.gz", folder / ".incoming-abc", folder / "notes.txt"
    for path in (stray, half, mine):
        path.write_bytes(b"x")
    sweeper = LogSweeper()

    assert sweeper.sweep_orphans(datetime.now(UTC)) == 0  # somebody may be about to name them
    os.utime(stray, (0, 0))
    os.utime(half, (0, 0))

    assert sweeper.sweep_orphans(datetime.now(UTC)) == 2
    assert not stray.exists()
    assert not half.exists()
    assert len(files_of_attempt(folder, ended)) == 2
    assert mine.exists()


def test_a_file_whose_row_is_still_to_come_is_no_orphan(
    ended: Attempt, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "crashpoint", lambda name: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        logs.move(ended.pk)

    assert logs.sweep_folder(str(ended.pk // 1000), before=OLD) == 0
    assert len(files_in(place)) == 2


def files_of_attempt(folder: Path, attempt: Attempt) -> list[Path]:
    return list(folder.glob(f"{attempt.pk}.*.log.gz"))


# --- the page ---------------------------------------------------------------------------------------------------


def test_the_page_shows_a_log_that_was_moved(ended: Attempt) -> None:
    logs.move(ended.pk)

    part = log.tail(ended.pk, done=True)

    assert [(line.number, line.text) for line in part.lines] == [(1, "one"), (2, "twoä")]
    assert (part.skipped, part.trouble, part.more) == (0, "", False)


def test_the_page_reads_only_the_files_at_the_end(ended: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    write(ended, (2, "".join(f"line {n}\n" for n in range(50_000))))
    logs.move(ended.pk)
    read: list[int] = []
    kept_text = logs.kept_text
    monkeypatch.setattr(logs, "kept_text", lambda file: read.append(file.position) or kept_text(file))

    part = log.tail(ended.pk, done=True)

    assert read == [2]
    assert part.lines[-1].text == "line 49999"
    assert part.lines[-1].number == 50_002  # of "one", "twoä" and the rest
    assert part.skipped == part.lines[0].number - 1


def test_a_page_that_was_open_meanwhile_misses_no_line(ended: Attempt) -> None:
    LogChunk.objects.all().delete()
    write(ended, *((1, f"line {n}\n") for n in range(10)))
    first = log.tail(ended.pk, done=False)
    write(ended, *((1, f"line {n}\n") for n in range(10, 15)), (1, "end"))
    logs.move(ended.pk)

    second = log.follow(ended.pk, chunk=first.chunk, offset=first.offset, number=first.number, done=True)

    assert [line.text for line in second.lines] == [*(f"line {n}" for n in range(10, 15)), "end"]
    third = log.follow(ended.pk, chunk=second.chunk, offset=second.offset, number=second.number, done=True)
    assert third.lines == []


def test_a_long_rest_comes_in_several_answers(ended: Attempt) -> None:
    write(ended, (2, "".join(f"line {n}\n" for n in range(50_000))))
    logs.move(ended.pk)
    lines: list[str] = []
    part = log.follow(ended.pk, chunk=1, offset=0, number=1, done=True)
    while True:
        lines += [line.text for line in part.lines]
        if not part.more:
            break
        part = log.follow(ended.pk, chunk=part.chunk, offset=part.offset, number=part.number, done=True)

    assert lines == ["one", "twoä", *(f"line {n}" for n in range(50_000))]


def test_a_storage_out_of_reach_is_told_on_the_page(
    ended: Attempt, settings: Any, client: Client, admin_user: Any
) -> None:
    logs.move(ended.pk)
    use(settings, f"{__name__}.Away")
    client.force_login(admin_user)

    page = client.get(f"/attempts/{ended.pk}")
    raw = client.get(f"/attempts/{ended.pk}/log.txt")

    assert page.status_code == 200
    assert "The storage of logs does not answer" in page.content.decode()
    assert raw.status_code == 503


def test_a_moved_log_is_fetched_over_the_wire(ended: Attempt, client: Client, api_key: str, settings: Any) -> None:
    logs.move(ended.pk)
    headers = {"Authorization": f"TD1 {api_key}"}

    files = client.get(f"/api/logs/{ended.pk}/files", headers=headers).json()["files"]
    bodies = [client.get(f"/api/logs/{ended.pk}/files/{file['fileName']}", headers=headers) for file in files]

    assert [(file["taskName"], file["fileSize"]) for file in files] == [("+wf+a", 7), ("+wf+b", 3)]
    assert [gzip.decompress(body.content).decode() for body in bodies] == ["one\ntwo", "ä\n"]
    assert {body["Content-Type"] for body in bodies} == {"application/gzip"}
    use(settings, f"{__name__}.Away")
    refused = client.get(f"/api/logs/{ended.pk}/files/{files[0]['fileName']}", headers=headers)
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    assert refused.json()["message"].startswith("The storage of logs does not answer")
