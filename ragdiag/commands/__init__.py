"""What the commands do, by subject; ragdiag/cli.py says which command is which function."""
