"""Whether an error means that the database, or a connection to it, is away for a while; then nothing was written."""

from django.db import InterfaceError, OperationalError

# PostgreSQL ended the connection, because a transaction did nothing for too long: the process, or its machine, stood
# still. For psycopg, and so for Django, that is an error inside the database.
IDLE_IN_TRANSACTION_TIMEOUT = "25P03"


def database_is_away(error: BaseException) -> bool:
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return getattr(error.__cause__, "sqlstate", None) == IDLE_IN_TRANSACTION_TIMEOUT
