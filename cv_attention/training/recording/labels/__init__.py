"""Records what a network decides where images have several classes, or numbers."""
