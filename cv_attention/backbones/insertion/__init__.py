"""Plans insertions of blocks, makes the blocks, and inserts and removes them."""
