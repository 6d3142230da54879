from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from scheduler.errors import InvalidInput
from scheduler.models import Schedule
from scheduler.models.backfill import Only
from scheduler.web.forms import BackfillForm, read_time
from scheduler.web.times import zone_or_utc

NOW = datetime(2026, 11, 24, 18, 43, tzinfo=UTC)
pytestmark = pytest.mark.django_db

PACIFIC = "America/Los_Angeles"


def read(text: str, zone: str = PACIFIC) -> datetime:
    return read_time(text, zone_or_utc(zone), zone).astimezone(UTC)


def refusal(text: str, zone: str = PACIFIC) -> str:
    with pytest.raises(ValidationError) as caught:
        read(text, zone)
    return str(caught.value.messages[0])


def form(**values: Any) -> BackfillForm:
    data = {"from_time": "2026-11-23 00:00", "attempt_name": "fix", **values}
    return BackfillForm(data, schedule=Schedule(timezone=PACIFIC), now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23 00:00",
        "2026-11-23",
        " 2026-11-23T00:00 ",
        "2026-11-23 00:00 −08:00",
        "2026-11-23T00:00:00-08:00",
        "2026-11-23T08:00:00Z",
        "2026-11-23 08:00 UTC",
        "2026-11-23T08:00:00.000+00:00",
    ],
)
def test_a_time_is_local_unless_it_has_an_offset(text: str) -> None:
    assert read(text) == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "23.11.2026", "2026-11-23 24", "2026-11-23 00:00 PST", "٢٠٢٦-11-23"])
def test_what_is_not_a_time_is_answered_with_an_example(text: str) -> None:
    assert "2026-11-23 00:00 (America/Los_Angeles)" in refusal(text)


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-30 00:00", "2026-11-23 25:00", "2026-11-23 00:00+99:00"])
def test_days_and_hours_that_do_not_exist_are_refused(text: str) -> None:
    assert "not on the calendar or the clock" in refusal(text)


def test_a_local_time_that_the_clocks_skip_is_refused_with_the_next_one() -> None:
    assert refusal("2026-03-08 02:30") == (
        "2026-03-08 02:30 does not exist in America/Los_Angeles: the clocks go forward over it. "
        "The next time there is 2026-03-08 03:00 −07:00."
    )


def test_a_day_that_a_zone_left_out_is_refused() -> None:
    assert "The next time there is 2011-12-31 00:00 +14:00." in refusal("2011-12-30", "Pacific/Apia")


def test_a_local_time_that_occurs_twice_asks_for_its_offset() -> None:
    assert refusal("2026-11-01 01:30") == (
        "2026-11-01 01:30 occurs twice in America/Los_Angeles: the clocks go back. "
        "Add −07:00 for the first or −08:00 for the second."
    )


def test_both_copies_of_a_repeated_hour_can_be_named() -> None:
    assert read("2026-11-01 01:30 −07:00") == datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
    assert read("2026-11-01 01:30 −08:00") == datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(("text", "zone"), [("0001-01-01", "Asia/Tokyo"), ("9999-12-31 23:59", PACIFIC)])
def test_local_times_at_the_ends_of_the_calendar_are_refused(text: str, zone: str) -> None:
    assert "out of the calendar" in refusal(text, zone)


def test_defaults_are_midnight_of_yesterday_and_a_name_by_local_time() -> None:
    fresh = BackfillForm(schedule=Schedule(timezone=PACIFIC), now=NOW)

    assert fresh["from_time"].value() == "2026-11-23 00:00"
    assert fresh["attempt_name"].value() == "backfill-2026-11-24-1043"


def test_the_form_says_which_zone_it_reads() -> None:
    assert "Local time in America/Los_Angeles" in form()["from_time"].help_text


def test_what_was_asked_is_what_the_verb_takes() -> None:
    filled = form(to_time="2026-11-24", count="3", only="failed", concurrency="4", dry_run="on")

    assert filled.is_valid()
    assert filled.asked == {
        "from_time": datetime(2026, 11, 23, 0, 0, tzinfo=zone_or_utc(PACIFIC)),
        "to_time": datetime(2026, 11, 24, 0, 0, tzinfo=zone_or_utc(PACIFIC)),
        "count": 3,
        "only": Only.FAILED,
        "attempt_name": "fix",
        "concurrency": 4,
        "pool_id": None,
    }
    assert filled.cleaned_data["dry_run"] is True


def test_what_is_left_empty_means_all_of_them_one_after_the_other() -> None:
    filled = form(to_time="", count="", concurrency="")

    assert filled.is_valid()
    assert [filled.asked[name] for name in ("to_time", "count", "only", "concurrency")] == [None, None, "all", 1]


def test_rules_are_left_to_the_verb() -> None:
    assert form(count="0").is_valid()
    assert form(attempt_name="x" * 300).is_valid()


@pytest.mark.parametrize("count", ["three", "1.5", "1e3", "9" * 5000])
def test_a_count_that_is_no_whole_number_is_refused(count: str) -> None:
    assert form(count=count).errors["count"] == ["Write a whole number, or leave it empty."]


def test_refusals_of_the_verb_stand_beside_their_fields_and_the_rest_above() -> None:
    filled = form()
    assert filled.is_valid()

    filled.refuse(InvalidInput({"count": ["Too many."], "schedule": ["No timetable."]}))

    assert filled.errors["count"] == ["Too many."]
    assert filled.non_field_errors() == ["No timetable."]


def test_the_first_wrong_field_has_the_focus() -> None:
    filled = form(count="x", attempt_name="")

    filled.focus_first_error()

    assert "autofocus" in str(filled["count"])
    assert "autofocus" not in str(filled["from_time"]) + str(filled["attempt_name"])
