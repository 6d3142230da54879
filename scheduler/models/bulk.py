"""Write thousands of rows that differ in a few columns, in one statement.

`bulk_create` builds a model instance and prepares every field for every row: 1.2 s for the 20,000 rows of a
backfill of 10,000 slots. Here the columns that differ travel as one array each, and the rest as constants: 0.3 s.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


def insert_many(
    model: type[models.Model],
    *,
    same: Mapping[str, object],
    columns: Mapping[str, Sequence[object]],
    returning: str,
) -> dict[Any, int]:
    """Insert a row for each position of `columns` (attribute names; all of one length), in that order.

    `same` gives the attributes that are equal in all rows; what neither names takes its field's default.
    Primary keys rise in the order of the rows. Returns the new primary keys by the value of `returning`, one of
    `columns`. Constraints hold as ever: raises IntegrityError, and then nothing is written.
    """
    if not next(iter(columns.values())):
        return {}
    keys = sorted(key for (key,) in _insert(model, same, columns, "RETURNING id"))
    return dict(zip(columns[returning], keys, strict=True))


def insert_missing(
    model: type[models.Model],
    *,
    same: Mapping[str, object],
    columns: Mapping[str, Sequence[object]],
    returning: str,
) -> dict[Any, int]:
    """As `insert_many`, but rows that a unique constraint refuses are left out, and missing in the answer."""
    if not next(iter(columns.values())):
        return {}
    field = model._meta.get_field(returning)
    assert isinstance(field, models.Field)
    there = _insert(model, same, columns, f"ON CONFLICT DO NOTHING RETURNING id, {field.column}")
    return {field.to_python(value): key for key, value in there}


def update_many(model: type[models.Model], *, keys: Sequence[int], columns: Mapping[str, Sequence[object]]) -> None:
    """Set `columns` (attribute names) of the rows with the primary keys `keys`, position by position.

    `bulk_update` builds a CASE for every value: 0.48 s for eight columns of 500 rows. Here: 0.02 s.
    """
    if not keys:
        return
    connection = transaction.get_connection()
    fields = _fields(model)
    arrays = [_prepared(connection, fields[name], column) for name, column in columns.items()]
    types = ["bigint", *(str(fields[name].rel_db_type(connection)) for name in columns)]
    names, rows, parameters = _rows(connection, types, [list(keys), *arrays])
    table = connection.ops.quote_name(model._meta.db_table)
    columns_set = (connection.ops.quote_name(str(fields[name].column)) for name in columns)
    sets = ", ".join(f"{column} = {value}" for column, value in zip(columns_set, names[1:], strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {sets} FROM {rows} WHERE {table}.id = {names[0]}",  # noqa: S608 - names of columns
            parameters,
        )


def _insert(
    model: type[models.Model], same: Mapping[str, object], columns: Mapping[str, Sequence[object]], ending: str
) -> list[tuple[Any, ...]]:
    connection = transaction.get_connection()  # not the proxy: it costs more than the work it passes on
    fields = _fields(model)
    fixed = {name: same.get(name, field.get_default()) for name, field in fields.items() if name not in columns}
    values = [fields[name].get_db_prep_save(value, connection) for name, value in fixed.items()]
    arrays = [_prepared(connection, fields[name], column) for name, column in columns.items()]
    types = [str(fields[name].rel_db_type(connection)) for name in columns]
    selected, rows, parameters = _rows(connection, types, arrays)
    names = ", ".join(connection.ops.quote_name(str(fields[name].column)) for name in [*fixed, *columns])
    table = connection.ops.quote_name(model._meta.db_table)
    what = ", ".join([*["%s"] * len(values), *selected])
    with connection.cursor() as cursor:
        cursor.execute(  # WHERE true: without it, SQLite takes the ON of ON CONFLICT for that of a join
            f"INSERT INTO {table} ({names}) SELECT {what} FROM {rows} WHERE true ORDER BY place {ending}",  # noqa: S608 - names
            [*values, *parameters],
        )
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _fields(model: type[models.Model]) -> dict[str, models.Field[Any, Any]]:
    return {field.attname: field for field in model._meta.concrete_fields if not field.primary_key}


def _prepared(connection: BaseDatabaseWrapper, field: models.Field[Any, Any], column: Sequence[object]) -> list[object]:
    return [field.get_db_prep_save(value, connection) for value in column]


def _rows(
    connection: BaseDatabaseWrapper, types: Sequence[str], arrays: list[list[object]]
) -> tuple[list[str], str, list[object]]:
    """The arrays as rows of a table: its columns' names, itself (with `place`, the row's number), its parameters."""
    if connection.vendor == "postgresql":
        names = [f"c{number}" for number in range(len(arrays))]
        unnested = ", ".join(f"%s::{name}[]" for name in types)
        return names, f"unnest({unnested}) WITH ORDINALITY AS rows ({', '.join(names)}, place)", list(arrays)
    names = [f"(value ->> {number})" for number in range(len(arrays))]
    return names, "(SELECT value, key AS place FROM json_each(%s))", [json.dumps(list(zip(*arrays, strict=True)))]
