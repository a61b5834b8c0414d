"""Reads data sets: folders, tar shards, CIFAR and generated digits, from files or from memory."""
