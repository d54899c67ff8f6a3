"""A cross-encoder that reads question and passage together, and teaches with what it learnt."""
