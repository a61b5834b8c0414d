"""Class activation maps: channels of a layer, weighted."""
