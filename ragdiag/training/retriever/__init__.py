"""A bi-encoder, for questions alone or for both sides."""
