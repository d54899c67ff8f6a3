"""Models that answer: a span reader and a causal language model."""
