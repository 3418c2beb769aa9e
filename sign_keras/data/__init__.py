"""Shards to batches: sampling of frames, augmentation, caching."""
