"""A step of daily_report."""

SALES = {"books": [12, 30], "music": [], "games": [25, 8, 14]}


def totals() -> None:
    """The average sale of each shelf."""
    for shelf, sales in SALES.items():
        print(f"{shelf}: {sum(sales) / len(sales):.2f}")
