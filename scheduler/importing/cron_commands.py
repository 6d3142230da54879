"""The command of a crontab's line: its `%`, its variables and its shell, as a task that does the same; and its name."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import PurePosixPath

SHELL = "/bin/sh"
CONDITIONS, JOINTS = {"[", "[[", "test"}, {"&&", "||", ";"}
TAKING_A_WORD = {"-g", "-u", "cd", "flock"}  # options and programs whose next plain word is no name
WRAPPERS = {"chronic", "env", "exec", "ionice", "nice", "nohup", "setsid", "stdbuf", "sudo", "time", "timeout"}
INTERPRETERS = {"bash", "node", "perl", "php", "python", "python2", "python3", "ruby", "sh", "zsh"}
SUFFIXES = {".bash", ".cgi", ".js", ".php", ".pl", ".py", ".rb", ".sh"}


@dataclass(frozen=True)
class Command:
    """`text` is for the shell; `given` is what it reads, None for nothing."""

    text: str
    given: str | None = None


def command_of(raw: str) -> Command:
    r"""As cron has it: the first `%` ends the command, later ones are line ends of its input; `\%` is a `%`."""
    text, rest = _cut(raw)
    if rest is None:
        return Command(text)
    given = _unescaped(rest)
    return Command(text, given if given.endswith("\n") else f"{given}\n")


def task_of(command: Command, *, name: str, environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """A `sh>` task, and the scripts that it needs, by path.

    A `${` in a workflow's file stands for a variable of the workflow, so that a command with one of the shell's goes
    into a script; as does one for another shell.
    """
    script = "\n".join(_lines(command, environment))
    shell = environment.get("SHELL", SHELL)
    if "${" not in script and shell == SHELL:
        return {"sh>": script}, {}
    path = f"scripts/{name}.sh"
    return {"sh>": shlex.join([shell, path])}, {path: f"{script}\n"}


def guessed_name(command: str) -> str:
    """What the command is called by people: its program or script, without its folder and suffix."""
    for word in _candidates(command):
        path = PurePosixPath(word)
        if name := path.stem if path.suffix in SUFFIXES else path.name:
            return name
    return ""


def _cut(raw: str) -> tuple[str, str | None]:
    out: list[str] = []
    escaped = False
    for at, letter in enumerate(raw):
        if escaped and letter == "%":
            out[-1] = "%"
        elif letter == "%":
            return "".join(out), raw[at + 1 :]
        else:
            out.append(letter)
        escaped = letter == "\\" and not escaped
    return "".join(out), None


def _unescaped(text: str) -> str:
    r"""`%` as line ends and `\%` as `%`; any other backslash stays."""
    return text.replace("\\%", "\0").replace("%", "\n").replace("\0", "%")


def _lines(command: Command, environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if name != "SHELL":
            yield f"export {name}={shlex.quote(value)}"
    if "HOME" in environment:
        yield 'cd "$HOME" || exit'
    if command.given is None:
        yield command.text
        return
    end = _delimiter(command.given)
    yield from ("(", command.text, f") <<'{end}'", f"{command.given}{end}")


def _delimiter(given: str) -> str:
    lines = set(given.split("\n"))
    return next(end for number in count() if (end := "INPUT" + "_" * number) not in lines)


def _candidates(command: str) -> Iterator[str]:
    """The words that may be what it runs, the best one first."""
    words = iter(_words(command))
    for word in words:
        base = PurePosixPath(word).name
        if base in CONDITIONS:
            next((word for word in words if word in JOINTS), "")
        elif base in TAKING_A_WORD:
            next((word for word in words if not word.startswith("-")), "")
        elif base in INTERPRETERS:
            yield from _after_interpreter(words)
            yield base
        elif base not in WRAPPERS and not _is_aside(word):
            yield word


def _after_interpreter(words: Iterator[str]) -> Iterator[str]:
    """The script or module, and what `manage.py` is told to do."""
    for word in words:
        if word.startswith("-"):
            continue
        if PurePosixPath(word).name == "manage.py":
            yield next(words, "")
        yield word
        return


def _is_aside(word: str) -> bool:
    """An option, a number, a variable that is set, a sign of the shell; no name."""
    is_path = word.startswith(("/", "./", "~/", "$")) and "/" in word
    return "=" in word or not (word[:1].isalpha() or word[:1] == "_" or is_path)


def _words(command: str) -> list[str]:
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.commenters = ""
        lexer.wordchars += "$[]"
        return list(lexer)
    except ValueError:  # an open quote: the shell's to complain about
        return re.sub(r"[\"'`()]", " ", command).split()
