"""Whole data sets: which files there are, who is in which split, and rendering them on many processes.

The layout of the output is documented in ``tfrecords_tools.synthesize``, the command around this module.
"""

import csv
import json
import os
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from tfrecords_tools.command_line import UserError
from tfrecords_tools.processes import start_pool
from tfrecords_tools.synthetic.anatomy import JOINT_NAMES
from tfrecords_tools.synthetic.close_up import render_close_up
from tfrecords_tools.synthetic.hand_shapes import LETTERS
from tfrecords_tools.synthetic.scene import FRAME_RATES, render_clip
from tfrecords_tools.synthetic.signers import Signer, make_signer
from tfrecords_tools.synthetic.signs import LEXICON
from tfrecords_tools.video import write_video

SYNTHESIS_VERSION = 2
"""Raised when the same arguments give other clips than before."""
SPLIT_SHARES = {"train": 0.60, "validation": 0.15, "test": 0.25}
SENTENCE_GLOSSES = (3, 7)  # fewest and most glosses of a sentence
# First word of each file's seed: what kind of file it is.
_CLIP, _SENTENCE, _LETTER = 1, 2, 3


@dataclass(frozen=True)
class SynthesisPlan:
    """The arguments that decide what is rendered.

    Attributes:
        glosses: to render, in the order of the lexicon or as asked for.
        signers: how many.
        first_signer: index of the first; (seed, index) is a person.
        clips_per_gloss: of each gloss by each signer.
        sentences: by each signer.
        letters: close-ups of each letter by each signer.
        size: frame height, pixels.
        seed: of everything.
        version: `SYNTHESIS_VERSION`.
    """

    glosses: tuple[str, ...]
    signers: int
    first_signer: int
    clips_per_gloss: int
    sentences: int
    letters: int
    size: int
    seed: int
    version: int = SYNTHESIS_VERSION


@dataclass(frozen=True)
class _Job:
    """One file to render: what kind, what it shows, by whom, which take, its path without suffix."""

    kind: int
    content: tuple[str, ...]
    signer_index: int
    take: int
    stem: str


# ---------------------------------------------------------------------------------------------------- splits


def split_signers(signers: Sequence[Signer]) -> dict[str, str]:
    """Assigns each signer to a split: about 60 % train, 15 % validation, 25 % test.

    From three signers on, every split has one; left-handed signers are spread over the splits, starting
    with train.

    Returns:
        Signer name -> split.
    """
    count = len(signers)
    validation = max(int(SPLIT_SHARES["validation"] * count), int(count >= 3))
    test = max(round(SPLIT_SHARES["test"] * count), int(count >= 2))
    sizes = {"train": count - validation - test, "validation": validation, "test": test}
    order = np.random.default_rng([signers[0].seed, 0x5B] if signers else 0).permutation(count)
    queue = sorted((signers[i] for i in order), key=lambda signer: not signer.left_handed)
    assigned = dict.fromkeys(sizes, 0)
    splits = {}
    for position, signer in enumerate(queue, start=1):
        # The split that lags farthest behind its share takes the next signer.
        split = max(sizes, key=lambda name: sizes[name] * position / count - assigned[name])
        assigned[split] += 1
        splits[signer.name] = split
    return splits


# ----------------------------------------------------------------------------------------------------- files


def _jobs(plan: SynthesisPlan) -> list[_Job]:
    jobs = []
    for index in range(plan.first_signer, plan.first_signer + plan.signers):
        name = make_signer(plan.seed, index).name
        for gloss in plan.glosses:
            for take in range(plan.clips_per_gloss):
                jobs.append(_Job(_CLIP, (gloss,), index, take, f"clips/{gloss}/{name}_{take:02d}"))
        for take in range(plan.sentences):
            jobs.append(_Job(_SENTENCE, _sentence(plan, index, take), index, take, f"sentences/{name}_{take:02d}"))
        for letter in LETTERS:
            for take in range(plan.letters):
                jobs.append(_Job(_LETTER, (letter,), index, take, f"letters/{letter}/{name}_{take:02d}"))
    return jobs


def _sentence(plan: SynthesisPlan, signer_index: int, take: int) -> tuple[str, ...]:
    """Random glosses, none twice in a row."""
    rng = np.random.default_rng([plan.seed, _SENTENCE, signer_index, take, 0])
    sentence: list[str] = []
    for _ in range(int(rng.integers(SENTENCE_GLOSSES[0], SENTENCE_GLOSSES[1] + 1))):
        choices = [gloss for gloss in plan.glosses if not sentence or gloss != sentence[-1]]
        sentence.append(choices[int(rng.integers(len(choices)))])
    return tuple(sentence)


