"""The input layer of models that take keypoints, and the steps that it is made of."""

from sign_keras.models.features.layer import KeypointFeatures

__all__ = ["KeypointFeatures"]
