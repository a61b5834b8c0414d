"""Loads published weights of networks with attention into plain networks with our blocks."""
