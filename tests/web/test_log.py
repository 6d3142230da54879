import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.models import Attempt, AttemptStatus, LogChunk, Schedule
from scheduler.web.log import CHARACTERS, LINES, LONGEST_LINE, follow, readable, tail

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def attempt(schedule: Schedule, make_attempt: Callable[..., Attempt]) -> Attempt:
    return make_attempt(schedule, NOW, status=AttemptStatus.RUNNING)


def write(attempt: Attempt, *texts: str) -> None:
    LogChunk.objects.bulk_create(LogChunk(attempt=attempt, position=1, text=text, written_at=NOW) for text in texts)


def test_an_empty_log_has_no_lines(attempt: Attempt) -> None:
    assert tail(attempt.pk, done=False).lines == []
    assert follow(attempt.pk, chunk=0, offset=0, number=1, done=False).lines == []


def test_lines_are_numbered_across_chunks(attempt: Attempt) -> None:
    write(attempt, "one\ntw", "o\nthree\n")

    part = tail(attempt.pk, done=False)

    assert [(line.number, line.text) for line in part.lines] == [(1, "one"), (2, "two"), (3, "three")]


def test_a_line_that_is_still_being_written_waits(attempt: Attempt) -> None:
    write(attempt, "one\ntwo, so f")

    first = tail(attempt.pk, done=False)
    write(attempt, "ar\n")
    second = follow(attempt.pk, chunk=first.chunk, offset=first.offset, number=first.number, done=False)

    assert [line.text for line in first.lines] == ["one"]
    assert [(line.number, line.text) for line in second.lines] == [(2, "two, so far")]


def test_the_last_line_needs_no_newline_once_the_attempt_is_done(attempt: Attempt) -> None:
    write(attempt, "one\ntwo")

    assert [line.text for line in tail(attempt.pk, done=True).lines] == ["one", "two"]


def test_a_long_log_shows_its_end_and_says_what_is_left_out(attempt: Attempt) -> None:
    write(attempt, *["".join(f"line {number}\n" for number in range(at, at + 100)) for at in range(0, 5_000, 100)])

    part = tail(attempt.pk, done=True)

    assert len(part.lines) == LINES
    assert part.skipped == 5_000 - LINES
    assert (part.lines[0].number, part.lines[0].text) == (3_001, "line 3000")
    assert part.lines[-1].number == 5_000


def test_a_log_of_long_lines_is_bounded_by_its_letters(attempt: Attempt) -> None:
    write(attempt, *[f"{number} {'x' * 5_000}\n" for number in range(100)])

    part = tail(attempt.pk, done=True)

    assert sum(len(line.text) for line in part.lines) <= CHARACTERS
    assert part.lines[-1].number == 100
    assert part.skipped + len(part.lines) == 100


def test_one_endless_line_does_not_fill_the_page(attempt: Attempt) -> None:
    write(attempt, *["x" * 50_000] * 10)

    part = tail(attempt.pk, done=False)

    assert len(part.lines) == 1
    assert len(part.lines[0].text) < LONGEST_LINE + 100
    assert "more characters in the raw log" in part.lines[0].text


def test_following_a_flood_comes_in_bounded_parts_and_loses_nothing(attempt: Attempt) -> None:
    write(attempt, *["".join(f"line {number}\n" for number in range(at, at + 3_000)) for at in range(0, 60_000, 3_000)])

    seen: list[str] = []
    place = (0, 0, 1)
    while True:
        part = follow(attempt.pk, chunk=place[0], offset=place[1], number=place[2], done=True)
        assert sum(len(line.text) for line in part.lines) <= CHARACTERS
        seen += [line.text for line in part.lines]
        place = (part.chunk, part.offset, part.number)
        if not part.more:
            break

    assert seen == [f"line {number}" for number in range(60_000)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(alphabet="ab\né", min_size=1, max_size=12), min_size=1, max_size=30))
def test_following_shows_every_line_once_however_the_chunks_are_cut(attempt: Attempt, texts: list[str]) -> None:
    LogChunk.objects.all().delete()
    half = len(texts) // 2
    write(attempt, *texts[:half])
    first = tail(attempt.pk, done=False)
    write(attempt, *texts[half:])
    second = follow(attempt.pk, chunk=first.chunk, offset=first.offset, number=first.number, done=True)

    lines = "".join(texts).split("\n")
    expected = lines if lines[-1] else lines[:-1]
    shown = [*first.lines, *second.lines]
    assert [line.text for line in shown] == expected
    assert [line.number for line in shown] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("\x1b[32mok\x1b[0m", "ok"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("10%\r50%\r100%", "100%"),
        ("windows\r", "windows"),
        ("bell\x07 null\x00", "bell� null�"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_what_steers_a_terminal_is_left_out(line: str, text: str) -> None:
    assert readable(line) == text


def test_the_page_appends_only_what_is_new(page: Client, attempt: Attempt) -> None:
    write(attempt, "one\n")
    html = page.get(f"/attempts/{attempt.pk}").content.decode()
    more = re.search(r'hx-get="(/attempts/\d+/log\?[^"]*)"', html)
    assert more
    write(attempt, "two <script>\n")

    answer = page.get(more[1].replace("&amp;", "&")).content.decode()

    assert '<ol id="log" hx-swap-oob="beforeend">' in answer
    assert 'id="L2"' in answer
    assert 'id="L1"' not in answer
    assert "two &lt;script&gt;" in answer


def test_a_place_that_is_nonsense_does_no_harm(page: Client, attempt: Attempt) -> None:
    write(attempt, "one\n")

    for query in ("chunk=x&offset=-1&line=", f"chunk={'9' * 30}", f"chunk=1&offset={'9' * 18}&line={'9' * 18}"):
        assert page.get(f"/attempts/{attempt.pk}/log?{query}").status_code == 200
