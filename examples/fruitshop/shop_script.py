"""A plain script, no decorator: `dlt-runtime launch shop_script.py` deploys and runs it as it is."""

from datetime import date

import dlt

from fruitshop_source import FRUITS


def main() -> None:
    prices = [{"fruit": fruit, "price": price} for fruit, price in FRUITS.items()]
    pipeline = dlt.pipeline("price_list", destination="warehouse", dataset_name="price_list")
    pipeline.run(prices, table_name="prices", write_disposition="replace")
    with pipeline.sql_client() as client:
        dearest = client.execute_sql("SELECT fruit, price FROM prices ORDER BY price DESC LIMIT 3")
    print(f"price list of {date.today()}: {len(prices)} fruits, the dearest are")
    for fruit, price in dearest or ():
        print(f"  {fruit} {price:.2f}")


if __name__ == "__main__":
    main()
