"""What may run next, and what follows from how each task ended."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.execution.made import Made
from scheduler.execution.plan import plan
from scheduler.execution.task import ENDED, Before, Task
from scheduler.execution.tree import Tree
from scheduler.models import TaskState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = {"message": "broken"}


def echo(**settings: object) -> dict[str, Any]:
    return {"echo>": "x", **settings}


def tree_of(document: Mapping[str, Any], before: Mapping[str, Before] | None = None) -> Tree:
    return Tree(plan("wf", document), before=before or {}, now=NOW)


class Played:
    """A tree driven to its end: `fails` names tasks that fail, and how often."""

    def __init__(
        self, tree: Tree, *, fails: Mapping[str, int] | None = None, gives: Mapping[str, Any] | None = None
    ) -> None:
        self.tree = tree
        self.ran: list[str] = []
        self.at_once = 0
        self.waited = 0.0
        self._fails = dict(fails or {})
        self._gives = dict(gives or {})
        now = NOW
        while not tree.done:
            running = [tree.take(now) for _ in range(tree.ready)]
            self.at_once = max(self.at_once, len(running))
            for task in running:
                self._end(task, now)
            if not running:
                assert tree.wakes_at is not None, "nothing runs and nothing waits"
                self.waited += (tree.wakes_at - now).total_seconds()
                now = tree.wakes_at
                tree.wake(now)

    def _end(self, task: Task, now: datetime) -> None:
        name = task.full_name.removeprefix("+wf")
        self.ran.append(name)
        if self._fails.get(name, 0) > 0:
            self._fails[name] -= 1
            self.tree.fail(task, BROKEN, now)
        else:
            given = self._gives.get(name, {})
            made = given if isinstance(given, Made) else None
            self.tree.succeed(task, {} if made else given, made, now)

    @property
    def states(self) -> dict[str, str]:
        return {task.full_name.removeprefix("+wf"): str(task.state) for task in self.tree.tasks.values()}


def test_tasks_run_one_after_the_other() -> None:
    played = Played(tree_of({"+a": echo(), "+b": {"+c": echo(), "+d": echo()}, "+e": echo()}))

    assert played.ran == ["+a", "+b+c", "+b+d", "+e"]
    assert played.at_once == 1
    assert set(played.states.values()) == {"success"}


def test_a_parallel_group_runs_all_of_its_tasks_at_once_and_the_next_waits_for_them() -> None:
    played = Played(tree_of({"+g": {"_parallel": True, "+a": echo(), "+b": echo(), "+c": echo()}, "+z": echo()}))

    assert played.ran == ["+g+a", "+g+b", "+g+c", "+z"]
    assert played.at_once == 3


def test_a_limit_lets_no_more_run_at_the_same_time() -> None:
    tasks = {f"+t{number}": echo() for number in range(7)}

    played = Played(tree_of({"+g": {"_parallel": {"limit": 3}, **tasks}}))

    assert sorted(played.ran) == sorted(f"+g{name}" for name in tasks)
    assert played.at_once == 3


def test_a_task_in_the_background_starts_with_the_group_and_the_next_waits_for_it() -> None:
    tree = tree_of({"+a": echo(), "+b": echo(_background=True), "+c": echo()})

    first = [tree.take(NOW), tree.take(NOW)]

    assert [task.full_name for task in first] == ["+wf+a", "+wf+b"]
    tree.succeed(first[0], {}, None, NOW)
    assert not tree.ready
    tree.succeed(first[1], {}, None, NOW)
    assert tree.take(NOW).full_name == "+wf+c"


def test_a_failure_leaves_what_comes_after_it_blocked_and_fails_the_groups_around_it() -> None:
    played = Played(tree_of({"+a": {"+b": echo(), "+c": echo()}, "+d": echo()}), fails={"+a+b": 1})

    assert played.ran == ["+a+b"]
    assert played.states == {
        "": "group_error",
        "+a": "group_error",
        "+a+b": "error",
        "+a+c": "blocked",
        "+d": "blocked",
    }
    assert played.tree.root.error == BROKEN


def test_in_a_parallel_group_the_others_run_to_their_end() -> None:
    played = Played(
        tree_of({"+g": {"_parallel": {"limit": 2}, "+a": echo(), "+b": echo(), "+c": echo()}}), fails={"+g+a": 1}
    )

    assert sorted(played.ran) == ["+g+a", "+g+b", "+g+c"]
    assert played.states["+g"] == "group_error"


def test_retry_runs_a_task_again_and_waits_in_between() -> None:
    document = {"+a": echo(_retry={"limit": 3, "interval": 10, "interval_type": "exponential"}), "+b": echo()}

    played = Played(tree_of(document), fails={"+a": 3})

    assert played.ran == ["+a"] * 4 + ["+b"]
    assert played.waited == 10 + 20 + 40
    assert played.states == {"": "success", "+a": "success", "+b": "success"}
    assert played.tree.tasks[1].error == {}


def test_a_retry_knows_nothing_of_what_the_failed_try_kept() -> None:
    tree = tree_of({"+a": echo(_retry=1, _check=echo())})
    task = tree.take(NOW)
    tree.try_later(task, {"since": "long ago"}, at=NOW, now=NOW)
    tree.wake(NOW)
    tree.succeed(tree.take(NOW), {}, Made({"+one": echo()}), NOW)
    tree.fail(tree.take(NOW), BROKEN, NOW)

    tree.wake(NOW)

    assert tree.take(NOW) is task
    assert task.kept == {"retries": 1}


def test_a_group_is_retried_from_its_first_task() -> None:
    played = Played(tree_of({"+g": {"_retry": 1, "+a": echo(), "+b": echo()}}), fails={"+g+b": 1})

    assert played.ran == ["+g+a", "+g+b", "+g+a", "+g+b"]
    assert set(played.states.values()) == {"success"}


def test_what_came_up_in_a_group_comes_up_again_when_it_is_retried() -> None:
    made = Made({"+one": echo()})

    played = Played(tree_of({"+g": {"_retry": 1, "+a": echo(), "+b": echo()}}), fails={"+g+b": 1}, gives={"+g+a": made})

    assert played.ran == ["+g+a", "+g+a^sub+one", "+g+b", "+g+a", "+g+a^sub+one", "+g+b"]
    assert set(played.states.values()) == {"success"}
    assert len(played.tree.tasks) == 6


def test_error_runs_once_no_retry_is_left_and_sees_why() -> None:
    document = {"_error": echo(), "+a": echo(_retry=1), "+b": echo()}

    played = Played(tree_of(document), fails={"+a": 9})

    assert played.ran == ["+a", "+a", "^error"]
    after = played.tree.tasks[3]
    assert (after.full_name, after.variables) == ("+wf^error", {"error": BROKEN})
    assert played.states == {"": "group_error", "+a": "error", "+b": "blocked", "^error": "success"}


def test_an_error_task_that_fails_itself_changes_nothing() -> None:
    played = Played(tree_of({"+a": echo(_error={"+x": echo(), "+y": echo()})}), fails={"+a": 1, "+a^error+x": 1})

    assert played.ran == ["+a", "+a^error+x"]
    assert played.states["+a"] == "error"
    assert played.tree.root.error == BROKEN


def test_check_runs_after_success_and_its_failure_is_the_tasks() -> None:
    document = {"+a": echo(_check=echo()), "+b": echo()}

    assert Played(tree_of(document)).ran == ["+a", "+a^check", "+b"]
    failed = Played(tree_of(document), fails={"+a^check": 1})
    assert failed.ran == ["+a", "+a^check"]
    assert failed.states["+a"] == "group_error"


def test_what_an_operator_made_runs_before_the_next_task_with_variables_of_its_own() -> None:
    made = Made({"+l-0": echo(), "+l-1": echo(), "_parallel": True}, {"+l-0": {"i": 0}, "+l-1": {"i": 1}})

    played = Played(tree_of({"+a": echo(_check=echo()), "+b": echo()}), gives={"+a": made})

    assert played.ran == ["+a", "+a^sub+l-0", "+a^sub+l-1", "+a^check", "+b"]
    assert played.at_once == 2
    by_name = {task.full_name: task for task in played.tree.tasks.values()}
    assert by_name["+wf+a^sub+l-1"].variables == {"i": 1}


def test_what_an_operator_made_fails_with_the_task_when_it_is_wrong() -> None:
    played = Played(tree_of({"+a": echo()}), gives={"+a": Made({"+l": {"rm>": 1}})})

    assert played.states["+a"] == "error"
    assert "no operator rm>" in played.tree.root.error["message"]


EACH = {"+x": echo(), "+y": {"+z": echo(_error=echo())}}
NUMBERED = {f"+l-{number}": {"i": number} for number in range(3)}


@pytest.mark.parametrize(
    "kept",
    [
        Made({"_parallel": True}, NUMBERED, EACH).as_json(),
        {"config": {"_parallel": True, **dict.fromkeys(NUMBERED, EACH)}, "variables": NUMBERED},
    ],
)
def test_a_loop_holds_its_tasks_once_or_as_they_were_kept_before(kept: Any) -> None:
    tree = tree_of({"+a": echo()})
    tree.succeed(tree.take(NOW), {}, Made.of_json(kept), NOW)

    there = {task.full_name.removeprefix("+wf+a^sub"): task for task in tree.tasks.values()}
    assert list(there)[-12:] == [f"+l-{number}{inside}" for number in range(3) for inside in ("", "+x", "+y", "+y+z")]
    assert [there[f"+l-{number}"].variables for number in range(3)] == [{"i": 0}, {"i": 1}, {"i": 2}]
    assert tree.ready == 3


def test_what_is_kept_of_a_loop_does_not_grow_with_its_tasks() -> None:
    body = {"+x": echo(text="x" * 10_000)}
    names = {f"+l-{number}": {"i": number} for number in range(999)}

    assert len(json.dumps(Made({}, names, body).as_json())) < 50_000


def test_a_loop_of_too_many_tasks_is_refused() -> None:
    names: dict[str, Any] = {f"+l-{number}": {} for number in range(500)}

    played = Played(tree_of({"+a": echo()}), gives={"+a": Made({}, names, {"+x": echo()})})

    assert "more than 1000" in played.tree.root.error["message"]
    assert len(played.tree.tasks) == 2


def test_more_than_a_thousand_tasks_are_refused_where_they_come_up() -> None:
    made = Made({f"+l-{number}": echo() for number in range(999)})

    played = Played(tree_of({"+a": echo()}), gives={"+a": made})

    assert "more than 1000" in played.tree.root.error["message"]


def test_a_cancel_ends_everything_that_has_not_ended() -> None:
    tree = tree_of({"+g": {"_parallel": True, "+a": echo(), "+b": echo()}, "+c": echo()})
    tree.succeed(tree.take(NOW), {}, None, NOW)
    tree.take(NOW)

    tree.cancel(NOW)

    assert tree.done
    assert not tree.ready
    states = {task.full_name: str(task.state) for task in tree.tasks.values()}
    assert states == {
        "+wf": "canceled",
        "+wf+g": "canceled",
        "+wf+g+a": "success",
        "+wf+g+b": "canceled",
        "+wf+c": "canceled",
    }


def test_a_task_sees_what_was_done_before_it_for_sure_alone() -> None:
    document = {
        "+a": echo(),
        "+b": {"_parallel": True, "+c": echo(), "+d": echo()},
        "+e": echo(_background=True),
        "+f": echo(),
    }
    tree = tree_of(document)
    by_name = {task.full_name.removeprefix("+wf"): task for task in tree.tasks.values()}

    def before(name: str) -> list[str]:
        return [task.full_name.removeprefix("+wf") for task in by_name[name].sure_before()]

    assert before("+a") == []
    assert before("+b+d") == []
    assert before("+e") == []
    assert before("+b") == ["+a"]
    assert sorted(before("+f")) == ["+a", "+b", "+e"]


def test_a_thousand_tasks_that_were_done_before_are_passed_over() -> None:
    document = {f"+t{number}": echo() for number in range(999)}
    done = Before(None, TaskState.SUCCESS, {"x": 1}, {}, {})

    tree = tree_of(document, {f"+wf+t{number}": done for number in range(998)})

    assert tree.ready == 1
    assert tree.take(NOW).full_name == "+wf+t998"


# --- going on where another delivery stopped ----------------------------------------------------------------


def left(tasks: Iterable[Task]) -> dict[str, Before]:
    """Tasks as the database keeps them."""
    return {
        task.full_name: Before(
            task.position, task.state, task.stored, task.error, dict(task.kept), task.retry_at, task.started_at
        )
        for task in tasks
    }


DOCUMENT = {
    "_error": echo(),
    "+a": echo(_check=echo()),
    "+g": {
        "_parallel": {"limit": 2},
        "_retry": 1,
        "+x": echo(_retry={"limit": 1, "interval": 5}),
        "+y": {"+in": echo(), "+loop": echo()},
        "+z": echo(_error={"+m": echo(), "+n": echo()}),
    },
    "+last": echo(_background=True),
    "+end": echo(),
}
LOOP = Made({"+l-0": echo(), "+l-1": echo()}, {"+l-1": {"i": 1}})
NAMES = ["+a", "+a^check", "+g+x", "+g+y+in", "+g+y+loop", "+g+y+loop^sub+l-1", "+g+z", "+g+z^error+m", "+last"]


@settings(deadline=None, max_examples=300)
@given(
    fails=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 4), max_size=4),
    stops=st.lists(st.integers(0, 12), max_size=4),
    data=st.data(),
)
def test_an_attempt_that_is_interrupted_ends_as_one_that_is_not(
    fails: dict[str, int], stops: list[int], data: st.DataObject
) -> None:
    """Whatever had ended is not run again; what ran does."""
    plain = Played(tree_of(DOCUMENT), fails=fails, gives={"+g+y+loop": LOOP})

    tree, now, budget, kept = tree_of(DOCUMENT), NOW, dict(fails), dict[str, Before]()
    for stop in [*stops, 10_000]:
        while not tree.done and stop > 0:
            stop -= 1
            if not tree.ready:
                assert tree.wakes_at is not None
                now = max(tree.wakes_at, now)
                tree.wake(now)
                continue
            running = [tree.take(now) for _ in range(tree.ready)]
            for index in data.draw(st.permutations(range(len(running)))):
                task = running[index]
                name = task.full_name.removeprefix("+wf")
                if budget.get(name, 0):
                    budget[name] -= 1
                    tree.fail(task, BROKEN, now)
                else:
                    tree.succeed(task, {"n": name}, LOOP if name == "+g+y+loop" else None, now)
        assert len({task.position for task in tree.changed}) == len(tree.changed)  # one statement writes them
        kept |= left(tree.changed)
        tree.changed.clear()
        if not tree.done:
            tree = tree_of(DOCUMENT, kept)

    assert states_of(kept) == states_of(left(plain.tree.tasks.values()))


def states_of(kept: Mapping[str, Before]) -> dict[str, TaskState]:
    return {name: before.state for name, before in kept.items() if before.state != TaskState.BLOCKED}


def test_positions_stay_what_they_were() -> None:
    tree = tree_of(DOCUMENT)
    for _ in range(40):
        if tree.ready:
            task = tree.take(NOW)
            tree.succeed(task, {}, LOOP if task.full_name.endswith("+loop") else None, NOW)
    positions = {task.full_name: task.position for task in tree.tasks.values()}

    again = tree_of(DOCUMENT, left(tree.tasks.values()))

    assert {task.full_name: task.position for task in again.tasks.values()}.items() <= positions.items()
    assert again.done
    assert not again.changed


@pytest.mark.parametrize("document", [{"+a": echo()}, DOCUMENT])
def test_at_the_end_everything_has_ended_or_never_started(document: dict[str, Any]) -> None:
    played = Played(tree_of(document))

    assert {task.state for task in played.tree.tasks.values()} <= ENDED
