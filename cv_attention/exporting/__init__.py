"""Defines what exports of many images share: sources, batches, shards, their verification, and progress."""
