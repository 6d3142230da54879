"""DOOR: the whole of Hindcast on one machine: web, worker and beat under one supervisor."""

import argparse
import gc
import http.client
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from scheduler.management import prepare, programs
from scheduler.management.supervisor import Program, Supervisor

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}  # noqa: S104 - where to knock when all are listened on
BACKLOG = 128


class Command(BaseCommand):
    help = "Run web, worker and beat on this machine until Ctrl-C."
    # Checked in a process of its own below: this one is what the others are forked from, and stays small.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1")
        parser.add_argument("--port", type=int, default=os.environ.get("PORT") or "8000")
        parser.add_argument(
            "--demo",
            action="store_true",
            help="first bring the database up to date and make the demo project, an admin and an API key",
        )
        parser.add_argument(
            "--with-parent", action="store_true", help="end when the process that started this one ends"
        )

    def handle(self, *args: Any, host: str, port: int, demo: bool, with_parent: bool, **options: Any) -> None:
        gc.disable()  # what is made before the fork stays; the programs collect again
        parent = os.getppid()
        listener = listen(host, port)
        address = (ANY_ADDRESS.get(host, host), listener.getsockname()[1])
        if code := exit_code_of(partial(self.get_ready, demo=demo)):
            sys.exit(code)
        programs.load()
        supervisor = Supervisor(
            [
                Program("web", partial(programs.web, listener)),
                Program("worker", programs.worker),
                Program("beat", programs.beat),
            ],
            on_turn=lambda: answers(address) and self.greet(address, demo=demo),
            is_wanted=lambda: not with_parent or os.getppid() == parent,
        )
        supervisor.run()

    def get_ready(self, *, demo: bool) -> None:
        self.check(display_num_errors=False)
        if demo:
            prepare.prepare_demo(now=datetime.now(UTC))
        elif prepare.unapplied_migrations():
            raise CommandError("The database is not up to date. Run: python manage.py migrate")
        elif prepare.lacks_static():
            raise CommandError("Files of the pages are missing. Run: python manage.py collectstatic --no-input")

    def greet(self, address: tuple[str, int], *, demo: bool) -> bool:
        base = f"http://{address[0]}:{address[1]}"
        lines = [f"Hindcast is ready: {base}/   Ctrl-C ends it."]
        if demo:
            lines += first_steps(base, prepare.read_welcome())
        self.stdout.write("\n".join(["", *lines, ""]))
        self.stdout.flush()
        return True


def listen(host: str, port: int) -> socket.socket:
    """The socket of the site, open before anything else is: a port that is taken is known at once."""
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else error
        raise CommandError(f"Cannot listen on {host}:{port} ({reason}). Choose another port: PORT=8001") from None


def exit_code_of(step: Callable[[], None]) -> int:
    """Run `step` in a forked process, for its effects outside: what it imports and opens is gone with it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            step()
            code = 0
        except (CommandError, SystemCheckError) as error:
            print(error, file=sys.stderr)  # noqa: T201
        except KeyboardInterrupt:
            code = 130
        except BaseException:  # noqa: BLE001 - the last frame of a process: all there is to do is to tell
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except KeyboardInterrupt:
        return 130


def answers(address: tuple[str, int]) -> bool:
    """Whether the site answers a request, whatever it answers."""
    connection = http.client.HTTPConnection(*address, timeout=1)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def first_steps(base: str, welcome: prepare.Welcome) -> list[str]:
    """For the person who sees it for the first time: who to be, and a backfill that runs nothing yet."""
    body = {"attemptName": "mend", "fromTime": welcome.from_time, "count": 7, "dryRun": True}
    return [
        f"  Sign in    {welcome.username}, password {welcome.password or 'as you chose it'}",
        f"  API key    {welcome.api_key}",
        "  A first backfill, which only says what it would run:",
        f"curl -X POST {base}/api/schedules/{welcome.schedule_id}/backfill "
        f"-H 'Authorization: TD1 {welcome.api_key}' -H 'Content-Type: application/json' -d '{json.dumps(body)}'",
    ]
