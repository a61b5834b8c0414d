"""Loads bags: folders of images, such as the patches of a slide, with one label for each folder."""

from cv_attention.data.bags.bag_data import BagData
from cv_attention.data.bags.bag_set import Bags, BagSet

__all__ = ["BagData", "BagSet", "Bags"]
