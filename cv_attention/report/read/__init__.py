"""Reads run directories and saliency exports, complete or not, into what the page shows."""
