"""Heads that write texts, and what they are made of: scores, layers, orders and search."""
