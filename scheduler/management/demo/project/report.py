"""A step of daily_report."""

SALES = {"books": [12, 30], "music": [], "games": [25, 8, 14]}


def totals() -> None:
    """The average sale of each shelf; a shelf without sales has none."""
    for shelf, sales in SALES.items():
        average = f"{sum(sales) / len(sales):.2f}" if sales else "no sales"
        print(f"{shelf}: {average}")
