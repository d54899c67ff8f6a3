"""The dashboard: ``streamlit run app.py``. It only routes; every page is a file in ``pages/``."""

from ragdiag.ui import frame

frame.route()
