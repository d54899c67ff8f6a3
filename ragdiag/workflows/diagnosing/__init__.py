"""Why answers are bad, how sure that is, and what would mend them."""
