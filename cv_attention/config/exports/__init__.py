"""Configures what the commands write about many images."""
