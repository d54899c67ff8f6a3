"""Nearest neighbours by inner product over unit vectors: index kinds, the ladder, reduction."""
