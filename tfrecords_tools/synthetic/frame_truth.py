"""What is known of every frame of a rendered clip, read from the file beside its video."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

JOINTS_FOLDER = "joints"
HANDS = ("left_hand", "right_hand")


@dataclass(frozen=True)
class FrameTruth:
    """Of each of a clip's T frames.

    Attributes:
        gloss_index: ``[T]`` int64 place in the clip's sentence, -1 outside signs.
        hands: ``[T, 2, P, 2]`` float32, the joints of the left and right hand, in frame widths and heights.
        hand_unit: ``[T, 2]`` float32, length from wrist to middle knuckle, in frame widths.
    """

    gloss_index: np.ndarray
    hands: np.ndarray
    hand_unit: np.ndarray

    def __len__(self) -> int:
        return len(self.gloss_index)

    def speeds(self, frames: np.ndarray, frame_rate: float) -> np.ndarray:
        """How fast the faster hand moves from each of some frames to the next.

        Args:
            frames: ``[N]`` places of frames, in order.
            frame_rate: at which they follow each other.

        Returns:
            ``[N - 1]`` hand units a second: the mean over the hand's joints of how far each moved.
        """
        moved = np.linalg.norm(np.diff(self.hands[frames], axis=0), axis=-1).mean(axis=-1)
        return np.asarray((moved / self.hand_unit[frames[1:]]).max(axis=1) * frame_rate)


def read_frame_truth(video: Path) -> FrameTruth | None:
    """The truth of a clip that ``tfrecords_tools.synthesize`` rendered; None of any other, or where it is gone.

    Args:
        video: its path; the truth of ``DIR/sentences/a.mp4`` is ``DIR/joints/sentences/a.npz``.
    """
    for folder in list(video.parents)[:4]:
        path = folder / JOINTS_FOLDER / video.relative_to(folder).with_suffix(".npz")
        if path.is_file():
            break
    else:
        return None
    with np.load(path) as file:
        names = file["names"].tolist()
        if "gloss_index" not in file:
            return None
        places = [[place for place, name in enumerate(names) if name.startswith(f"{hand}/")] for hand in HANDS]
        return FrameTruth(file["gloss_index"], file["joints"][:, np.array(places)], file["hand_unit"])
