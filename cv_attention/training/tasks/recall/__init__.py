"""Defines the task of recalling what a sequence of images showed."""
