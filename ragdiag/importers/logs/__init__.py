"""Logs of other services, in the formats that services already write, become requests."""
