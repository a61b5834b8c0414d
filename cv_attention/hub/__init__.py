"""Shares trained networks: folders in the layout of the Hugging Face Hub, and their upload and download."""

from cv_attention.hub.folder import write_folder
from cv_attention.hub.loading import load
from cv_attention.hub.pushing import Pushed, push

__all__ = ["Pushed", "load", "push", "write_folder"]
