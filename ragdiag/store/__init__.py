"""The query log: a spool that services append to, and a DuckLake that everyone reads."""
