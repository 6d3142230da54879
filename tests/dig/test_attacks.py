"""Files that are meant to do harm: each is refused, or read as plain values, within a second of computing."""

import time
from collections.abc import Iterator

import pytest

from tests.dig.language import document, refusals

TASK = "\n+a: {echo>: 1}"


@pytest.fixture(autouse=True)
def _within_a_second() -> Iterator[None]:
    """The time that this process computes, which a busy machine does not lengthen."""
    began = time.process_time()
    yield
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "path", ["../../x", "../x.dig", "/etc/passwd", "parts/../../x.dig", "..", ".", "C:\\x", "..\\x", "x\u0000", "${x}"]
)
def test_an_include_outside_of_the_project_is_refused(path: str) -> None:
    assert len(refusals(f"+a: !include {path}")) == 1


def test_files_that_include_each_other_in_a_circle_are_refused() -> None:
    assert refusals("!include : x.dig", x="!include : w.dig") == [
        "x.dig:1:12: A file cannot include itself: w.dig, which includes x.dig, which includes w.dig."
    ]


def test_ten_thousand_files_that_include_each_other_are_refused() -> None:
    chain = {f"parts__f{number}": f"!include : f{number + 1}.dig" for number in range(10_000)}

    assert refusals("!include : parts/f0.dig", **chain) == [
        "parts/f19.dig:1:12: Files include each other more than 20 deep."
    ]


def test_includes_that_double_at_each_level_are_refused() -> None:
    doubling = {f"parts__f{n}": f"a: !include f{n + 1}.dig\nb: !include f{n + 1}.dig" for n in range(19)}

    (refusal,) = refusals("_export: !include parts/f0.dig" + TASK, **doubling, parts__f19="a: 1")

    assert "more than 20,000 values, aliases and includes written out" in refusal


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system [id]",
        "!!python/object/new:os.system [id]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!javax.script.ScriptEngineManager []",
        "!<tag:yaml.org,2002:python/object/apply:os.system> [id]",
        "!!binary aGk=",
        "!!set {a, b}",
        "!!float .inf",
        "!ruby/object:Gem {}",
    ],
)
def test_a_tag_is_refused(value: str) -> None:
    (refusal,) = refusals(f"_export:\n  x: {value}" + TASK)

    assert "is not read; !include, before a path, is the only one." in refusal


def test_a_tag_of_python_does_not_hide_behind_a_directive() -> None:
    assert refusals("%TAG ! tag:yaml.org,2002:python/object/apply:\n---\n+a: !os.system [id]") == [
        "w.dig:1:1: %TAG is not read here; remove the line."
    ]


def test_a_hundred_thousand_tag_directives_are_refused() -> None:
    assert len(refusals("".join(f"%TAG !a{number}! b\n" for number in range(100_000)) + "---\n+a: {echo>: 1}")) == 1


@pytest.mark.parametrize("around", ["[{}]", "{{a: [{}]}}"], ids=["lists", "mappings"])
def test_a_billion_laughs_are_refused(around: str) -> None:
    lines = ["a0: &a0 lol"]
    lines += [f"a{n}: &a{n} {around.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, 12)]

    (refusal,) = refusals("_export:\n" + "".join(f"  {line}\n" for line in lines) + TASK)

    assert "more than 20,000 values, aliases and includes written out" in refusal


def test_long_texts_that_aliases_repeat_are_refused() -> None:
    (refusal,) = refusals(f"_export: {{a: &a {'x' * 1_000_000}, b: [*a, *a, *a]}}" + TASK)

    assert "more than 2,097,152 characters" in refusal


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "[",
            "{",
            "- ",
            "? ",
            "a: [",
            "[{",
            "<<: {",
            "&a ",
            "*a ",
            "!include ",
            "'",
            '"',
            "|\n",
            ": ",
            "a: &a\n",
            "...\n",
        )
    ],
)
def test_a_hundred_thousand_times_the_same_is_refused(piece: str) -> None:
    assert refusals(piece * 100_000)


