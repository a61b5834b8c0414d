"""The model's own attention as a saliency map."""
