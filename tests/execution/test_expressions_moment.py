"""`moment` in expressions, against what moment.js answers and its documentation shows."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduler.execution.template import TemplateError, render

TIME = "moment('2016-03-13T10:00:00Z')"  # a day of Los Angeles that lacks an hour


def in_zone(zone: str, expression: str) -> str:
    values = {"timezone": zone, "session_time": "2016-03-13T10:00:00Z", "i": 2}
    return render(f"${{{expression}}}", values.__getitem__)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (
            "UTC",
            "2016-03-13T10:00:00+00:00 2016-03-14T10:00:00+00:00 2016-03-12T10:00:00+00:00 2016-03-13T11:00:00+00:00 "
            "2016-03-13T09:00:00+00:00 2016-03-13T10:00:00Z 2016-03-13 10:00:00 +00:00 March 13, 2016 10:00 AM",
        ),
        (
            "Asia/Tokyo",
            "2016-03-13T19:00:00+09:00 2016-03-14T19:00:00+09:00 2016-03-12T19:00:00+09:00 2016-03-13T20:00:00+09:00 "
            "2016-03-13T18:00:00+09:00 2016-03-13T10:00:00Z 2016-03-13 19:00:00 +09:00 March 13, 2016 7:00 PM",
        ),
        (
            "America/Los_Angeles",
            "2016-03-13T03:00:00-07:00 2016-03-14T03:00:00-07:00 2016-03-12T03:00:00-08:00 2016-03-13T04:00:00-07:00 "
            "2016-03-13T01:00:00-08:00 2016-03-13T10:00:00Z 2016-03-13 03:00:00 -07:00 March 13, 2016 3:00 AM",
        ),
    ],
)
def test_a_session_time_is_shown_in_the_zone_of_the_workflow(zone: str, expected: str) -> None:
    calls = (
        "",
        "add(1, 'days').",
        "add(-1, 'days').",
        "add(1, 'hours').",
        "add(-1, 'hours').",
        "utc().",
    )
    shown = [in_zone(zone, f"moment(session_time).{call}format()") for call in calls]
    shown += [
        in_zone(zone, f"moment(session_time).format({layout})") for layout in ('"YYYY-MM-DD HH:mm:ss Z"', "'LLL'")
    ]

    assert " ".join(shown) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"{TIME}.add(7, 'd').subtract(1, 'months').format()", "2016-02-20T03:00:00-08:00"),
        (f"{TIME}.subtract(3, 'h').format()", "2016-03-12T23:00:00-08:00"),
        (f"{TIME}.add({{days: 7, months: 1}}).format('YYYY-MM-DD')", "2016-04-20"),
        ("moment('2010-01-31').add(1, 'M').format('MMMM D')", "February 28"),
        ("moment('2016-02-29').subtract(1, 'y').format('L')", "02/28/2015"),
        ("moment('2010-01-01').add(1.5, 'days').date()", "3"),
        (f"{TIME}.startOf('day').format()", "2016-03-13T00:00:00-08:00"),
        (f"{TIME}.endOf('day').format('YYYY-MM-DDTHH:mm:ss.SSSZ')", "2016-03-13T23:59:59.999-07:00"),
        (f"{TIME}.startOf('week').format('ddd L')", "Sun 03/13/2016"),
        (f"{TIME}.startOf('isoWeek').format('ddd L')", "Mon 03/07/2016"),
        (f"{TIME}.startOf('month').format()", "2016-03-01T00:00:00-08:00"),
        (f"{TIME}.endOf('quarter').format('L LTS')", "03/31/2016 11:59:59 PM"),
        (f"{TIME}.startOf('year').format()", "2016-01-01T00:00:00-08:00"),
        (f"{TIME}.startOf('hour').minute()", "0"),
        ("moment([2007, 0, 29]).diff(moment([2007, 0, 28]))", "86400000"),
        ("moment([2007, 0, 29]).diff(moment([2007, 0, 28]), 'days')", "1"),
        ("moment([2008, 9]).diff(moment([2007, 0]), 'years')", "1"),
        ("moment([2008, 9]).diff(moment([2007, 0]), 'years', true)", "1.75"),
        ("moment('2016-03-14').diff('2016-03-13', 'days')", "1"),
        ("moment('2016-03-14').diff('2016-03-13', 'hours')", "23"),
        ("moment('2024-01-31').diff('2024-02-29', 'months', true)", "-1"),
        (f"{TIME}.unix()", "1457863200"),
        (f"{TIME}.valueOf()", "1457863200000"),
        (f"{TIME} - moment.unix(1457863199)", "1000"),
        (f"{TIME}.toISOString()", "2016-03-13T10:00:00.000Z"),
        (TIME, '"2016-03-13T10:00:00.000Z"'),
        (f"{TIME}.tz('Asia/Tokyo').format()", "2016-03-13T19:00:00+09:00"),
        ("moment.tz('2016-03-13 19:00', 'Asia/Tokyo').format()", "2016-03-13T19:00:00+09:00"),
        ("moment.tz('2016-03-13 19:00', 'Asia/Tokyo').utc().format()", "2016-03-13T10:00:00Z"),
        (f"{TIME}.utcOffset()", "-420"),
        (f"{TIME}.utcOffset('+05:30').format()", "2016-03-13T15:30:00+05:30"),
        (f"{TIME}.utc().local().format('Z')", "-07:00"),
        ("moment.parseZone('2013-01-01T00:00:00-13:00').utcOffset()", "-780"),
        ("moment('2010-10-20').isBefore('2010-10-21')", "true"),
        ("moment('2010-10-20').isBefore('2010-12-31', 'year')", "false"),
        ("moment('2010-10-20').isSame('2010-12-31', 'year')", "true"),
        ("moment('2010-10-20').isAfter('2009-12-31', 'year')", "true"),
        ("moment('2010-10-20').isSameOrBefore('2010-10-20')", "true"),
        ("moment('2010-10-20').isBetween('2010-10-19', '2010-10-25')", "true"),
        ("(m => m.clone().add(1, 'd').diff(m, 'd'))(moment())", "1"),
        ("[moment().isValid(), moment('nope').isValid(), moment('2015-02-30').isValid()]", "[true,false,false]"),
        ("moment('nope').format()", "Invalid date"),
        ("moment('2012-02', 'YYYY-MM').daysInMonth()", "29"),
        ("moment('12-25-1995', 'MM-DD-YYYY').format('LL')", "December 25, 1995"),
        ("moment('20240105 0304', 'YYYYMMDD HHmm').format()", "2024-01-05T03:04:00-08:00"),
        ("moment('5 Jan 2024 3:04 pm', 'D MMM YYYY h:mm a').format('LLLL')", "Friday, January 5, 2024 3:04 PM"),
        ("moment('2016-03-12 10:00:00').format()", "2016-03-12T10:00:00-08:00"),
        ("moment('20160312T100000').format('x X')", "1457805600000 1457805600"),
        ("moment('2016-01-01T00:00:00+09:00').format()", "2015-12-31T07:00:00-08:00"),
        ("moment(0).utc().format('dd ddd dddd d e E')", "Th Thu Thursday 4 4 4"),
        ("moment('2016-01-03').format('w ww W WW gggg GGGG')", "2 02 53 53 2016 2015"),
        ("moment('2016-03-01').format('DDD DDDD DDDo Q Qo Do Mo')", "61 061 61st 1 1st 1st 3rd"),
        ("moment('2016-03-12 00:05:09').format('H HH h hh k kk m mm s ss A a')", "0 00 12 12 24 24 5 05 9 09 AM am"),
        ("moment('2016-03-12T00:00:00.123').format('S SS SSS SSSS [at] \\\\Z')", "1 12 123 1230 at Z"),
        ("moment('2016-03-12').format('YY MMM MMMM ll lll')", "16 Mar March Mar 12, 2016 Mar 12, 2016 12:00 AM"),
        (
            "['year', 'month', 'date', 'day', 'hour', 'minute', 'isoWeek'].map(u => " + TIME + ".get(u))",
            "[2016,2,13,0,3,0,10]",
        ),
        (f"{TIME}.year(2020).month(1).date(31).hours(4).format()", "2020-03-02T04:00:00-08:00"),
        (f"{TIME}.set({{hour: 0, minute: 30}}).format('LT')", "12:30 AM"),
        (f"{TIME}.day(6).format('L') + {TIME}.isoWeekday(1).format('L')", "03/19/201603/07/2016"),
        ("moment.max(moment('2016-01-01'), moment('2017-01-01')).year()", "2017"),
        ("moment.isMoment(moment()) && !moment.isMoment(new Date())", "true"),
        (f"{TIME}.add(i, 'days').format('MM-DD')", "03-15"),
    ],
)
def test_moment_answers_as_documented(expression: str, expected: str) -> None:
    assert in_zone("America/Los_Angeles", expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("moment('2016-03-13 02:30').format()", "2016-03-13T03:30:00-07:00"),
        ("moment('2016-03-12 02:30').add(1, 'd').format()", "2016-03-13T03:30:00-07:00"),
        ("moment('2016-11-06 01:30').format()", "2016-11-06T01:30:00-07:00"),
        ("moment('2016-11-06 01:30').add(1, 'h').format()", "2016-11-06T01:30:00-08:00"),
        ("moment('2016-11-06 01:30').add(1, 'h').startOf('hour').format()", "2016-11-06T01:00:00-08:00"),
        ("moment('2016-11-06').endOf('day').diff(moment('2016-11-06'), 'hours')", "24"),
        ("moment('2016-10-02 02:15').tz('Australia/Lord_Howe').format('Z')", "+11:00"),
        ("moment.tz('2011-12-30 12:00', 'Pacific/Apia').format()", "2011-12-31T12:00:00+14:00"),
    ],
)
def test_moment_at_the_changes_of_clocks(expression: str, expected: str) -> None:
    assert in_zone("America/Los_Angeles", expression) == expected


@pytest.mark.parametrize(
    "zone",
    [
        "America/Los_Angeles",
        "America/Vancouver",
        "Africa/Casablanca",
        "Asia/Tokyo",
        "Australia/Lord_Howe",
        "Europe/London",
        "Pacific/Apia",
        "America/Sao_Paulo",
        "UTC",
        "Asia/Kathmandu",
    ],
)
def test_moment_knows_the_zones_that_the_timetable_knows(zone: str) -> None:
    instants = [datetime(year, month, 15, tzinfo=UTC) for year in range(1960, 2099) for month in range(1, 13)]
    milliseconds = [int(instant.timestamp()) * 1000 for instant in instants]

    values = {"all": milliseconds, "timezone": zone}
    offsets = json.loads(render("${all.map(one => moment(one).utcOffset() * 60)}", values.__getitem__))

    expected = [instant.astimezone(ZoneInfo(zone)).utcoffset() or timedelta() for instant in instants]
    assert offsets == [offset.total_seconds() for offset in expected]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("moment.tz('1850-01-01', 'Europe/London').format('YYYY')", "1850"),
        ("moment('2150-07-01T00:00:00Z').format()", "2150-07-01T01:00:00+01:00"),
        ("moment.unix(4102444799).format('x') + moment.unix(4102444800).format('Z')", "4102444799000+00:00"),
    ],
)
def test_moment_goes_beyond_the_years_that_zones_are_kept_of(expression: str, expected: str) -> None:
    assert in_zone("Europe/London", expression) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("moment().add(1, 'fortnight')", "fortnight is not a unit of time"),
        ("moment().add('x', 'days')", "The number of days is not a number"),
        ("moment().tz('Mars/Base')", 'There is no time zone "Mars/Base"'),
        ("moment('5th', 'Do')", "does not read Do"),
        ("moment().fromNow()", "fromNow is not a function"),
    ],
)
def test_what_moment_cannot_do_is_told(expression: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        in_zone("UTC", expression)
