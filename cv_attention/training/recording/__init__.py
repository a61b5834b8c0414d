"""Records what a run shows: maps of probe images, predictions, confusion, logs."""
