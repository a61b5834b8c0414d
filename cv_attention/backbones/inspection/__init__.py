"""Shows and measures models, with and without blocks."""
