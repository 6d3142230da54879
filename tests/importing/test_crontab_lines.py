"""What a crontab's lines become: names, commands, variables, and the reasons of those that are not taken."""

import subprocess
from pathlib import Path

import pytest

from scheduler.execution.operators.shell_text import referenced
from scheduler.importing.crontab_lines import Reading, read
from scheduler.importing.drafts import Draft
from scheduler.timetable import TimetableError


def reading(*lines: str, **options: object) -> Reading:
    return read("\n".join(lines), **{"source": "jobs.txt", "timezone": "UTC", **options})  # type: ignore[arg-type]


def only(*lines: str, **options: object) -> Draft:
    found = reading(*lines, **options)
    assert not found.bad
    [draft] = found.drafts
    return draft


def names(*lines: str) -> list[str]:
    return [draft.name for draft in reading(*lines).drafts]


def run(draft: Draft, tmp_path: Path) -> str:
    """What the task prints, as `sh>` runs it."""
    for path, content in draft.files().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    text, values = referenced(str(draft.task["sh>"]), {}.__getitem__)
    environment = {"PATH": "/usr/bin:/bin", **values}
    done = subprocess.run(
        ["/bin/sh", "-c", text], cwd=tmp_path, env=environment, capture_output=True, timeout=10, check=True
    )
    return done.stdout.decode()


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/local/bin/backup.sh --full", "backup"),
        ("cd /srv/app && /usr/bin/python3 manage.py send_invoices > /dev/null", "send_invoices"),
        ("FOO=1 nice -n 10 /opt/report", "report"),
        ("flock -n /tmp/lock python -m shop.sync", "shop.sync"),
        ("sudo -u www php /srv/cron.php", "cron"),
        ("timeout 60 ./poll", "poll"),
        ("bash -c 'a b'", "a_b"),
        ("[ -x /bin/x ] && /bin/y", "y"),
        ("test -n $A || [[ $B == c* ]] && /bin/d", "d"),
        ("$HOME/bin/tool $X", "tool"),
        ("'unclosed", "unclosed"),
        ("2to3", "job"),
        ("'日本 語'", "日本_語"),
    ],
)
def test_a_line_is_named_after_its_command(command: str, name: str) -> None:
    assert names(f"0 0 * * * {command}") == [name]


def test_a_comment_right_above_is_a_better_name() -> None:
    draft = only("# Nightly backup of everything that the shop has sold", "# keeps seven days", "0 3 * * * /bin/b")

    assert draft.name == "nightly_backup_of_everything_that_the"
    assert draft.about[:2] == ("Nightly backup of everything that the shop has sold", "keeps seven days")


@pytest.mark.parametrize(
    "above",
    [("# Backup", ""), ("# m h  dom mon dow   command",), ("#0 5 * * * /bin/old",), ("#@daily /bin/old",), ("# ----",)],
)
def test_what_is_no_title_gives_no_name(above: tuple[str, ...]) -> None:
    assert names(*above, "0 3 * * * /bin/b") == ["b"]


def test_names_that_are_taken_get_a_number() -> None:
    lines = ("0 1 * * * /bin/b", "0 2 * * * /bin/B", "0 3 13 * 5 /bin/b")

    assert names(*lines) == ["b", "B_2", "b_3", "b_3_weekdays"]
    assert reading(*lines, taken={"b"}).drafts[0].name == "b_2"


# --- commands -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("echo 'two  words' # comment", "two  words\n"),
        ("echo 100\\%", "100%\n"),
        ("cat%Hello%100\\% there", "Hello\n100% there\n"),
        ("cat # comment%$(id) ${x} `id`", "$(id) ${x} `id`\n"),
        ("cat%INPUT%after", "INPUT\nafter\n"),
        ("cat; exit 0%a%", "a\n"),
        ("cat%", "\n"),
        ("X=1; echo ${X:-none} $$HOME | tail -c 5", "HOME\n"),
        ("X=a; echo ${X} '${Y}' \"${X%%b}\"".replace("%", "\\%"), "a ${Y} a\n"),
        ("for i in 1 2; do echo $i; done", "1\n2\n"),
        ("echo true: yes", "true: yes\n"),
        ("printf \\%s 'a\\\\b'", "a\\\\b"),
    ],
)
def test_a_command_does_what_it_did(command: str, printed: str, tmp_path: Path) -> None:
    assert run(only(f"0 0 * * * {command}"), tmp_path).endswith(printed)


