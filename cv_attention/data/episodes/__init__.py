"""Draws episodes: sequences of images to be remembered, of classes that training has not shown, or in their order."""

from cv_attention.data.episodes.classes import Classes
from cv_attention.data.episodes.drawing import Episode
from cv_attention.data.episodes.episode_data import EpisodeData
from cv_attention.data.episodes.episode_set import EpisodeSet

__all__ = ["Classes", "Episode", "EpisodeData", "EpisodeSet"]
