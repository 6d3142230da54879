"""A step of hourly_orders."""

import csv
from pathlib import Path


def check() -> None:
    """Every order has an amount."""
    with Path("orders.csv").open() as file:
        amounts = [int(row["amount"]) for row in csv.DictReader(file)]
    print(f"{len(amounts)} orders, {sum(amounts)} in all")
