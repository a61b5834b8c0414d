"""Configures exports of many images: maps, texts and names."""
