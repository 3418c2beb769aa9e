"""Datasets as people have them: one file per format, each a function that lists clips.

A source reads names and tables, never pixels: listing WLASL's 21,095 clips takes seconds. What it cannot
list it returns as skipped, with the reason.
"""

from tfrecords_tools.sources.base import Listing, Source
from tfrecords_tools.sources.folders import ImageFolders, VideoFolders
from tfrecords_tools.sources.frame_folders import FrameFolders
from tfrecords_tools.sources.gislr import GISLR
from tfrecords_tools.sources.gloss_csv import GlossCSV
from tfrecords_tools.sources.keypoint_arrays import KeypointArrays
from tfrecords_tools.sources.manifest import Manifest, Synthetic
from tfrecords_tools.sources.mp_data import MPData
from tfrecords_tools.sources.phoenix import Phoenix
from tfrecords_tools.sources.pose_files import PoseFiles
from tfrecords_tools.sources.wlasl import WLASL

SOURCES: dict[str, type[Source]] = {
    "video_folders": VideoFolders,
    "image_folders": ImageFolders,
    "frame_folders": FrameFolders,
    "manifest": Manifest,
    "synthetic": Synthetic,
    "wlasl": WLASL,
    "gloss_csv": GlossCSV,
    "phoenix": Phoenix,
    "mp_data": MPData,
    "keypoint_arrays": KeypointArrays,
    "gislr": GISLR,
    "pose_files": PoseFiles,
}

__all__ = ["SOURCES", "Listing", "Source"]
