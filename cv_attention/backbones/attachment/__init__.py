"""Hangs blocks on modules of a model, keeps them there through what people do to it next, and detaches them."""
