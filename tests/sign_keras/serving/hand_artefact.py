"""A model that tests understand, and landmarks that it understands: where the right hand goes is the sign."""

from collections.abc import Iterator, Mapping

import numpy as np

from sign_keras.inference.artefact import Artefact
from sign_keras.inference.info import FORMAT_VERSION, OUTPUT, ArtefactInfo
from tfrecords_tools.clips import ClipSpec, SamplingSpec
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

GLOSSES = ("up", "aside", "down")
DIRECTIONS = {"up": (0.0, -0.4), "aside": (-0.25, 0.0), "down": (0.0, 0.3)}
WRIST = MEDIAPIPE_HOLISTIC.row("right_hand/wrist")
RATE = 10.0


class HandArtefact(Artefact):
    """Compares how far the wrist goes with the directions of the glosses; of frames, where the bright spot goes."""

    def __init__(self, input_name: str = "keypoints") -> None:
        sampling = SamplingSpec(num_frames=8, height=32, width=32)
        of_frames = input_name == "frames"
        spec = ClipSpec(
            sampling=sampling,
            short_side=32,
            frames=of_frames,
            keypoints=None if of_frames else MEDIAPIPE_HOLISTIC.name,
        )
        super().__init__(
            ArtefactInfo(
                format_version=FORMAT_VERSION,
                name="hands",
                glosses=GLOSSES,
                clip_spec=spec,
                input_names=(input_name,),
                thresholds={"sign": 0.4},
                trained_on="nothing",
                records_source="none",
                model_card="",
                sign_keras_version="0",
            )
        )

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if "frames" in self.input_names:
            places = [self._bright_spots(clip) for clip in inputs["frames"]]
        else:
            places = [np.nan_to_num(clip[:, WRIST, :2]) for clip in inputs["keypoints"]]
        ways = np.stack([place[np.abs(place - place[0]).sum(1).argmax()] - place[0] for place in places])
        return {OUTPUT: (40 * ways @ np.array([DIRECTIONS[gloss] for gloss in GLOSSES]).T).astype(np.float32)}

    @staticmethod
    def _bright_spots(frames: np.ndarray) -> np.ndarray:
        bright = frames.astype(float).min(axis=-1) ** 4
        rows, columns = np.indices(bright.shape[1:])
        total = bright.sum(axis=(1, 2))
        return np.stack([(bright * axis).sum(axis=(1, 2)) / total / 32 for axis in (columns, rows)], axis=1)

    @property
    def state_size(self) -> int:
        return 0

    def _step(self, inputs: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        raise NotImplementedError


def signing(*glosses: str, rate: float = RATE, seed: int = 0) -> Iterator[tuple[float, np.ndarray]]:
    """``(seconds, landmarks [543, 3])``: the right hand goes there and back in a second, and rests for one."""
    rng = np.random.default_rng(seed)
    person = rng.uniform(0.45, 0.55, (len(MEDIAPIPE_HOLISTIC.names), 3))
    person[MEDIAPIPE_HOLISTIC.row("pose/left_shoulder"), :2] = 0.6, 0.5
    person[MEDIAPIPE_HOLISTIC.row("pose/right_shoulder"), :2] = 0.4, 0.5
    person[MEDIAPIPE_HOLISTIC.group_slices["left_hand"]] = np.nan
    rest = np.zeros((round(rate), 2))
    there = np.sin(np.linspace(0, np.pi, round(rate)))[:, None]
    way = np.concatenate([rest, *(part for gloss in glosses for part in (there * DIRECTIONS[gloss], rest))])
    for index, place in enumerate(way):
        landmarks = person.copy()
        landmarks[MEDIAPIPE_HOLISTIC.group_slices["right_hand"], :2] = np.array([0.45, 0.75]) + place
        landmarks[MEDIAPIPE_HOLISTIC.group_slices["right_hand"], :2] += rng.normal(0, 1e-4, (21, 2))
        yield index / rate, landmarks.astype(np.float32)
