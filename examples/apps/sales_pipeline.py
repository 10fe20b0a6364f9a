"""Loads what a greengrocer sold, made up on the spot, and answers what the applications ask about it."""

from datetime import date, timedelta

import dlt

# The same as `from dlt.hub import run`, which works only where the optional package `dlthub` is installed too.
import dlt.hub.run as run

FRUITS = {"apple": 0.4, "banana": 0.3, "cherry": 0.1, "pear": 0.5}
DAYS = 28

pipeline = dlt.pipeline("sales", destination=dlt.destination("warehouse"), dataset_name="sales")


@dlt.resource(primary_key=["day", "fruit"], write_disposition="merge")
def daily_sales():
    first = date(2026, 1, 1)
    for number in range(DAYS):
        for place, (fruit, price) in enumerate(FRUITS.items()):
            pieces = 10 + (number * 7 + place * 5) % 23
            yield {
                "day": first + timedelta(days=number),
                "fruit": fruit,
                "pieces": pieces,
                "revenue": round(pieces * price, 2),
            }


@dlt.resource(primary_key="fruit", write_disposition="replace")
def fruits():
    yield from ({"fruit": fruit, "price": price} for fruit, price in FRUITS.items())


@run.pipeline(pipeline)
def load_sales():
    """Load all sales."""
    print(pipeline.run([daily_sales(), fruits()]))


def sold(fruit: str, at_least: int = 0) -> list[tuple[date, int]]:
    """The days on which at least so many pieces were sold, with how many."""
    query = "SELECT day, pieces FROM daily_sales WHERE fruit = %s AND pieces >= %s ORDER BY day"
    with pipeline.sql_client() as client:
        return [(day, pieces) for day, pieces in client.execute_sql(query, fruit, at_least)]
