"""Records what networks make of several things at once: texts, episodes and bags."""
