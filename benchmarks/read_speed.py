"""Speed of reading records for training, against image folders in PyTorch and against decoding alone.

Clips a second, 16 frames each, of

- ``records``: the training pipeline (``Records.training_batches``) without augmentation and without a cache;
- ``PNG folders``: a PyTorch DataLoader over the same pictures as PNG files, one folder a clip, read with Pillow
  (as torchvision's image folders are) and with OpenCV, of which the faster one counts;
- ``decoding``: JPEG decoding alone, of frames that were chosen and read into memory beforehand; with OpenCV in a
  thread pool and with TensorFlow in ``tf.data``, of which the faster one counts;
- ``augmented``: ``records`` with the augmentation of a configuration.

All see the same frames and use as many threads or workers. Records and PNG files come out of the system's file
cache. The sides take turns, and the median of their turns counts. A setting ``96:96`` stores frames of 96
pixels and reads them at 96; where the second number is smaller, records and PNG folders shrink as they read;
decoding alone does not.

Example:
  python benchmarks/read_speed.py --input data/synthetic_words/videos --settings 96:96 256:224
"""

import argparse
import csv
import importlib.util
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import PIL.Image
import sample_data
from rows import Row, from_rates

from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.convert import convert_source
from tfrecords_tools.synthesize import synthesize

REPOSITORY = Path(__file__).resolve().parent.parent
NUM_FRAMES, BATCH_SIZE = 16, 16
WARM_UP_SHARE = 0.4  # of a turn's seconds, before it counts
RECORDS, AUGMENTED = "records", "augmented"
PNG_FOLDERS = {"pillow": "PNG folders, Pillow", "opencv": "PNG folders, OpenCV"}
DECODERS = ("decoding, OpenCV", "decoding, tf.data")
TORCH_HINT = "PyTorch is not installed, so PNG folders are left out: pip install -e '.[torch]'"

# Yields the number of clips of each batch, for ever.
Side = Callable[[], Iterator[int]]


@dataclass(frozen=True)
class Setting:
    """The same clips in every form.

    Attributes:
        records: folder of records.
        sampling: what a model takes from them.
        png_paths: of each clip, its chosen frames as files.
        jpegs: of each clip, its chosen frames as JPEG bytes.
    """

    records: Path
    sampling: SamplingSpec
    png_paths: list[list[str]]
    jpegs: list[list[bytes]]


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    has_torch = importlib.util.find_spec("torch") is not None
    if not has_torch:
        print(TORCH_HINT, file=sys.stderr)
    quiet_tensorflow()
    results = measure_settings(arguments, has_torch)
    print(json.dumps(results) if arguments.json else _table(results))


def quick(data: Path) -> list[Row]:
    """Few clips in short turns; against PNG folders where PyTorch is there."""
    options = ["--clips", "64", "--seconds", "2", "--repeats", "3"]
    arguments = _parse(["--input", str(sample_data.videos(data)), *options])
    quiet_tensorflow()
    results = measure_settings(arguments, importlib.util.find_spec("torch") is not None)
    (values,) = results["settings"].values()
    seconds = {name: [1e3 * one for one in from_rates(rates)] for name, rates in values["runs"].items()}

    def row(what: str, ours: str, reference: str, names: Sequence[str]) -> Row:
        fastest = max(names, key=lambda name: values["clips_per_second"][name])
        return Row(what, reference.format(fastest), seconds[ours], seconds[fastest], "ms a clip")

    what = f"reading records of 96 pixels, {arguments.threads} threads"
    rows = [
        row(what, RECORDS, "JPEG {}", DECODERS),
        row(f"{what}, with augmentation", AUGMENTED, "without", [RECORDS]),
    ]
    png_folders = [name for name in PNG_FOLDERS.values() if name in seconds]
    return [*rows, row(what, RECORDS, "PyTorch's DataLoader on {}", png_folders)] if png_folders else rows


def measure_settings(arguments: argparse.Namespace, has_torch: bool) -> dict[str, Any]:
    """Every setting's clips a second."""
    results: dict[str, Any] = {"threads": arguments.threads, "frames": NUM_FRAMES, "settings": {}}
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_manifest(find_videos(arguments.input, Path(folder)), arguments.clips, Path(folder))
        for name in arguments.settings:
            stored, size = (int(part) for part in name.split(":"))
            setting = prepare(manifest, stored, size, Path(folder) / f"{stored}_{size}", arguments.threads)
            sides = make_sides(setting, arguments, has_torch)
            results["settings"][name] = measure(sides, arguments.repeats, arguments.seconds)
    return results


# ------------------------------------------------------------------------------------------------ preparation


