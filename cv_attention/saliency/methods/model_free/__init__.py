"""Maps that look at no model: baselines, and saliency before any training."""
