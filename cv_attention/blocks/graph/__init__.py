"""Graph attention: over a position's neighbours on the grid, and over the edges of any graph."""
