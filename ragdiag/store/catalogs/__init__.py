"""Where a lake keeps its catalog and its data: files here, or a PostgreSQL server and a bucket."""
