"""One attempt of 1,000 `echo>` tasks, trigger to success; and what a worker's slots hold in memory after it.

    BENCH_BROKER_URL=redis://… python bench/large.py [--tasks 1000] [--rounds 5] [--slots 2]

The memory is that of the processes of a prefork worker that ran attempts with expressions in JavaScript: PSS, in which
what processes share is divided among them, and RSS, in which it counts for each.
"""

import argparse
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import scratch
from attempts import Workflow, worker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    scratch.django_on_scratch("large")
    with worker("prefork", options.slots) as process:
        flat = {f"+task{number}": {"echo>": f"{number} ${{session_date}}"} for number in range(options.tasks)}
        large = measured("flat", flat, options.rounds)
        groups = {f"+group{n}": tasks(n, options.tasks // 50 - 1) for n in range(50)}  # a group is a task, too
        nested = measured("nested", {"_parallel": True, **groups}, options.rounds)
        Workflow("expression", {"+one": {"echo>": "${1 + 1}"}}).run(200)
        slots = [memory(slot) for slot in children(process.pid)]
    print(scratch.machine())
    print(
        scratch.table(
            [
                (f"an attempt of {options.tasks:,} echo> tasks", f"{large:.2f} s", "3 s", "10 s"),
                ("  the same in 50 parallel groups", f"{nested:.2f} s", "", ""),
                ("memory of a slot and its helper, PSS", megabytes(slots, "Pss"), "120 MB", ""),
                ("  RSS", megabytes(slots, "Rss"), "", ""),
            ]
        )
    )


def measured(name: str, document: dict[str, object], rounds: int) -> float:
    workflow = Workflow(name, document)
    return statistics.median(workflow.run(1) for _ in range(rounds))


def tasks(group: int, count: int) -> dict[str, object]:
    return {f"+task{number}": {"echo>": f"{group} {number} ${{session_date}}"} for number in range(count)}


def children(pid: int) -> list[int]:
    answer = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(child) for child in answer.stdout.split()]


def family(pid: int) -> Iterator[int]:
    yield pid
    for child in children(pid):
        yield from family(child)


def memory(pid: int) -> dict[str, int]:
    """kB of the process and of all that it started."""
    rollups = [Path(f"/proc/{member}/smaps_rollup").read_text() for member in family(pid)]
    return {
        kind: sum(int(size) for text in rollups for size in re.findall(rf"^{kind}: +(\d+) kB", text, re.MULTILINE))
        for kind in ("Pss", "Rss")
    }


def megabytes(slots: list[dict[str, int]], kind: str) -> str:
    """Of the largest slot."""
    return f"{max(slot[kind] for slot in slots) / 1000:.0f} MB"


if __name__ == "__main__":
    main()
