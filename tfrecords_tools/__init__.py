"""From videos to TFRecords: clips, frames, MediaPipe keypoints, shards.

This package never imports ``sign_keras`` nor Keras; ``docs/architecture.md`` draws the flow.
"""
