"""From a run to files that other programs use, each numerically compared with the run before it is kept.

Input is raw: uint8 frames at the size that the clip specification says; normalisation is inside the graph, and so
the same everywhere. Light to import: TensorFlow is loaded when the work begins.
"""

from sign_keras.export.exporter import export_run

__all__ = ["export_run"]
