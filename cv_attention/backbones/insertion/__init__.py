"""Plans, inserts and removes blocks."""
