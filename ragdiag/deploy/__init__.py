"""What serves, whether it is sound, and how it is replaced."""
