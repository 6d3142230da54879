"""The secrets of one attempt: given to its tasks by name, and kept out of all that is shown of them.

Masked are all secrets of the project, as soon as a task asks for one: a service may answer with another one than it was
asked with, and a file or a program may hold one that a task never named. An attempt that asks for none pays nothing. A
later delivery, and an attempt that is resumed, mask from the start, since what ran before may have asked.
"""

import threading
from dataclasses import replace
from typing import Any

from projects import secrets
from projects.masking import Known, mask_all
from scheduler.execution.made import Made
from scheduler.execution.operators.base import Outcome, SecretMissing, TaskFailed


class AttemptSecrets:
    """Safe to use from the threads of tasks that run at the same time."""

    def __init__(self, project_id: int, known: Known) -> None:
        """`known` is where they are added to."""
        self._project_id = project_id
        self._known = known
        self._lock = threading.Lock()
        self._learned = False

    def reveal(self, key: str) -> str:
        """The value of a secret of the attempt's project. Raises TaskFailed naming the key."""
        self.learn()
        try:
            secrets.check_key(key)
            value = secrets.reveal(project_id=self._project_id, key=key)
        except secrets.InvalidSecret as invalid:
            raise TaskFailed(f"{key[:100]!r} is no name of a secret. {invalid.problem}", secret=key[:100]) from None
        except secrets.SecretNotFound as missing:
            raise SecretMissing(str(missing), secret=key) from None
        except secrets.SecretUnreadable as unreadable:
            raise TaskFailed(str(unreadable), secret=key) from None
        self._known.add([value])  # it may be newer than those that were learned
        return value

    def learn(self) -> None:
        """From now on all secrets of the project are masked."""
        with self._lock:
            if not self._learned:
                self._known.add(secrets.reveal_all(self._project_id).values())
                self._learned = True

    def masked(self, value: Any) -> Any:
        """A JSON value without them."""
        return mask_all(value, self._known)

    def masked_outcome(self, outcome: Outcome) -> Outcome:
        """The same object when there is none in it."""
        if not self._known:
            return outcome
        stored = self.masked(dict(outcome.stored))
        made = outcome.made and Made.of_json(self.masked(outcome.made.as_json()))
        same = stored == outcome.stored and made == outcome.made
        return outcome if same else replace(outcome, stored=stored, made=made)
