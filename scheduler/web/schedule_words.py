"""A timetable in words, for people who do not read cron."""

from cron_descriptor import FormatException, MissingFieldException, Options, WrongArgumentException, get_description

from scheduler.timetable import Kind, Timetable

LONGEST = 120


def in_words(timetable: Timetable) -> str:
    """`At 03:00, Monday through Friday (0 3 * * 1-5), Europe/Berlin`; what has no short words, as it is written."""
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