def test_variables_are_those_of_the_lines_above_as_they_are_written(tmp_path: Path) -> None:
    lines = ("A = it's", 'B=" $A;id "', "0 0 * * * echo $A,$B,$C", "C=late", "0 0 * * * echo $C")

    first, second = reading(*lines).drafts

    assert run(first, tmp_path) == "it's, $A;id ,\n"
    assert run(second, tmp_path) == "late\n"


def test_another_shell_runs_it_from_a_script(tmp_path: Path) -> None:
    draft = only("SHELL=/bin/bash", "0 0 * * * [[ a == a* ]] && echo $BASH")

    assert draft.task == {"sh>": "/bin/bash scripts/echo.sh"}
    assert run(draft, tmp_path) == "/bin/bash\n"


def test_a_home_is_gone_to(tmp_path: Path) -> None:
    assert run(only("HOME=/", "0 0 * * * pwd"), tmp_path) == "/\n"


def test_a_home_that_is_not_told_is_spoken_of() -> None:
    assert "set HOME=" in only("0 0 * * * ~/bin/x").notes[0]
    assert not only("HOME=/root", "0 0 * * * ~/bin/x").notes


def test_the_user_of_a_system_crontab_is_spoken_of() -> None:
    draft = only("0 0 * * * www-data /bin/x --y", has_users=True)

    assert draft.task == {"sh>": "/bin/x --y"}
    assert draft.notes == ("It ran as www-data; here it runs as the user of the worker.",)


def test_mail_is_not_taken_along_and_said_so() -> None:
    found = reading("MAILTO=a@example.com", "0 0 * * * /bin/x", 'MAILTO=""', "0 1 * * * /bin/y")

    assert [draft.task for draft in found.drafts] == [{"sh>": "/bin/x"}, {"sh>": "/bin/y"}]
    assert "MAILTO (line 1)" in found.notes[0]


# --- zones --------------------------------------------------------------------------------------------------------


def test_cron_tz_is_for_the_lines_below_it() -> None:
    found = reading("0 0 * * * /bin/x", "CRON_TZ=Asia/Tokyo", "0 0 * * * /bin/y", "CRON_TZ=", "0 0 * * * /bin/z")

    assert [draft.timezone for draft in found.drafts] == ["UTC", "Asia/Tokyo", "UTC"]


def test_tz_is_for_the_commands_alone(tmp_path: Path) -> None:
    found = reading("TZ=Asia/Tokyo", "0 0 * * * echo $TZ")

    assert found.drafts[0].timezone == "UTC"
    assert run(found.drafts[0], tmp_path) == "Asia/Tokyo\n"
    assert "CRON_TZ" in found.notes[0]


def test_no_line_runs_in_another_zone_because_its_own_is_unknown() -> None:
    found = reading("CRON_TZ=Mars/Base", "0 0 * * * /bin/x", "CRON_TZ=UTC", "0 0 * * * /bin/y")

    assert [(line.number, line.reason.split(";")[0]) for line in found.bad] == [
        (1, "Unknown time zone 'Mars/Base'"),
        (2, "Its time zone is not known, as the CRON_TZ of line 1 is none."),
    ]
    assert [draft.name for draft in found.drafts] == ["y"]


def test_a_zone_for_all_that_is_none_is_refused() -> None:
    with pytest.raises(TimetableError):
        reading("0 0 * * * /bin/x", timezone="Mars/Base")


# --- what is not taken --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0 * * *", "five fields"),
        ("0 0 * *", "five fields"),
        ("hello", "five fields"),
        ("@daily", "five fields"),
        ("0 0 * * * %input", "no command"),
        ("0 0 * * * root /bin/x", "--system"),
        ("a-b=c", "not a name of the environment"),
        ("@reboot /bin/x", "@reboot has no time"),
    ],
)
def test_a_line_that_is_not_taken_is_told_with_its_number(line: str, reason: str) -> None:
    found = reading("# one", "", line, "0 0 * * * /bin/good")

    [bad] = found.bad
    assert (bad.number, bad.text) == (3, line)
    assert reason in bad.reason
    assert [draft.name for draft in found.drafts] == ["good"]


def test_a_file_from_windows_and_one_without_a_last_line_end_are_read() -> None:
    assert [draft.task["sh>"] for draft in reading("0 0 * * * /bin/x\r", "0 0 * * * /bin/y").drafts] == [
        "/bin/x",
        "/bin/y",
    ]


def test_no_comment_can_say_more_than_a_comment_in_the_file() -> None:
    draft = only("# x\x00\x85schedule: {daily>: 01:00:00}\u2028+a: b", "0 3 * * * echo a\x0bb", source="a\nb.txt")

    assert draft.mark.startswith("# Imported from the crontab 'a\\nb.txt'")
    assert all(line.isprintable() for line in draft.text.split("\n"))
