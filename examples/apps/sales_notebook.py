"""Sales by fruit, as a notebook"""

__require__ = {"dependency_groups": ["notebook"]}

import marimo

app = marimo.App(app_title="Sales notebook")


@app.cell
def _():
    import marimo as mo
    from sales_pipeline import FRUITS, sold

    return FRUITS, mo, sold


@app.cell
def _(mo):
    mo.md("# Sales notebook")
    return


@app.cell
def _(FRUITS, mo):
    fruit = mo.ui.dropdown(list(FRUITS), value="apple", label="Fruit")
    at_least = mo.ui.slider(0, 30, value=20, label="Pieces at least")
    mo.vstack([fruit, at_least])
    return at_least, fruit


@app.cell
def _(at_least, fruit, mo, sold):
    days = sold(fruit.value, at_least.value)
    mo.md(f"On **{len(days)} days** at least {at_least.value} of {fruit.value} were sold.")
    return (days,)


@app.cell
def _(days, mo):
    mo.ui.table([{"day": str(day), "pieces": pieces} for day, pieces in days])
    return


if __name__ == "__main__":
    app.run()
