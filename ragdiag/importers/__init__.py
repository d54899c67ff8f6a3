"""Files from outside become records; what cannot be used becomes a reject."""