@pytest.mark.parametrize("indent", [1, 2])
def test_deep_nesting_in_lines_is_refused(indent: int) -> None:
    (refusal,) = refusals("".join(" " * (indent * level) + "+a:\n" for level in range(900)))

    assert "Lists and mappings are nested more than 120 deep." in refusal


def test_deep_nesting_by_aliases_is_refused() -> None:
    chain = "".join(f"  a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 5_000))

    (refusal,) = refusals(f"_export:\n  a0: &a0 x\n{chain}" + TASK)

    assert "nested more than 120 deep" in refusal


def test_deep_nesting_by_includes_is_refused() -> None:
    deep = {f"f{n}": "a: {" * 99 + f"a: !include f{n + 1}.dig" + "}" * 99 for n in range(10)}

    assert any("nested more than 120 deep" in refusal for refusal in refusals("!include : f0.dig", **deep, f10="a: 1"))


def test_double_keys_are_refused() -> None:
    assert refusals("+a: {echo>: 1}\n+a: {echo>: 2}") == ["w.dig:2:1: The key +a: is here twice, first in line 1."]


def test_ten_thousand_double_keys_are_refused() -> None:
    assert len(refusals("a: 1\n" * 10_000)) == 100


@pytest.mark.parametrize(
    "value", ["9" * 100_000, "-" + "9" * 100_000, ".inf", "-.inf", ".nan", "12:30", "yes", "x" * 1_000_000]
)
def test_odd_scalars_are_texts(value: str) -> None:
    assert document(f"_export: {{x: {value}}}" + TASK)["_export"]["x"] == value


def test_a_byte_order_mark_is_taken() -> None:
    assert document(TASK.encode("utf-8-sig")) == {"+a": {"echo>": 1}}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-7", "shift-jis"])
def test_other_encodings_are_refused(encoding: str) -> None:
    (refusal,) = refusals("+a: {echo>: 日本}".encode(encoding)) or ["read as the ASCII that it is"]

    assert "UTF-8" in refusal or encoding == "utf-7"


def test_a_file_over_two_mebibytes_is_refused() -> None:
    assert refusals("#" * (2 * 1024 * 1024 + 1)) == ["w.dig: The file has 2,097,153 bytes; 2,097,152 is the most."]


@pytest.mark.parametrize(
    "cron",
    [
        "99 * * * *",
        "*/0 * * * *",
        "0 0 30 2 *",
        ",".join("0" * 10_000) + " * * * *",
        "0 0 * * * 2026 1",
        "@reboot",
        "",
        "٠ ٠ * * *",
        "0 0 * * * *",
        "R 0 * * *",
        "\\0 0 * * *",
    ],
    ids=lambda cron: cron[:12],
)
def test_a_bad_cron_expression_is_refused(cron: str) -> None:
    (refusal, *_) = refusals(f'schedule: {{cron>: "{cron}"}}' + TASK)

    assert refusal.startswith("w.dig:1:")


@pytest.mark.parametrize(
    "zone",
    [
        "../../etc/passwd",
        "America/New_York\\0",
        "localtime",
        "Mars/Base",
        "x" * 300,
        "posixrules",
        "Factory",
        "",
        " UTC",
    ],
    ids=lambda zone: zone[:20],
)
def test_a_bad_time_zone_is_refused(zone: str) -> None:
    (refusal, *_) = refusals(f'timezone: "{zone}"' + TASK)

    assert refusal.startswith("w.dig:1:")


def test_thousands_of_mistakes_take_no_longer_than_those_that_are_told() -> None:
    tasks = "".join(f"+a{n}: {{ech{n}>: 1, _retr{n}: 1, _expor{n}: 1}}\n" for n in range(1000))
    includes = "+b:\n" + "".join(f"  !include : x{n}.dig\n" for n in range(5000))

    assert len(refusals(tasks)) == 100
    assert len(refusals(includes, **{f"y{n}": "" for n in range(2000)})) == 100
