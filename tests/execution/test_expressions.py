"""What expressions in `${…}` can say, what they cannot reach, and what it costs to try."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from scheduler.execution import expressions
from scheduler.execution.expressions import engine as engine_module
from scheduler.execution.expressions import own_engine
from scheduler.execution.template import TemplateError, render, render_all

VALUES: dict[str, object] = {
    "a": 1,
    "text": "x",
    "nothing": None,
    "td": {"last_results": {"x": 7}, "list": [1, 2]},
    "_workdir": "/w",
    "naïve": "ï",
    "moments": "no function",
    "timezone": "America/Los_Angeles",
    "session_time": "2016-03-13T10:00:00Z",
}


def value(expression: str) -> str:
    return render(f"${{{expression}}}", VALUES.__getitem__)


def refusal(expression: str) -> str:
    with pytest.raises(TemplateError) as refused:
        value(expression)
    assert refused.value.reference == expression
    return refused.value.message


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("a + 1", "2"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("1 + text", "1x"),
        ('"a"', "a"),
        ("[1, 'b', null]", '[1,"b",null]'),
        ("{a, text}", '{"a":1,"text":"x"}'),
        ("undefined", ""),
        ("td.nope", ""),
        ("nothing || 'default'", "default"),
        ("a == 1 && text !== 'y'", "true"),
        ("typeof nope == 'undefined'", "true"),
        ("typeof _workdir", "string"),
        ("JSON.stringify(td.last_results)", '{"x":7}'),
        ('JSON.parse(\'{"query": 5}\')["query"]', "5"),
        ("td.last_results.x * 2", "14"),
        ("td['list'][1]", "2"),
        ("this.a + this['text']", "1x"),
        ("naïve + 1", "ï1"),
        ("'aaa'.replaceAll('a', 'A')", "AAA"),
        ("/(\\d+)-/.exec('2016-03')[1]", "2016"),
        ("(() => { let sum = 0; for (const one of td.list) sum += one; return sum; })()", "3"),
        ("new Date(0).toISOString()", "1970-01-01T00:00:00.000Z"),
        ("'\\ud800'", "\ufffd"),
        ("'😀'", "😀"),
    ],
)
def test_a_value_is_shown_as_text(expression: str, shown: str) -> None:
    assert expressions.evaluate(expression, VALUES.__getitem__) in (shown, shown or None)


def test_a_value_inside_a_structure_is_text_too() -> None:
    assert render_all({"n": ["${a + 1}"], "a": 5}, VALUES.__getitem__) == {"n": ["2"], "a": 5}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("nope + 1", "There is no variable 'nope'."),
        ("1 +", "${1 +}: SyntaxError: Unexpected token ')' (at its end)"),
        ("a b", "${a b}: SyntaxError: Unexpected identifier 'b' (line 1, column 3)"),
        ("a +\n  * b", "${a +\n  * b}: SyntaxError: Unexpected token '*' (line 2, column 3)"),
        ("a => 3", "${a => 3}: TypeError: The value is a function; call it with ()."),
        ("moment", "${moment}: TypeError: The value is a function; call it with ()."),
        ("0 / 0", "${0 / 0}: RangeError: The value is NaN, which is no number of JSON."),
        ("10n + 1n", "${10n + 1n}: TypeError: Do not know how to serialize a BigInt"),
        ("(() => { throw 'away'; })()", "${(() => { throw 'away'; })()}: It threw away."),
    ],
)
def test_what_has_no_value_is_told(expression: str, message: str) -> None:
    assert refusal(expression) == message


@pytest.mark.parametrize(
    "thrower",
    [
        "(() => { throw 'x'.repeat(2**20); })()",
        "(() => { throw {toJSON() { throw 1; }}; })()",
        "(() => { throw new Proxy({}, {getPrototypeOf() { throw 1; }}); })()",
        "(() => { throw Object.assign(new ReferenceError(), {message: {toString() { throw 1; }}}); })()",
        "(() => { throw null; })()",
        "(() => { throw Symbol(); })()",
    ],
)
def test_whatever_is_thrown_is_told_shortly(thrower: str) -> None:
    value("a + 1")
    pid = own_engine().pid

    assert 0 < len(refusal(thrower)) < 1200
    assert own_engine().pid == pid


def test_a_property_of_undefined_is_told_in_the_words_of_javascript() -> None:
    assert "Cannot read properties of undefined (reading 'y')" in refusal("td.nope['y']")


def test_a_word_that_names_a_faulty_variable_is_no_fault() -> None:
    def lookup(name: str) -> object:
        if name == "format":
            raise TemplateError("The variable 'format' is made of itself.", "format")
        return VALUES[name]

    assert render("${moment(session_time).format('YYYY')}", lookup) == "2016"
    with pytest.raises(TemplateError, match="made of itself"):
        render("${format + 1}", lookup)


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__.__mro__",
        "''.__class__.__mro__[1].__subclasses__()",
        "__import__('os').system('id')",
        "constructor.constructor('return this')()",
        "this.constructor.constructor('return process')()",
        "(async () => {}).constructor('return 1')()",
        "(function* () {}).constructor('return 1')()",
        "Object.getPrototypeOf(moment).constructor('return 1')()",
        "eval('1')",
        "new Function('return 1')()",
        "require('fs')",
        "process.env",
        "import('fs').x.y",
        "console.log(1)",
        "fetch('http://127.0.0.1/')",
        "setTimeout(function () {}, 1)",
        "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
        "new WebAssembly.Memory({initial: 20000})",
        "new WeakRef({})",
    ],
)
def test_there_is_no_way_out(expression: str) -> None:
    assert refusal(expression)


def test_braces_of_other_languages_mean_nothing() -> None:
    assert render("{{7*7}} #{7*7} <%= 7*7 %> $(id) `id`", VALUES.__getitem__) == "{{7*7}} #{7*7} <%= 7*7 %> $(id) `id`"


@pytest.mark.parametrize(
    "bomb",
    [
        "'a'*10**10",
        "9**9**9",
        "9n**9n**9n",
        "2n**(2n**30n)",
        "'a'.repeat(2**29)",
        "'a'.repeat(2**28) + 'b'",
        "'a'.repeat(2**20 + 1)",
        "'a'.padEnd(2**28).split('').length",
        "(() => { let a = []; while (1) a.push({}); })()",
        "(() => { let m = new Map(); for (let i = 0;; i++) m.set(i, i); })()",
        "(() => { let a = []; while (1) a.push(new Uint8Array(1e7).fill(1)); })()",
        "new Array(2**32 - 1).fill(0)",
        "(() => { while (1); })()",
        "/(a+)+$/.test('a'.repeat(40) + 'b')",
        "(function f() { f(); })()",
        "({toJSON() { while (1); }})",
        "(async function () { for (;;) await 0; })()",
    ],
)
def test_a_bomb_is_an_error_and_the_next_expression_has_its_value(bomb: str) -> None:
    assert refusal(bomb)

    assert value("a + 1") == "2"


def test_variables_that_multiply_end_with_the_budget() -> None:
    def lookup(name: str) -> object:
        return render(f"${{v{int(name[1:]) - 1}}}" * 2, lookup) if name != "v0" else ""

    with pytest.raises(TemplateError, match="more than 1 s of computing"):
        render("${v60}", lookup)


@pytest.mark.parametrize(
    "poison",
    [
        "Object.prototype.poison = 1",
        "Array.prototype.map = () => 'poison'",
        "String.prototype.__defineGetter__('poison', () => 1)",
        "(globalThis.poison = 1)",
        "(poison = 1)",
        "(moment.utc = () => 'poison')",
        "(moment(0).constructor.prototype.format = () => 'poison')",
        "Object.assign(moment(0).__proto__, {format: () => 'poison'})",
        "([].values().__proto__.__proto__.poison = 1)",
        "((async () => {})().__proto__.then = () => 'poison')",
        "(Math.max = () => 'poison')",
        "(JSON.stringify = () => 'poison')",
        "(__evaluate = () => 'poison')",
        "(__TimerManager = 'poison')",
        "(Error.prepareStackTrace = () => 'poison')",
        "(Symbol.prototype.poison = 1)",
        "(Intl.DateTimeFormat.prototype.format = 1)",
        "/(poison)/.test('poison')",
    ],
)
def test_nothing_of_an_expression_reaches_the_next(poison: str) -> None:
    before = "[typeof poison, [1].map(String), moment.utc(0).format(), Math.max(1), ({}).poison, 'x'.poison]"
    expected = '["undefined",["1"],"1970-01-01T00:00:00Z",1,null,null]'
    assert value(before) == expected

    with suppress(TemplateError):
        value(poison)

    assert value(before) == expected
    assert value("[typeof __TimerManager, typeof __evaluate, typeof RegExp.$1, RegExp.input]") == (
        '["undefined","undefined","undefined",null]'
    )


def test_everything_that_expressions_share_is_frozen() -> None:
    unfrozen = """(() => {
        const seen = new Set(), found = [];
        const made = [moment(0), [].values(), new Map().entries(), new Set().values(), 'x'[Symbol.iterator](),
            'x'.matchAll(/x/g), [].values().map(String), Iterator.from({next: null}), (async () => {})(),
            (function* () {}).prototype, (async function* () {}).prototype, async () => {},
            new Intl.Segmenter().segment('').containing, /x/, 1, 1n, 'x', true,
            Symbol.iterator, new Intl.Segmenter().segment(''), new Intl.Segmenter().segment('')[Symbol.iterator]()];
        const rest = made.map((one) => [Object.getPrototypeOf(one), Object.prototype.toString.call(one)]);
        rest.push([globalThis, 'globalThis']);
        while (rest.length) {
            const [one, name] = rest.pop();
            if ((typeof one !== 'object' && typeof one !== 'function') || one === null || seen.has(one)) continue;
            seen.add(one);
            if (!Object.isFrozen(one)) found.push(name);
            rest.push([Object.getPrototypeOf(one), name + '.__proto__']);
            for (const key of Reflect.ownKeys(one)) {
                const {value, get, set} = Object.getOwnPropertyDescriptor(one, key);
                for (const inner of [value, get, set]) rest.push([inner, name + '.' + String(key)]);
            }
        }
        return found;
    })()"""

    assert value(unfrozen) == "[]"


def test_time_zones_of_expressions_do_not_mix() -> None:
    def shown(zone: str) -> str:
        return render("${moment(0).format()}", {"timezone": zone}.__getitem__)

    assert [shown(zone) for zone in ("Asia/Tokyo", "UTC", "Asia/Tokyo")] == [
        "1970-01-01T09:00:00+09:00",
        "1970-01-01T00:00:00+00:00",
        "1970-01-01T09:00:00+09:00",
    ]


def test_an_engine_that_somebody_killed_is_replaced() -> None:
    value("a + 1")
    pid = own_engine().pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    assert value("a + 1") == "2"
    assert own_engine().pid != pid


def test_an_engine_that_went_for_want_of_work_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    own_engine().close()
    really_start = engine_module._start

    def goes() -> subprocess.Popen[bytes]:
        monkeypatch.setattr(engine_module, "_start", really_start)
        command = ["/bin/sh", "-c", "read line; exit 0"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    monkeypatch.setattr(engine_module, "_start", goes)

    assert value("a + 1") == "2"


def test_an_engine_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    own_engine().close()
    monkeypatch.setattr(engine_module.sys, "executable", "/nowhere/python")

    assert "could not be started" in refusal("a + 1")


def test_threads_share_the_engine_and_each_gets_its_own_answer() -> None:
    got: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        values = [{"a": number * 50 + turn} for turn in range(10)]
        got[number] = [render("${a + 1000}", one.__getitem__) for one in values]

    threads = [threading.Thread(target=ask, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == {number: [str(number * 50 + turn + 1000) for turn in range(10)] for number in range(6)}


@pytest.fixture
def forked() -> list[str]:
    """What two processes forked from one with an engine say, and then that one again."""
    program = """
