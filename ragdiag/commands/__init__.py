"""Groups of commands, one file each; ragdiag/cli.py mounts them."""
