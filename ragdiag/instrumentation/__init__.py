"""Logging from a service: what a request did, spooled without the service waiting for it.

Nothing here imports duckdb, pyarrow, torch or streamlit, nor a framework that is not in use.
"""
