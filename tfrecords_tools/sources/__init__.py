"""Datasets as people have them: one file per format, each a function that lists clips.

A source reads names and tables, never pixels: listing WLASL's 21,095 clips takes seconds. What it cannot
list it returns as skipped, with the reason.
"""

from tfrecords_tools.sources.base import Listing, Source
from tfrecords_tools.sources.folders import ImageFolders, VideoFolders
from tfrecords_tools.sources.manifest import Manifest, Synthetic

SOURCES: dict[str, type[Source]] = {
    "video_folders": VideoFolders,
    "image_folders": ImageFolders,
    "manifest": Manifest,
    "synthetic": Synthetic,
}

__all__ = ["SOURCES", "Listing", "Source"]
