"""Intervals and tests; every estimate carries its n."""
