"""A timetable in words, for people who do not read cron."""

from cron_descriptor import FormatException, MissingFieldException, Options, WrongArgumentException, get_description

from scheduler.timetable import Kind, Timetable

LONGEST = 120
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def in_words(timetable: Timetable) -> str:
    """`At 03:00, Monday through Friday (0 3 * * 1-5), Europe/Berlin`; what has no short words, as it is written."""
    if timetable.kind is Kind.SECONDS:
        return _every(int(timetable.expression))
    if timetable.kind is not Kind.CRON:
        return timetable.describe()
    options = Options()
    options.use_24hour_time_format = True
    try:
        words = get_description(timetable.expression, options)
    except (FormatException, MissingFieldException, WrongArgumentException):
        words = ""
    written = f"{words} ({timetable.expression})" if 0 < len(words) <= LONGEST else f"cron {timetable.expression}"
    return f"{written}, {timetable.timezone}"


def _every(seconds: int) -> str:
    """In the largest unit of which it is a multiple."""
    length, unit = next((unit for unit in UNITS if seconds % unit[0] == 0), (1, "second"))
    count = seconds // length
    return f"every {unit}" if count == 1 else f"every {count:,} {unit}s"
