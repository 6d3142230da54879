"""Values in shell commands: data wherever they stand, never code. The real shell is asked."""

import subprocess
from pathlib import Path

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
        ("cat <<EOF\n$((1 +\n${x}))\nEOF", "inside"),
    ],
)
def test_where_no_reference_is_safe_it_is_refused(command: str, place: str) -> None:
    with pytest.raises(TemplateError, match=place):
        referenced(command, {"x": "1"}.__getitem__)


SUBSCRIPTS = ["x[$(echo > PWNED)]", "([$(echo > PWNED)]=1)", "PATH[$(echo > PWNED)]=1"]
EVALUATED = [
    '[[ "${x}" -gt 5 ]]',
    "[[ 5 -lt ${x} || a == b ]]",
    "[[ a == b || ( c == d || ${x} -eq 1 ) ]]",
    "if [[ a != b &&\n1 -ne '${x}' ]]; then :; fi",
    "[[ -v ${x} ]]",
    "[ -v ${x} ]",
    "test ! -v 'x${x}'",
    '(( "${x}" > 3 ))',
    "for ((i = ${x}; i < 1; i++)); do :; done",
    "echo $[ ${x} + 1 ]",
    'let n="${x}"',
    "n=1 \\let n=${x}",
    "if true; then command let 'n = ${x}'; fi",
    "f() { let n=$(echo 1) m=${x}; }; f",
    "case a in a) let n=${x};; esac",
    "echo $(case b in a) ;; b) let n=${x};; esac)",
    "2>/dev/null command -p let n=${x}",
    "echo [[; let n=${x}",
    "while ((1)); do let n=${x}; done",
    "function f { let n=${x}; }; f",
    "(let n=${x})",
    'echo "$(let n=${x})"',
    "cat <<EOF\n$(let n=${x})\n$((${x}))\nEOF",
    "declare -i n=${x}",
    "typeset -ix n=${x}",
    "declare -i n; n=${x}",
    "declare -i n; for n in ${x}; do :; done",
    "declare -i a=(${x})",
    "declare -a a=${x}",
    "readonly -a a=${x}",
    "declare -n n=${x}; echo $n",
    "declare ${x}=1",
    'f() { local "${x}"=1; }; f',
    "printf -v ${x} 1",
    "x=(1); unset ${x}",
    "read -r ${x} <<< 1",
    "sleep 0 & wait -n -p ${x}",
    "a[${x}]=1",
    'a[ 1 + "${x}" ]+=1',
    "a[b[1]+${x}]=1",
    "a=([${x}]=1)",
    "exec {a[${x}]}>/dev/null",
    "n=abc; echo ${n:${x}}",
    'n=abc; echo "${n:0:${x}}"',
]


@pytest.mark.parametrize("template", EVALUATED)
def test_where_bash_evaluates_a_value_no_reference_stands(template: str) -> None:
    with pytest.raises(TemplateError, match="the shell may run its value as code there"):
        referenced(template, {"x": "1"}.__getitem__)


@pytest.mark.parametrize(
    "template",
    [
        "[[ ${x} == y ]] || [[ -n '${x}' && ! ${x} =~ ^[0-9]=+$ ]]",
        '[ ${x} -gt 5 ] || [ "${x}" = y ]; test ${x} -eq 5',
        "[[ $(printf %s ${x} | wc -c) -gt 5 ]] && [[ 5 -gt 3 ]] && echo ${x}",
        "let n=$(printf %s ${x} | wc -c) || :; export DAY=${x}",
        "IFS=, read -r first rest <<< ${x}; while read -r line; do :; done < /dev/null; echo read ${x} let ${x}",
        "f() { local day=${x}; declare -x other='${x}' more=$(echo a)${x}; }; f; readonly last=${x}",
        "a=(${x} '${x}'); a[0]=${x}; echo \"[${x}]\" [${x}] day[${x}] ${a:-${x}}",
        "n=${x}; case $n in ''|*[!0-9]*) echo no;; *) echo $((n + 1));; esac",
        "printf %d ${x}; ((1 + 1)); echo $((1 + 1)) ${x}",
        "while ((i++ < 1)); do echo ${x}; done; declare -A m=([a]=${x}); grep -c [[:alpha:]] <<< ${x}",
        "# [[ ${x} -gt 5 ]]\necho '[[ ${x} -gt 5 ]]; let n=${x}' \"(( ${x} ))\"",
        "cat <<EOF\n$(printf %s ${x}) $((1 + 1)) ${x} [[ ${x} -gt 1 ]]\nEOF",
    ],
)
@pytest.mark.parametrize("value", SUBSCRIPTS)
def test_where_bash_evaluates_nothing_a_reference_is_data(template: str, value: str, tmp_path: Path) -> None:
    text, environment = referenced(template, {"x": value}.__getitem__)
    subprocess.run(["bash", "-c", text], env=environment, cwd=tmp_path, capture_output=True, timeout=10, check=False)

    assert list(tmp_path.iterdir()) == []


def test_a_here_document_leaves_an_escaped_dollar_to_the_shell() -> None:
    assert run("cat <<EOF\n\\${x}\nEOF", {}) == "${x}\n"


def test_an_escaped_dollar_stays_the_shells() -> None:
    assert run("printf %s \\${x}", {}) == "${x}"


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(TemplateError, match="no variable 'y'"):
        referenced("echo ${y}", {}.__getitem__)


def test_a_reference_in_a_comment_needs_no_value() -> None:
    assert run("echo a # ${unknown}\necho b", {}) == "a\nb\n"
