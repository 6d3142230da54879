"""Pushing projects over the wire, by gunicorn over loopback: 1,000 files; 100 workflows that have schedules.

    python bench/projects.py [--files 1000] [--workflows 100] [--rounds 5]

Each figure is the time from the request to the answer, everything committed; every push is a new revision whose files
all differ from those before. The file system keeps the archives. Needs PostgreSQL.
"""

import argparse
import io
import tarfile
from collections.abc import Mapping

import requests
from scratch import django_on_scratch, machine, median_seconds, served, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--workflows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    django_on_scratch("projects")
    client = requests.Session()
    client.headers["Authorization"] = f"TD1 {key()}"
    with served() as address:

        def push(project: str, files: Mapping[str, str], number: int) -> None:
            answer = client.put(
                f"{address}/api/projects",
                params={"project": project, "revision": f"r{number}"},
                data=packed(files),
                headers={"Content-Type": "application/gzip"},
                timeout=60,
            )
            assert answer.status_code == 200, answer.text[:500]

        push("first", {"one.dig": workflow(0, 0)}, 0)  # the server has started everything it needs
        wide = median_seconds(lambda n: push("wide", many_files(options.files, n), n), options.rounds)
        busy = median_seconds(lambda n: push("busy", scheduled(options.workflows, n), n), options.rounds)
    print(machine())
    print(
        table(
            [
                (f"push of {options.files:,} files", f"{wide:.2f} s", "1 s", "3 s"),
                (f"push of {options.workflows:,} workflows with schedules", f"{busy:.2f} s", "2 s", "5 s"),
            ]
        )
    )


def key() -> str:
    from datetime import UTC, datetime

    from django.contrib.auth.models import User

    from projects import apikeys

    user = User.objects.create_superuser("bench")
    return apikeys.issue(user=user, name="bench", now=datetime.now(UTC))[1]


def many_files(count: int, push: int) -> dict[str, str]:
    """One workflow and `count - 1` files of about a kilobyte."""
    queries = {f"part{n % 20}/query{n}.sql": f"-- {push} {n}\n" + "SELECT 1;\n" * 100 for n in range(count - 1)}
    return {"daily.dig": workflow(0, push), **queries}


def scheduled(count: int, push: int) -> dict[str, str]:
    return {f"job{number}.dig": workflow(number, push) for number in range(count)}


def workflow(number: int, push: int) -> str:
    """Its schedule is another one at every second push."""
    minute = (number + push % 2) % 60
    tasks = "".join(f"+step{step}:\n  sh>: echo {push} ${{session_time}}\n" for step in range(10))
    return f"timezone: Europe/Berlin\nschedule:\n  cron>: {minute} 3 * * *\n{tasks}"


def packed(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


if __name__ == "__main__":
    main()
