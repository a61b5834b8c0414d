"""Attaches blocks to modules of a model, keeps them attached while the model is changed, and detaches them."""
