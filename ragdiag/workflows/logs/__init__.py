"""Requests on their way in, and out again for whoever wants to be forgotten."""
