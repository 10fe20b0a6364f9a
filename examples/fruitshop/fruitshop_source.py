"""Customers, inventory and purchases of a fruit shop, made up from a seed: the same seed, the same shop."""

import random
from datetime import date, timedelta
from typing import Any, Dict, Iterator

import dlt

TRows = Iterator[Dict[str, Any]]

FIRST_DAY = date(2026, 1, 1)
FRUITS = {
    "apple": 0.40,
    "banana": 0.25,
    "blueberry": 0.08,
    "cherry": 0.15,
    "fig": 0.60,
    "grape": 0.05,
    "kiwi": 0.55,
    "lemon": 0.35,
    "mango": 1.90,
    "melon": 3.20,
    "pear": 0.45,
    "plum": 0.30,
}
NAMES = ("Ada", "Bela", "Carla", "Dmitri", "Esra", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Luis")
CITIES = ("Berlin", "Lisbon", "Kyoto", "Nairobi", "Quito", "Tampere")


def _dice(seed: int, table: str) -> random.Random:
    """Each table has dice of its own, so that more of one leaves the others as they are."""
    return random.Random(f"{seed}/{table}")


@dlt.source(name="fruitshop")
def fruitshop(
    shop_seed: int = dlt.config.value,
    shop_customers: int = dlt.config.value,
    shop_purchases: int = dlt.config.value,
) -> Any:
    """The whole shop; the numbers come from `.dlt/*.config.toml`."""

    @dlt.resource(primary_key="id", write_disposition="replace")
    def customers() -> TRows:
        dice = _dice(shop_seed, "customers")
        for number in range(1, shop_customers + 1):
            yield {
                "id": number,
                "name": dice.choice(NAMES),
                "city": dice.choice(CITIES),
                "since": FIRST_DAY - timedelta(days=dice.randrange(1000)),
            }

    @dlt.resource(primary_key="id", write_disposition="replace")
    def inventory() -> TRows:
        dice = _dice(shop_seed, "inventory")
        for number, (fruit, price) in enumerate(FRUITS.items(), start=1):
            yield {"id": number, "fruit": fruit, "price": price, "stock": dice.randrange(50, 500)}

    @dlt.resource(primary_key="id", write_disposition="merge")
    def purchases() -> TRows:
        dice = _dice(shop_seed, "purchases")
        for number in range(1, shop_purchases + 1):
            yield {
                "id": number,
                "customer_id": dice.randrange(1, shop_customers + 1),
                "inventory_id": dice.randrange(1, len(FRUITS) + 1),
                "quantity": dice.randrange(1, 12),
                "bought_on": FIRST_DAY + timedelta(days=dice.randrange(90)),
            }

    return customers, inventory, purchases
