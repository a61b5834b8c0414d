"""Implements saliency maps that pass the score back by rules of its own: relevance propagation and DeepLIFT."""
