"""The operators by name. A new one is a file beside these and a line here."""

from scheduler.execution.operators.base import Operator
from scheduler.execution.operators.echo import ECHO
from scheduler.execution.operators.fail import FAIL
from scheduler.execution.operators.py import PY
from scheduler.execution.operators.sh import SH

OPERATORS: dict[str, Operator] = {
    "echo": ECHO,
    "fail": FAIL,
    "py": PY,
    "sh": SH,
}
