"""What every saliency method is made of: targets, layers, activations and gradients, and how layers become one map."""
