"""Versions side by side, and whether one may follow the other."""
