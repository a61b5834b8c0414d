"""What a network says and looks at in one epoch: predictions, maps of blocks and methods, and statistics of gates."""