def find_videos(source: Path | None, work: Path) -> list[Path]:
    """The mp4 files to use; rendered ones where no folder is given."""
    if source is None:
        source = work / "rendered"
        synthesize(source, signers=4, clips_per_gloss=1)
    videos = sorted(source.rglob("*.mp4"))
    if not videos:
        sys.exit(f"error: {source}: holds no mp4 file")
    return videos


def write_manifest(videos: list[Path], count: int, work: Path) -> Path:
    """``count`` clips, all for training: the centred square of the videos in turn."""
    path = work / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "gloss", "split", "bbox"])
        for number in range(count):
            video = videos[number % len(videos)].resolve()
            link = work / "clips" / f"{number:05d}{video.suffix}"
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(video)
            writer.writerow([link, f"gloss{number % 10}", "train", _centred_square(video)])
    return path


def _centred_square(video: Path) -> str:
    with av.open(str(video)) as container:
        width, height = container.streams.video[0].width, container.streams.video[0].height
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    return f"{x} {y} {x + side} {y + side}"


def prepare(manifest: Path, stored: int, size: int, work: Path, workers: int) -> Setting:
    """Converts the clips, and writes the frames of the records as PNG files and into memory."""
    import tensorflow as tf

    from sign_keras.data.parsing import parse_record
    from sign_keras.data.sampling import sample_frames
    from tfrecords_tools.shards import find_shards, read_shard

    info = convert_source("manifest", manifest, work, {"clip": {"keypoints": None, "short_side": stored}}, workers)
    sampling = SamplingSpec(num_frames=NUM_FRAMES, height=size, width=size)
    png_paths: list[list[str]] = []
    jpegs: list[list[bytes]] = []
    for shard in find_shards(work, info, "train"):
        for record in read_shard(shard):
            parsed = parse_record(tf.constant(record), layout=None)
            clip_jpegs = parsed["jpegs"].numpy().tolist()
            chosen = sample_frames(parsed["timestamps"], sampling)[0].numpy().tolist()
            files = [_write_png(work / "png" / f"{len(jpegs):05d}" / f"{i:05d}.png", clip_jpegs[i]) for i in chosen]
            png_paths.append(files)
            jpegs.append([clip_jpegs[i] for i in chosen])
    return Setting(work, sampling, png_paths, jpegs)


