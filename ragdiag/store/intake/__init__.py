"""How records enter the lake: read in blocks, checked, screened, and each one stored once."""
