"""Why a request failed: where the gold was lost, and what mends it."""
