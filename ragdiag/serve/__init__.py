"""The HTTP service that answers questions with what has been published and deployed."""
