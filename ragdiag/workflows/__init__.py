"""What joins several rooms: build, evaluate, diagnose, compare."""
