"""Celery tasks of somebody's shop, as `celery>` runs them."""

import logging
import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from celery import shared_task
from celery.utils.log import get_task_logger
from django.contrib.auth.models import User

log = get_task_logger(__name__)


@shared_task
def total(*numbers: int, times: int = 1) -> dict[str, Any]:
    return {"total": sum(numbers) * times, "told": list(numbers)}


@shared_task(bind=True)
def tell(self: Any, text: str = "") -> str:
    sys.stdout.write(f"printed {text}\n")
    sys.stderr.write("to stderr\n")
    log.info("logged %s", text)
    logging.getLogger("shop").warning("warned")
    return f"{self.name} {self.request.id}"


@shared_task
def fail(message: str = "") -> None:
    raise LookupError(message)


@shared_task
def price() -> Decimal:
    return Decimal("1.5")


@shared_task
def seen_environment() -> list[str]:
    """Its own variables, and what others see of them."""
    outside = subprocess.run(
        ["sh", "-c", "cat /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n'"], capture_output=True, text=True, env={}
    )
    return [os.environ.get("SECRET_KEY", ""), outside.stdout]


@shared_task
def users() -> int:
    return User.objects.count()


@shared_task
def sleep(mark: str, seconds: float = 30) -> str:
    path = Path(mark)
    path.write_text("began\n")
    try:
        time.sleep(seconds)
    finally:
        with path.open("a") as file:
            file.write("ended\n")
    return "slept"


@shared_task
def deaf(mark: str) -> None:
    """Its child goes on, whatever it is told."""
    subprocess.Popen(["sh", "-c", f"trap '' TERM; while true; do sleep 1; done # {mark}"])
    while True:
        try:
            time.sleep(30)
        except BaseException:
            continue


@shared_task(ignore_result=False)
def append(path: str, line: str) -> int:
    with Path(path).open("a") as file:
        file.write(f"{line}\n")
    return len(Path(path).read_text().splitlines())


@shared_task(ignore_result=False)
def raise_in_queue() -> None:
    raise ValueError("no such row")


@shared_task
def forever(number: int) -> None:
    """A retry of its own."""
    raise forever.retry(countdown=0, max_retries=2, args=(number + 1,), exc=ArithmeticError(f"at {number}"))
