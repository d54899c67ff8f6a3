"""ragdiag: why a RAG answer was wrong, proven by replay, and whether a new version may ship."""
