"""The operators by name. A new one is a file beside these and a line here."""

from scheduler.execution.operators.base import Operator
from scheduler.execution.operators.call import CALL
from scheduler.execution.operators.celery import CELERY
from scheduler.execution.operators.computed_group import GROUP
from scheduler.execution.operators.echo import ECHO
from scheduler.execution.operators.fail import FAIL
from scheduler.execution.operators.for_each import FOR_EACH
from scheduler.execution.operators.for_range import FOR_RANGE
from scheduler.execution.operators.http import HTTP
from scheduler.execution.operators.if_ import IF
from scheduler.execution.operators.loop import LOOP
from scheduler.execution.operators.mail import MAIL
from scheduler.execution.operators.manage import MANAGE
from scheduler.execution.operators.py import PY
from scheduler.execution.operators.require import REQUIRE
from scheduler.execution.operators.sh import SH
from scheduler.execution.operators.wait import WAIT

COMPUTED_GROUP = "_group"  # of no file

OPERATORS: dict[str, Operator] = {
    COMPUTED_GROUP: GROUP,
    "call": CALL,
    "celery": CELERY,
    "echo": ECHO,
    "fail": FAIL,
    "for_each": FOR_EACH,
    "for_range": FOR_RANGE,
    "http": HTTP,
    "if": IF,
    "loop": LOOP,
    "mail": MAIL,
    "manage": MANAGE,
    "py": PY,
    "require": REQUIRE,
    "sh": SH,
    "wait": WAIT,
}