import os, sys
from scheduler.execution.expressions import own_engine, evaluate
from multiprocessing import get_context

def work(pipe):
    inherited = own_engine().pid
    pipe.send([inherited, evaluate("6 * 7", {}.__getitem__), own_engine().pid])

parent = evaluate("6 * 7", {}.__getitem__), own_engine().pid
context = get_context("fork")
pids = {parent[1]}
for turn in range(2):
    near, far = context.Pipe()
    process = context.Process(target=work, args=[far])
    process.start()
    inherited, said, pid = near.recv()
    process.join()
    print(inherited, said, pid in pids, process.exitcode)
    pids.add(pid)
print(evaluate("6 * 7", {}.__getitem__), own_engine().pid == parent[1])
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return ran.stdout.splitlines()


def test_a_forked_process_has_an_engine_of_its_own(forked: list[str]) -> None:
    assert forked == ["None 42 False 0", "None 42 False 0", "42 True"]


def test_the_engine_knows_nothing_of_the_house() -> None:
    value("a + 1")
    pid = own_engine().pid

    assert Path(f"/proc/{pid}/environ").read_bytes() == b"LANG=C.UTF-8\0TZ=UTC\0"
    ours, its = (
        {os.readlink(one) for one in Path(f"/proc/{one}/fd").iterdir() if one.is_symlink()} for one in ("self", pid)
    )
    assert {link for link in its & ours if not link.startswith("pipe:")} <= {"/dev/null", "anon_inode:[eventpoll]"}
    assert all(link.startswith(("pipe:", "/dev/null", "anon_inode:", "socket:")) for link in its)
