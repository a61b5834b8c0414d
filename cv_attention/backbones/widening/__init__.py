"""Changes how wide and how deep a network is, where nothing else of it depends on that."""
