"""Which version serves, and how one replaces another."""
