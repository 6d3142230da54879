"""`!include`: as a key it merges a file in place, as a value it is the file."""

import pytest

from projects.dig import read_file
from tests.dig.language import LANGUAGE, document, project, refusals


def test_a_key_merges_the_file_in_place() -> None:
    read = document("+a: {echo>: 1}\n!include : parts/x.dig\n+c: {echo>: 3}", parts__x="+b: {echo>: 2}")

    assert list(read) == ["+a", "+b", "+c"]


def test_a_mapping_may_include_several_files() -> None:
    read = document(
        "_export:\n  !include : parts/x.dig\n  !include : parts/y.dig\n+a: {echo>: 1}", parts__x="a: 1", parts__y="b: 2"
    )

    assert read["_export"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "value",
    ["!include parts/x.dig", "!include 'parts/x.dig'", "{!include : parts/x.dig}", "\n    !include : parts/x.dig"],
)
def test_a_value_is_the_file(value: str) -> None:
    assert document(f"_export:\n  mysql: {value}\n+a: {{echo>: 1}}", parts__x="host: db")["_export"] == {
        "mysql": {"host": "db"}
    }


def test_items_of_a_list_may_be_files() -> None:
    read = document("_export: {all: [!include parts/x.dig, {!include : parts/x.dig}]}\n+a: {echo>: 1}", parts__x="n: 1")

    assert read["_export"]["all"] == [{"n": 1}, {"n": 1}]


def test_mappings_on_both_sides_are_merged_and_the_included_value_wins_over_an_earlier_one() -> None:
    read = document(
        "_export: {a: {x: 1, y: 1}, b: 1}\n!include : parts/x.dig\n+a: {echo>: 1}",
        parts__x="_export: {a: {y: 2, z: 2}, b: 2}",
    )

    assert read["_export"] == {"a": {"x": 1, "y": 2, "z": 2}, "b": 2}


def test_a_later_key_of_the_file_itself_replaces_the_included_one() -> None:
    read = document("!include : parts/x.dig\n_export: {b: 2}\n+a: {echo>: 1}", parts__x="_export: {a: 1}")

    assert read["_export"] == {"b": 2}


def test_including_changes_nothing_for_others_that_include_the_same() -> None:
    read = document(
        "_export:\n  a:\n    y: {k: 1}\n    !include : parts/x.dig\n  b: !include parts/x.dig\n+a: {echo>: 1}",
        parts__x="y: {z: 2}",
    )

    assert read["_export"] == {"a": {"y": {"k": 1, "z": 2}}, "b": {"y": {"z": 2}}}


def test_paths_are_relative_to_the_including_file() -> None:
    read = document(
        "!include : parts/x.dig",
        parts__x="!include : y.dig\n!include : ../z.dig",
        parts__y="+y: {echo>: 1}",
        z="+z: {echo>: 1}",
    )

    assert list(read) == ["+y", "+z"]


def test_a_mistake_keeps_the_line_of_the_file_that_it_is_in() -> None:
    assert refusals("# one\n!include : parts/x.dig\n+a: {echo>: 1}", parts__x="\n\n+x:\n  eco>: 1") == [
        "parts/x.dig:4:3: There is no operator eco>; did you mean echo>?"
    ]


def test_a_missing_file_is_the_only_mistake_that_is_told_of_what_lacks_it() -> None:
    tasks = "+a:\n  !include : parts/x.dig\n+b: {if>: 1, !include : parts/x.dig}\n"

    assert refusals(f"{tasks}!include : parts/x.dig\nschedule: !include parts/x.dig") == [
        "w.dig:2:14: There is no file parts/x.dig in the project.",
        "w.dig:3:25: There is no file parts/x.dig in the project.",
        "w.dig:4:12: There is no file parts/x.dig in the project.",
        "w.dig:5:11: There is no file parts/x.dig in the project.",
    ]


def test_an_include_key_has_no_text() -> None:
    assert refusals("!include parts/x.dig : x\n+a: {echo>: 1}", parts__x="+b: {echo>: 1}") == [
        "w.dig:1:1: The path stands after the ':', as in \"!include : 'parts/x.dig'\".",
        "w.dig:1:24: There is no file x in the project.",
    ]


WORKFLOW = "timezone: UTC\nschedule: {daily>: 07:00:00}\n+x: {echo>: 1}"


@pytest.mark.parametrize("task", ["!include daily.dig", "{!include : daily.dig}", "{!include : parts/daily.dig}"])
def test_a_workflow_that_is_included_as_a_task_leaves_its_zone_and_schedule_behind(task: str) -> None:
    read = document(f"+a: {task}", daily=WORKFLOW, parts__daily="!include : ../daily.dig")

    assert read == {"+a": {"+x": {"echo>": 1}}}


def test_a_workflow_that_is_included_at_the_top_brings_its_zone_and_schedule() -> None:
    assert list(document("!include : daily.dig", daily=WORKFLOW)) == ["timezone", "schedule", "+x"]


def test_a_zone_that_is_written_in_a_task_is_refused_wherever_it_is_included() -> None:
    assert refusals(
        "+a: {timezone: UTC, +x: {echo>: 1}}\n!include : parts/x.dig", parts__x="+b: {timezone: UTC, +x: {echo>: 1}}"
    ) == [
        "parts/x.dig:1:6: timezone: belongs at the top of the file.",
        "w.dig:1:6: timezone: belongs at the top of the file.",
    ]


def test_only_what_is_included_is_read() -> None:
    assert document("+a: {echo>: 1}", parts__broken="[") == {"+a": {"echo>": 1}}


def test_a_file_in_a_folder_can_be_read_as_a_workflow() -> None:
    files = project(
        "+a: {call>: parts/called.dig}", parts__called="!include : steps.dig", parts__steps="+x: {echo>: 1}"
    )

    assert read_file(files, "parts/called.dig", language=LANGUAGE) == {"+x": {"echo>": 1}}
