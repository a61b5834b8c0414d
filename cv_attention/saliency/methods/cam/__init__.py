"""Implements class activation maps: weighted channels of a layer."""
