"""Which files are workflows, their names, and what stands at the top of them."""

import pytest

from projects.dig import FilesRefused, project, read
from tests.dig.language import LANGUAGE, refusals

HELLO = b"+a: {echo>: Hello}"


def names(*paths: str) -> list[str]:
    return list(read(dict.fromkeys(paths, HELLO), language=LANGUAGE))


def test_workflows_are_the_dig_files_at_the_top() -> None:
    assert names("b.dig", "a.dig", ".c.dig", "folder/d.dig", "e.yml", "dig", "f.dig.txt") == ["a", "b"]


def test_a_project_may_have_no_workflow() -> None:
    assert names("readme.txt") == []


@pytest.mark.parametrize("name", ["daily report", "日次", "a.b", "A-1", "x" * 255])
def test_names_that_digdag_takes_are_taken(name: str) -> None:
    assert names(f"{name}.dig") == [name]


@pytest.mark.parametrize("name", ["1st", "+a", "^a", "@a", "a.dig", "x" * 256, "a\nb", "a\x1bb"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(FilesRefused) as refused:
        names(f"{name}.dig")

    (problem,) = refused.value.problems
    assert problem.message.startswith("The name of a workflow")
    assert "\n" not in str(problem)
    assert "\x1b" not in str(problem)


def test_a_zone_and_a_schedule_are_both_checked() -> None:
    assert refusals("timezone: Mars/Base\nschedule:\n  cron>: 99 * * * *\n" + HELLO.decode()) == [
        "w.dig:1:1: Unknown time zone 'Mars/Base'; use an IANA name such as 'Europe/London'.",
        "w.dig:3:3: The minute field has '99'; values are 0 to 59.",
    ]


@pytest.mark.parametrize("zone", ["", "''", "' '", "[UTC]", "true", "5"])
def test_a_zone_is_a_name(zone: str) -> None:
    (refusal,) = refusals(f"timezone: {zone}\n{HELLO.decode()}")

    assert refusal.startswith("w.dig:1:1: timezone: takes a name, such as Europe/London, not ")


@pytest.mark.parametrize(
    ("schedule", "place"),
    [
        ("{}", "1:1"),
        ("{daily>: 07:00:00, cron>: 0 0 * * *}", "1:12"),
        ("{daily>: 07:00:00, start: 2026-02-30}", "1:30"),
        ("{daily>: 07:00:00, foo: 1}", "1:30"),
        ("{dayly>: 07:00:00}", "1:12"),
        ("{daily>: 7}", "1:12"),
        ("{cron>: 0 0 * * *, delay: -1}", "1:30"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_told_at_its_key(schedule: str, place: str) -> None:
    (refusal,) = refusals(f"schedule: {schedule}\n{HELLO.decode()}")

    assert refusal.startswith(f"w.dig:{place}: ")


@pytest.mark.parametrize(
    "schedule",
    [
        "{hourly>: 30:00}",
        "{daily>: 10:00:00, start: 2026-01-01, end: 2026-12-31}",
        "{weekly>: 'Sun,09:00:00'}",
        "{monthly>: '1,09:00:00'}",
        "{minutes_interval>: 5}",
        "{seconds_interval>: 30}",
        "{cron>: 0 7 * * *, delay: 60}",
        "{cron>: '*/5 * * * *', skip_on_overtime: true, skip_delayed_by: 1h}",
    ],
)
def test_schedules_are_written_as_in_digdag(schedule: str) -> None:
    assert refusals(f"schedule: {schedule}\n{HELLO.decode()}") == []


def test_all_mistakes_of_all_files_are_told_in_the_order_of_files_and_lines() -> None:
    files = {"b.dig": b"+a: {eco>: 1}\n+b: {eco>: 1}", "a.dig": b"zone: 1\n\n+a: {sh: 1}", "c.dig": b"a: b: c"}

    with pytest.raises(FilesRefused) as refused:
        read(files, language=LANGUAGE)

    places = [(problem.place.file, problem.place.line) for problem in refused.value.problems]
    assert places == [("a.dig", 1), ("a.dig", 3), ("b.dig", 1), ("b.dig", 2), ("c.dig", 1)]
    assert refused.value.message.startswith("5 problems in 3 files:\na.dig:1:1: ")


def test_files_that_are_too_much_together_are_not_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "MOST_VALUES_TOGETHER", 10)

    with pytest.raises(FilesRefused) as refused:
        read({"a.dig": HELLO, "b.dig": HELLO, "c.dig": HELLO, "d.dig": b"["}, language=LANGUAGE)

    assert refused.value.message == "1 problem:\nc.dig: The files have more than 10 values together."


def test_no_more_mistakes_are_told_than_somebody_reads() -> None:
    with pytest.raises(FilesRefused) as refused:
        read({"w.dig": "".join(f"+a{number}: {{eco>: 1}}\n" for number in range(150)).encode()}, language=LANGUAGE)

    assert len(refused.value.problems) == 100
    assert refused.value.more
    assert refused.value.message.startswith("More than 100 problems; these are the first, in 1 file:\nw.dig:1:7: ")
