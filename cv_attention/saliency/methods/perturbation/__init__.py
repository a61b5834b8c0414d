"""Changed images, and what the model says of them."""
