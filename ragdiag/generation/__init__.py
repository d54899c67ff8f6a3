"""Question and context in, answer out."""