def _job_rng(plan: SynthesisPlan, job: _Job) -> np.random.Generator:
    content = {
        _CLIP: lambda: list(LEXICON).index(job.content[0]),
        _SENTENCE: lambda: 1,  # 0 chose the sentence's glosses
        _LETTER: lambda: ord(job.content[0]),
    }[job.kind]()
    return np.random.default_rng([plan.seed, job.kind, job.signer_index, job.take, content])


def _save_npz(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.npz")
    try:
        np.savez_compressed(partial, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _render(output: Path, plan: SynthesisPlan, job: _Job) -> dict[str, str]:
    """Renders one file with its truth, unless both are there. Returns its manifest row, less the split."""
    cv2.setNumThreads(1)  # the workers fill the cores already
    signer, rng = make_signer(plan.seed, job.signer_index), _job_rng(plan, job)
    suffix = ".png" if job.kind == _LETTER else ".mp4"
    media, truth = output / (job.stem + suffix), output / "joints" / (job.stem + ".npz")
    row = {
        "path": job.stem + suffix,
        "glosses" if job.kind == _SENTENCE else "gloss": " ".join(job.content),
        "signer": signer.name,
        "handedness": "left" if signer.left_handed else "right",
        "take": str(job.take),
    }
    if job.kind == _LETTER:
        if not (media.exists() and truth.exists()):
            _render_letter(media, truth, signer, job, rng, plan.size)
        return row
    # The rate is drawn here, so that the row is complete for a clip that need not be rendered again.
    frame_rate = float(rng.integers(FRAME_RATES[0], FRAME_RATES[1] + 1))
    if not (media.exists() and truth.exists()):
        clip = render_clip(signer, job.content, rng, plan.size, frame_rate)
        media.parent.mkdir(parents=True, exist_ok=True)
        _save_npz(
            truth,
            names=np.array(JOINT_NAMES),
            joints=clip.joints,
            hand_in_view=clip.hand_in_view,
            hand_unit=clip.hand_unit,
            gloss_index=clip.gloss_index,
            phase=clip.phase,
        )
        write_video(media, clip.frames, frame_rate)
    row["frame_rate"] = f"{frame_rate:g}"
    if job.kind == _SENTENCE:
        with np.load(truth) as known:
            row["gloss_seconds"] = gloss_seconds(known["gloss_index"], frame_rate)
    return row


def gloss_seconds(gloss_index: np.ndarray, frame_rate: float) -> str:
    """From when to when each gloss of a sentence is signed, as a manifest says it: ``0.43-1.12 1.31-2.03``.

    Args:
        gloss_index: ``[T]`` place in the sentence of what each frame shows, -1 outside signs.
        frame_rate: frames per second.
    """
    spans = []
    for place in range(gloss_index.max() + 1):
        frames = np.flatnonzero(gloss_index == place)
        # Between two frames, so that no rounding of times moves one of them across.
        start, end = max(frames[0] - 0.5, 0), frames[-1] + 0.5
        spans.append(f"{start / frame_rate:.3f}-{end / frame_rate:.3f}")
    return " ".join(spans)


def _render_letter(
    media: Path, truth: Path, signer: Signer, job: _Job, rng: np.random.Generator, size: int
) -> None:
    image, joints = render_close_up(signer, job.content[0], rng, size)
    side = "left" if signer.left_handed else "right"
    names = [name for name in JOINT_NAMES if name.startswith(f"{side}_hand/")]
    _save_npz(truth, names=np.array(names), joints=joints[None])
    media.parent.mkdir(parents=True, exist_ok=True)
    partial = media.with_name(f".{media.stem}.{os.getpid()}.partial.png")
    cv2.imwrite(str(partial), image[..., ::-1])
    partial.replace(media)


def _write_manifest(path: Path, rows: list[dict[str, str]]) -> None:
    present = {key for row in rows for key in row}
    order = ("path", "gloss", "glosses", "signer", "split", "handedness", "take", "frame_rate", "gloss_seconds")
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [key for key in order if key in present], restval="")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


# ------------------------------------------------------------------------------------------------- synthesis


def _check(plan: SynthesisPlan, output: Path) -> None:
    unknown = [gloss for gloss in plan.glosses if gloss not in LEXICON]
    if unknown:
        raise UserError(f"--glosses: no gloss {unknown[0]!r} in the lexicon; it has {', '.join(LEXICON)}")
    if len(set(plan.glosses)) < len(plan.glosses):
        raise UserError("--glosses: a gloss is named twice; name each once")
    if plan.signers < 1:
        raise UserError(f"--signers: is {plan.signers}, must be at least 1")
    for name in ("first_signer", "clips_per_gloss", "sentences", "letters", "seed"):
        if getattr(plan, name) < 0:
            raise UserError(f"--{name.replace('_', '-')}: is {getattr(plan, name)}, must not be negative")
    if not plan.glosses and (plan.clips_per_gloss or plan.sentences):
        raise UserError("--glosses: none given; name at least one")
    if plan.sentences and len(plan.glosses) < 2:
        raise UserError("--sentences: needs at least 2 glosses")
    if not (plan.clips_per_gloss or plan.sentences or plan.letters):
        raise UserError("--clips-per-gloss, --sentences and --letters are all 0: nothing to render")
    if not 64 <= plan.size <= 1080:
        raise UserError(f"--size: is {plan.size}, must be between 64 and 1080 pixels")
    if output.exists() and not output.is_dir():
        raise UserError(f"--output: {output} is a file, must be a directory")


def _claim(output: Path, plan: SynthesisPlan) -> None:
    """Writes the arguments into the output, or checks that those there are the same."""
    record = output / "synthesis.json"
    wanted = json.loads(json.dumps(asdict(plan)))
    try:
        if not record.exists():
            if output.exists() and any(output.iterdir()):
                raise UserError(f"{output} is not empty and was not made by synthesize; choose another --output")
            output.mkdir(parents=True, exist_ok=True)
            partial = output / ".synthesis.json.partial"
            partial.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
            partial.replace(record)
            return
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{record}: cannot be used: {error}; choose another --output") from error
    keys = [key for key in wanted if not isinstance(found, dict) or found.get(key) != wanted[key]]
    if keys:
        raise UserError(
            f"{output} was made with other arguments ({', '.join(keys)}); give the same, or another --output"
        )


def _render_all(
    output: Path, plan: SynthesisPlan, jobs: list[_Job], workers: int, progress: bool
) -> list[dict[str, str]]:
    """Rows in the order of the jobs."""
    bar = tqdm(total=len(jobs), desc="rendering", unit="clip", disable=None if progress else True)
    rows: dict[int, dict[str, str]] = {}
    with bar:
        if workers == 1:
            for number, job in enumerate(jobs):
                rows[number] = _render(output, plan, job)
                bar.update()
        else:
            with start_pool(workers) as pool:
                futures = {pool.submit(_render, output, plan, job): number for number, job in enumerate(jobs)}
                try:
                    for future in as_completed(futures):
                        rows[futures[future]] = future.result()
                        bar.update()
                except BaseException:
                    pool.shutdown(kill_workers=True)
                    raise
    return [rows[number] for number in range(len(jobs))]


def synthesize(
    output: str | Path,
    *,
    signers: int = 8,
    clips_per_gloss: int = 2,
    seed: int = 0,
    sentences: int = 0,
    glosses: Sequence[str] | None = None,
    letters: int = 0,
    size: int = 256,
    workers: int | None = None,
    first_signer: int = 0,
    progress: bool = True,
) -> Path:
    """Renders a data set, or completes one that was interrupted.

    Args:
        output: directory; new, empty, or holding a data set made with the same arguments.
        signers: number of signers.
        clips_per_gloss: clips of each gloss by each signer.
        seed: same seed, same files.
        sentences: clips of several glosses by each signer.
        glosses: what is signed; None for the whole lexicon.
        letters: close-ups of each letter by each signer.
        size: frame height, pixels; the width varies a little from clip to clip.
        workers: processes; None for one per core. Does not change the result.
        first_signer: index of the first signer; indices name the same people whatever else is rendered.
        progress: whether to show a progress bar on a terminal.

    Returns:
        Path of the manifest: of the clips, or of the close-ups when there are no clips.

    Raises:
        UserError: an argument is out of range, or the output holds something else.
    """
    output = Path(output)
    plan = SynthesisPlan(
        glosses=tuple(LEXICON if glosses is None else glosses),
        signers=signers,
        first_signer=first_signer,
        clips_per_gloss=clips_per_gloss,
        sentences=sentences,
        letters=letters,
        size=size,
        seed=seed,
    )
    _check(plan, output)
    if workers is not None and workers < 1:
        raise UserError(f"--workers: is {workers}, must be at least 1")
    _claim(output, plan)
    jobs = _jobs(plan)
    rows = _render_all(output, plan, jobs, min(workers or os.cpu_count() or 1, len(jobs)), progress)
    splits = split_signers([make_signer(seed, first_signer + index) for index in range(signers)])
    for row in rows:
        row["split"] = splits[row["signer"]]
    manifests = []
    for name, is_letter in (("manifest.csv", False), ("letters.csv", True)):
        chosen = [row for row, job in zip(rows, jobs, strict=True) if (job.kind == _LETTER) == is_letter]
        if chosen:
            _write_manifest(output / name, chosen)
            manifests.append(output / name)
    return manifests[0]
