"""The saliency methods, by what they look at."""
