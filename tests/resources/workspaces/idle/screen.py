import streamlit

streamlit.write("nothing to see")