def _write_png(path: Path, jpeg: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        cv2.imwrite(str(path), cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
    return str(path)


# ------------------------------------------------------------------------------------------------------ sides


def make_sides(setting: Setting, arguments: argparse.Namespace, has_torch: bool) -> dict[str, Side]:
    """Every side of the comparison, by name."""
    from sign_keras.config import AugmentConfig, load_config

    threads = arguments.threads
    augment = load_config(arguments.config).data.augment
    sides: dict[str, Side] = {RECORDS: lambda: read_records(setting, AugmentConfig(temporal_jitter=0))}
    if has_torch:
        sides[PNG_FOLDERS["pillow"]] = lambda: read_png_folders(setting, "pillow", threads)
        sides[PNG_FOLDERS["opencv"]] = lambda: read_png_folders(setting, "opencv", threads)
    sides[DECODERS[0]] = lambda: decode_with_opencv(setting, threads)
    sides[DECODERS[1]] = lambda: decode_with_tensorflow(setting, threads)
    sides[AUGMENTED] = lambda: read_records(setting, augment)
    return sides


def read_records(setting: Setting, augment: Any) -> Iterator[int]:
    """The training pipeline, as ``sign_keras.train`` runs it."""
    from sign_keras.config import DataConfig
    from sign_keras.data.dataset import Records

    records = Records.open(setting.records, setting.sampling, ("frames",))
    for inputs, _ in records.training_batches(DataConfig(augment=augment), BATCH_SIZE, seed=0):
        yield int(inputs["frames"].shape[0])


class PNGFolders:
    """A PyTorch dataset (these need no base class): a clip's chosen frames, uint8 ``[T, H, W, 3]``."""

    def __init__(self, png_paths: list[list[str]], size: int, reader: str) -> None:
        self._png_paths, self._size, self._reader = png_paths, size, reader

    def __len__(self) -> int:
        return len(self._png_paths)

    def __getitem__(self, index: int) -> np.ndarray:
        cv2.setNumThreads(1)  # the workers are the parallelism
        return np.stack([self._read(path) for path in self._png_paths[index]])

    def _read(self, path: str) -> np.ndarray:
        if self._reader == "pillow":
            with PIL.Image.open(path) as file:
                image = np.asarray(file.convert("RGB"))
        else:
            image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        if image.shape[:2] != (self._size, self._size):
            image = cv2.resize(image, (self._size, self._size), interpolation=cv2.INTER_LINEAR)
        return image


def read_png_folders(setting: Setting, reader: str, workers: int) -> Iterator[int]:
    """A DataLoader with its workers kept from epoch to epoch."""
    from torch.utils.data import DataLoader

    loader: DataLoader[np.ndarray] = DataLoader(
        PNGFolders(setting.png_paths, setting.sampling.height, reader),  # type: ignore[arg-type]
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",  # to fork a process with TensorFlow's threads is not safe
    )
    while True:
        for frames in loader:
            yield len(frames)


def decode_with_opencv(setting: Setting, threads: int) -> Iterator[int]:
    """A clip is one task of a pool of threads; OpenCV decodes outside of Python's lock."""
    cv2.setNumThreads(1)

    def decode(jpegs: list[np.ndarray]) -> int:
        return len([cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in jpegs])

    clips = [[np.frombuffer(jpeg, np.uint8) for jpeg in jpegs] for jpegs in setting.jpegs]
    batches = itertools.cycle([clips[start : start + BATCH_SIZE] for start in range(0, len(clips), BATCH_SIZE)])
    with ThreadPoolExecutor(threads) as pool:
        following = pool.map(decode, next(batches))
        while True:  # one batch ahead, so that no thread waits for the slowest clip of a batch
            current, following = following, pool.map(decode, next(batches))
            yield len(list(current))


def decode_with_tensorflow(setting: Setting, threads: int) -> Iterator[int]:
    """A clip is one element; only the size of its pictures leaves the function, so nothing is copied."""
    import tensorflow as tf

    def decode(jpegs: tf.Tensor) -> tf.Tensor:
        return tf.add_n([tf.size(tf.io.decode_jpeg(jpeg, channels=3)) for jpeg in tf.unstack(jpegs)])

    clips = tf.data.Dataset.from_tensor_slices(tf.constant(setting.jpegs)).repeat()
    for sizes in clips.map(decode, threads).batch(BATCH_SIZE).prefetch(1):
        yield int(sizes.shape[0])


# ------------------------------------------------------------------------------------------------ measurement


def measure(sides: dict[str, Side], repeats: int, seconds: float) -> dict[str, Any]:
    """Clips a second of each side, by turns."""
    runs: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            runs[name].append(clips_per_second(side(), seconds))
    medians = {name: statistics.median(rates) for name, rates in runs.items()}
    results: dict[str, Any] = {"clips_per_second": medians, "runs": runs}
    results["to_decoding"] = medians[RECORDS] / max(medians[name] for name in DECODERS)
    results["to_augmented"] = medians[RECORDS] / medians[AUGMENTED]
    png_folders = [medians[name] for name in PNG_FOLDERS.values() if name in medians]
    if png_folders:
        results["to_png_folders"] = medians[RECORDS] / max(png_folders)
    return results


def clips_per_second(batches: Iterator[int], seconds: float) -> float:
    """Rate once the side runs: after its first batch and a warm-up."""
    next(batches)
    deadline = time.perf_counter() + WARM_UP_SHARE * seconds
    while time.perf_counter() < deadline:
        next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() < start + seconds:
        count += next(batches)
    rate = count / (time.perf_counter() - start)
    batches.close()  # type: ignore[attr-defined]
    return rate


def _table(results: dict[str, Any]) -> str:
    lines = [f"clips/s, {results['frames']} frames each, {results['threads']} threads (each turn)"]
    for setting, values in results["settings"].items():
        stored, size = setting.split(":")
        lines.append(f"stored at {stored} pixels, read at {size}")
        for name, median in values["clips_per_second"].items():
            turns = ", ".join(f"{rate:.0f}" for rate in values["runs"][name])
            lines.append(f"  {name:<20}{median:>8.1f}  ({turns})")
        if "to_png_folders" in values:
            lines.append(f"  records are {values['to_png_folders']:.2f} x the faster PNG folders")
        lines.append(f"  records are {values['to_decoding']:.2f} x the faster decoding")
        lines.append(f"  records are {values['to_augmented']:.2f} x records with augmentation")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder of mp4 files (default: rendered)")
    parser.add_argument("--clips", type=int, default=384, metavar="N", help="clips to read (default: 384)")
    parser.add_argument(
        "--settings", nargs="+", default=["96:96"], metavar="STORED:READ", help="in pixels (default: 96:96)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, metavar="N", help="or workers")
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="of each turn (default: 5)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="turns (default: 3)")
    parser.add_argument(
        "--config",
        type=Path,
        default=REPOSITORY / "configs" / "cnn_lstm.yaml",
        metavar="FILE",
        help="whose augmentation to take (default: configs/cnn_lstm.yaml)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
