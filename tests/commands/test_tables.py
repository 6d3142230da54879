"""What commands print for people."""

import pytest

from scheduler.management.tables import cell, facts, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("ID", "NAME"), [("1", "a"), ("1000", "")]) == "ID    NAME\n1     a\n1000"


def test_a_wide_letter_takes_two_columns_and_an_accent_none() -> None:
    lines = table(("NAME", "X"), [("日報", "1"), ("cafe\u0301s", "2")]).splitlines()

    assert lines == ["NAME   X", "日報   1", "cafe\u0301s  2"]


def test_facts_without_a_value_are_left_out() -> None:
    assert facts([("name", ""), ("status", "queued"), ("id", "7")]) == "status: queued\nid:     7"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("daily", "daily"),
        ("a" * 30 + "z" * 30, "a" * 9 + "…" + "z" * 10),
        ("\x1b[2Jgone\n", r"\x1b[2Jgone\n"),
        ("safe\u202elive", r"safe\u202elive"),
    ],
)
def test_a_name_is_one_short_line_that_steers_no_terminal(name: str, shown: str) -> None:
    assert cell(name, 20) == shown
