"""Rendered training frames and what they show, for pre-training: random hands of people whom no data set has."""

from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from tfrecords_tools.processes import start_pool
from tfrecords_tools.synthetic import training_frame

CHUNK_FRAMES = 128
VIEWS = ("hands", "hands", "body")


def render_training_frames(num_frames: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Renders labelled frames on all cores.

    Args:
        num_frames: how many, ``N``.
        size: height and width in pixels.
        seed: of everything.

    Returns:
        ``frames`` ``[N, size, size, 3]`` uint8 and what they show, hands in the order left, right: ``joints``
        ``[N, 42, 2]`` float32 in frame widths and heights, ``directions`` ``[N, 12]`` float32 unit vectors of palms
        and fingers, ``in_view`` ``[N, 2]`` float32, ``shapes`` ``[N, 2]`` int64.
    """
    chunks = -(-num_frames // CHUNK_FRAMES)
    with start_pool() as pool:
        futures = [pool.submit(_render_chunk, seed, chunk, size) for chunk in range(chunks)]
        parts = [future.result() for future in tqdm(futures, desc="rendering", unit="chunk", disable=None)]
    return {name: np.concatenate([part[name] for part in parts])[:num_frames] for name in parts[0]}


def _render_chunk(seed: int, chunk: int, size: int) -> dict[str, np.ndarray]:
    cv2.setNumThreads(1)  # the processes fill the cores already
    rng = np.random.default_rng([seed, chunk])
    rows: dict[str, list[Any]] = {name: [] for name in ("frames", "joints", "directions", "in_view", "shapes")}
    for index in range(CHUNK_FRAMES):
        frame, labels = training_frame(rng, size, VIEWS[index % len(VIEWS)])
        rows["frames"].append(frame)
        rows["joints"].append(labels.hands.reshape(-1, 2))
        rows["directions"].append(np.concatenate([labels.palm_normals, labels.finger_directions]).ravel())
        rows["in_view"].append(labels.hand_in_view.astype(np.float32))
        rows["shapes"].append(labels.shapes)
    return {name: np.stack(values) for name, values in rows.items()}
