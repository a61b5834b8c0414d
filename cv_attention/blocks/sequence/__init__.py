"""Attention to a feature map that is read as a sequence: strip by strip, with a memory of earlier strips."""
