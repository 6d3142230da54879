"""Where a shell evaluates the value of a word: there `x[$(id)]` runs `id`, in quotes or not. PURE.

It reads the outline of a command: in quotes nothing but letters, digits, `_=+-` keeps its meaning, and each reference
is its number between two MARKs. An author who hides `let` behind an alias is not found out.
"""

import re
from collections.abc import Iterator

MARK = "\0"
MARKED = re.compile(f"{MARK}(\\d+){MARK}")
TOKEN = re.compile(r"[$<>]\(|[()]|[^\S\n]+|&?[<>]+[&|]?|[;&|\n]|(?:[^\s;&|()<>$]|\$(?!\())+")
ASSIGNMENT = re.compile(r"\w+(\[.*)?\+?=")
BRACKET = re.compile(f"\\[|\\](?P<assigned>\\+?=|}})?|{MARKED.pattern}")

BEFORE_A_COMMAND = {"!", "builtin", "command", "do", "elif", "else", "if", "then", "time", "until", "while", "{"}
DECLARING = {"declare", "local", "readonly", "typeset"}
TESTING = {"[", "test"}
NUMERIC = {"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v"}


def evaluated(outline: str) -> tuple[int, str] | None:
    """The number of the first reference whose value would be evaluated, and the place where it stands."""
    commands = list(_commands(outline))
    if any(map(_declares_integers, commands)):
        commands = [["let", *words] for words in commands]  # whatever becomes the value of such a variable is
    return next((found for words in commands for found in (*_in_subscripts(words), *_in_words(words))), None)


class _Level:
    """The command at hand, between parentheses or outside all."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.word = ""
        self.begins = True  # the name of the command is still to come
        self.is_target = False  # of a redirection
        self.in_test = False  # [[ … ]], where && and the like end no command
        self.cases = 0  # without their esac; a ) ends a pattern there

    def end_word(self) -> None:
        if not self.word:
            return
        word, is_target = self.word, self.is_target
        self.word, self.is_target = "", False
        if is_target:
            return
        if word == "{" and self.words[:1] == ["function"]:
            self.end()
            return
        self.in_test = word == "[[" if self.begins else self.in_test and word != "]]"
        if self.begins and word in ("case", "esac"):
            self.cases = max(0, self.cases + (1 if word == "case" else -1))
        self.begins = self.begins and word in BEFORE_A_COMMAND
        self.words.append(word)

    def end(self) -> list[str]:
        self.end_word()
        words, self.words, self.begins, self.in_test = self.words, [], True, False
        return words


def _commands(outline: str) -> Iterator[list[str]]:
    levels = [_Level()]
    for part in TOKEN.findall(outline):
        level = levels[-1]
        if part.endswith("("):
            inner = level if part == "(" and level.in_test else _Level()
            if part == "(" and inner is not level and not level.word.endswith("="):
                yield level.end()
            levels.append(inner)
        elif part == ")" and len(levels) > 1 and not level.cases:
            if levels.pop() is not levels[-1]:
                yield level.end()
        elif part.isspace() and part != "\n":
            level.end_word()
        elif "<" in part or ">" in part:
            level.word = "" if level.word.isdigit() else level.word
            level.end_word()
            level.is_target = not level.in_test
        elif part in ";&|\n)":
            level.end_word()
            if not level.in_test:
                yield level.end()
        else:
            level.word += part
    for level in reversed(levels):
        yield level.end()


def _declares_integers(words: list[str]) -> bool:
    name, *rest = _named(words)
    return name in DECLARING and any(word.startswith("-") and "i" in word for word in rest)


def _named(words: list[str]) -> list[str]:
    """The name of the command and what comes after it; the name is "" when there is none."""
    for at, word in enumerate(words):
        option = at and word.startswith("-")  # of `command`
        if not option and word not in BEFORE_A_COMMAND and not ASSIGNMENT.match(word):
            return words[at:]
    return [""]


def _in_subscripts(words: list[str]) -> Iterator[tuple[int, str]]:
    """References inside brackets that assign to an element, as in `a[1 + ${x}]=2`."""
    if "[[" in words:
        return
    depth, found = 0, None
    for part in BRACKET.finditer(" ".join(words)):
        if part[0] == "[":
            depth += 1
        elif part[0].startswith("]"):
            if part["assigned"] and found is not None:
                yield found, "inside a subscript"
            depth = max(0, depth - 1)
            found = found if depth else None
        elif depth and found is None:
            found = int(part[0].strip(MARK))


def _in_words(words: list[str]) -> Iterator[tuple[int, str]]:
    name, *rest = _named(words)
    evaluates = (
        name in ("let", "read", "unset")
        or (name in ("printf", "wait") and any(re.match("-[a-z]*[vp]", word) for word in rest))
        or (name in TESTING and "-v" in rest)
        or (name == "[[" and not NUMERIC.isdisjoint(rest))
        or (name in DECLARING and any(re.match("-[a-zA-Z]*[aAin]", word) for word in rest))
    )
    for word in rest:
        marked = MARKED.search(word)
        if marked and (evaluates or (name in DECLARING and not ASSIGNMENT.match(word))):
            yield int(marked[1]), f"in the words of {name}"
