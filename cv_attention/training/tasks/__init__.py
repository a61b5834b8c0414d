"""Defines what is trained: the network with its loss and metrics."""
