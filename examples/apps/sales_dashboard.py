"""Sales by fruit, as a Streamlit app"""

import streamlit as st
from sales_pipeline import FRUITS, sold

__require__ = {"dependency_groups": ["streamlit"]}


def page():
    st.title("Sales app")
    fruit = st.selectbox("Fruit", list(FRUITS))
    at_least = st.slider("Pieces at least", 0, 30, 20)
    days = sold(fruit, at_least)
    st.write(f"On {len(days)} days at least {at_least} of {fruit} were sold.")
    st.bar_chart({"pieces": [pieces for _, pieces in days]})


if __name__ == "__main__":  # not when the SDK looks which jobs there are
    page()
