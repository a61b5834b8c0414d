"""Ends training runs gracefully: signals, and the processes that a run starts."""
