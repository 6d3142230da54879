"""The Celery tasks that a workflow may name: those of the applications that are installed here, and remote ones."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from threading import Lock

from django.conf import settings

from projects.dig.language import closest, listed
from scheduler.celery import app
from scheduler.dispatch import DRAIN_TASK
from scheduler.models import Lane

MOST_SHOWN = 10
LONGEST_QUEUE = 100
_DISCOVERY = Lock()


def names() -> list[str]:
    """All that are registered here, in order."""
    with _DISCOVERY:  # Celery answers a second thread at once, with what the first has not found yet
        _discovered()
    return sorted(name for name in app.tasks if name != DRAIN_TASK and not _is_celerys_own(name))


def problems(name: str, queue: str = "") -> Iterator[str]:
    """What is wrong with a task's name, and with the queue that it is to be sent to; "" for here."""
    known = names()
    remote = bool(queue) and any(fnmatchcase(name, pattern) for pattern in settings.HINDCAST_REMOTE_TASKS)
    if name not in known and not remote:
        yield f"There is no Celery task {name[:100]!r}; {_instead(name, known)}"
    if queue in list(Lane):
        yield f"queue: {queue} is for Hindcast's own hints; name a queue of yours."
    elif queue and (len(queue) > LONGEST_QUEUE or not queue.isprintable() or queue != queue.strip()):
        yield f"queue: is a name of at most {LONGEST_QUEUE} characters, not {queue[:50]!r}."


def _instead(name: str, known: list[str]) -> str:
    if found := closest(name, known):
        return f"did you mean {found}?"
    if not known:
        return "none is registered here. HINDCAST_APPS names the Django applications whose tasks are."
    shown = known[:MOST_SHOWN] + (["others"] if len(known) > MOST_SHOWN else [])
    return f"here {'is' if len(shown) == 1 else 'are'} {listed(shown)}."


def _is_celerys_own(name: str) -> bool:
    """Pieces of canvases, of no use by themselves. The clean-up of results is a task like any other."""
    return name.startswith("celery.") and name != "celery.backend_cleanup"


@cache
def _discovered() -> None:
    """A worker has done so as it started; a web process has not."""
    app.autodiscover_tasks(force=True)
