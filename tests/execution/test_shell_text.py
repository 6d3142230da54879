"""Values in shell commands: data wherever they stand, never code. The real shell is asked."""

import subprocess

import pytest

from scheduler.execution.operators.shell_text import referenced
from scheduler.execution.template import TemplateError

EVIL = [
    "; echo PWNED",
    "$(echo PWNED)",
    "`echo PWNED`",
    "a\necho PWNED\n",
    "' ; echo PWNED ; '",
    '" ; echo PWNED ; "',
    "\\",
    "'",
    '"',
    "-oProxyCommand=echo PWNED",
    "*",
    "  two  words  ",
    "$HOME ${HOME} \\$HOME",
    "a) echo PWNED ;; esac #",
    "EOF\necho PWNED\nEOF",
    "",
    "é漢😀",
]
TEMPLATES = [
    "printf %s ${x}",
    'printf %s "${x}"',
    "printf %s '${x}'",
    'printf %s "$(printf %s ${x})"',
    'printf %s "$(printf %s "${x}")"',
    "printf %s \"$(printf %s '${x}')\"",
    'y=${x}; printf %s "$y"',
    "# it's a comment ${x}\nprintf %s ${x}",
    "printf '%s' ''${x}\"\"",
    "echo $((1 + (2))) >/dev/null; printf %s ${x}",
    "echo `echo '\\`'` >/dev/null; printf %s ${x}",
    "case a in a) printf %s ${x};; esac",
    "if true; then (printf %s ${x}); fi",
    "echo a#b\\'c\\\"d >/dev/null; printf %s ${x}",
]


def run(command: str, values: dict[str, str]) -> str:
    text, environment = referenced(command, values.__getitem__)
    done = subprocess.run(["/bin/sh", "-c", text], env=environment, capture_output=True, timeout=10, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_value_arrives_as_it_is(template: str) -> None:
    for value in EVIL:
        in_substitution = "$(" in template and "$((" not in template
        assert run(template, {"x": value}) == (value.rstrip("\n") if in_substitution else value)


def test_a_here_document_shows_the_value_and_ends_where_it_ends() -> None:
    command = "cat <<EOF\n<${x}>\nEOF\ncat <<-END; echo after ${x}\n\tinside ${x}\n\tEND\nprintf %s ${x}"

    assert run(command, {"x": "v'\"$(id)"}) == "<v'\"$(id)>\ninside v'\"$(id)\nafter v'\"$(id)\nv'\"$(id)"


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("echo $((1 + ${x}))", "inside"),
        ("echo $(( (1) + (${x}) ))", "in parentheses inside"),
        ("echo `echo ${x}`", "between backticks"),
        ("cat <<'EOF'\n${x}\nEOF", "with a quoted delimiter"),
    ],
)
def test_where_no_reference_is_safe_it_is_refused(command: str, place: str) -> None:
    with pytest.raises(TemplateError, match=place):
        referenced(command, {"x": "1"}.__getitem__)


def test_an_escaped_dollar_stays_the_shells() -> None:
    assert run("printf %s \\${x}", {}) == "${x}"


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(TemplateError, match="no variable 'y'"):
        referenced("echo ${y}", {}.__getitem__)


def test_a_reference_in_a_comment_needs_no_value() -> None:
    assert run("echo a # ${unknown}\necho b", {}) == "a\nb\n"
