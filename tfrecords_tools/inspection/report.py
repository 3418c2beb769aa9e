"""The quality report: one page about a folder of records that opens anywhere, with every clip behind its numbers.

Its size is bounded: pictures are at most ``MOST_GLOSSES`` + ``MOST_SIGNERS`` + 4 x ``MOST_WORST`` strips of
some 20 kB; of the clips, about 100 bytes each, ``MOST_LISTED`` are listed, those that stand out first; tables and
lists end after ``MOST_NAMED`` names and say how many more there are.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from tfrecords_tools.clips import SPLITS
from tfrecords_tools.dataset_info import COVERAGE_NAME, SKIPPED_NAME, DatasetInfo
from tfrecords_tools.inspection import measures
from tfrecords_tools.inspection.audit import Audit
from tfrecords_tools.inspection.distributions import OTHER, Histogram, histogram, kinds, link
from tfrecords_tools.inspection.measures import ClipMeasures, blur_limit, flags, hand_columns
from tfrecords_tools.inspection.sheets import WORST, SheetPicker, Strip
from tfrecords_tools.inspection.verify import Inspection
from tfrecords_tools.journal import write_atomically

TEMPLATE_NAME = "report.html.j2"
MOST_LISTED = 25_000
MOST_NAMED = 2_000
MOST_LINES = 200
MOST_PATHS_A_REASON = 20
# The largest gloss has this many times the clips of the smallest: then a model may learn to bet on the large ones.
IMBALANCE = 3.0
FLAG_MEANINGS = {
    "no hands": "without a hand in any frame",
    "few hands": f"with a hand in less than {100 * measures.FEW_HANDS:g}\N{NO-BREAK SPACE}% of the frames",
    "drop-out": f"with both hands lost for {measures.LONG_GAP_SECONDS:g} s or longer in mid-movement",
    "blurry": "far less sharp than the others",
    "dark": f"darker than {100 * measures.DARK:g}\N{NO-BREAK SPACE}% of white",
}
SHEET_TITLES = {
    "hands": ("Fewest hands", "Are the hands out of view, or were they not found?"),
    "drop-outs": ("Longest drop-outs", "Hands were there, got lost, and came back."),
    "blur": ("Least sharp", "Fine edges in the picture; motion blur is part of signing, a soft lens is not."),
    "darkness": ("Darkest", "Mean grey."),
}


@dataclass(frozen=True)
class Remark:
    """Something that stands out.

    Attributes:
        number: how many, as text.
        text: of what.
        link: to what is behind it.
        is_bad: whether it should be mended before training.
    """

    number: str
    text: str
    link: str
    is_bad: bool = False


@dataclass(frozen=True)
class Row:
    """A gloss or a signer.

    Attributes:
        name: its name.
        clips: how many it has.
        splits: of them in each split.
        seconds: mean length.
        hand_share: of its frames; NaN where not known.
        hands: the same for each hand group of the layout.
        drop_outs: its clips with a long drop-out.
        share: clips, as a share of the row with most.
    """

    name: str
    clips: int
    splits: dict[str, int]
    seconds: float
    hand_share: float
    hands: tuple[float, ...]
    drop_outs: int
    share: float


def write_report(
    path: Path,
    directory: Path,
    info: DatasetInfo,
    inspection: Inspection,
    clips: Sequence[ClipMeasures],
    picker: SheetPicker,
    audit: Audit | None,
) -> None:
    """Writes the page.

    Args:
        path: of the page.
        directory: the records' folder.
        info: its description.
        inspection: of the folder.
        clips: measured during the inspection.
        picker: which chose its pictures during the inspection.
        audit: None where none was asked for.

    Raises:
        UserError: the page cannot be written.
    """
    layout = info.layout
    columns = hand_columns(layout)
    hand_groups = [layout.groups[column][0] for column in columns] if layout else []
    limit = blur_limit(clips)
    flagged = [flags(clip, limit) for clip in clips]
    skipped = _skipped(directory)
    glosses = _rows(clips, flagged, [clip.glosses for clip in clips], columns)
    signers = _rows(clips, flagged, [(clip.signer,) if clip.signer else () for clip in clips], columns)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # glosses, signers, media ids and paths are other people's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "thousands": lambda number: f"{number:,}"}
    environment.globals |= {"link": link}
    page = environment.get_template(TEMPLATE_NAME).render(
        name=info.name,
        directory=str(directory),
        info=info,
        num_clips=len(clips),
        seconds=sum(clip.seconds for clip in clips),
        frames=sum(clip.frames for clip in clips),
        splits={split: sum(clip.split == split for clip in clips) for split in SPLITS},
        remarks=_remarks(clips, flagged, inspection, skipped, glosses, audit),
        problems=inspection.problems[:MOST_LINES],
        num_problems=len(inspection.problems),
        findings=audit.findings[:MOST_LINES] if audit else None,
        num_findings=len(audit.findings) if audit else 0,
        histograms=_histograms(clips),
        sizes=kinds("size", [clip.size for clip in clips]),
        rates=kinds("rate", [f"{clip.frame_rate:g}" for clip in clips]),
        origins=_origins(info),
        glosses=glosses[:MOST_NAMED],
        num_glosses=len(glosses),
        signers=signers[:MOST_NAMED],
        num_signers=len(signers),
        hand_groups=hand_groups,
        sheets=[(title, *SHEET_TITLES[title], picker.worst(title)) for title in WORST if picker.worst(title)],
        gloss_strips=_strips(picker.glosses),
        signer_strips=_strips(picker.signers),
        skipped=skipped[:MOST_LINES],
        num_reasons=len(skipped),
        num_skipped=sum(count for _, count, _ in skipped),
        coverage=_coverage(directory),
        table=_table(clips, flagged),
        most_listed=MOST_LISTED,
        blur_limit=limit,
        dark_limit=measures.DARK,
        split_names=SPLITS,
    )
    write_atomically(path, page)


def _remarks(
    clips: Sequence[ClipMeasures],
    flagged: Sequence[Sequence[str]],
    inspection: Inspection,
    skipped: Sequence[tuple[str, int, list[str]]],
    glosses: Sequence[Row],
    audit: Audit | None,
) -> list[Remark]:
    """What stands out, the worst first."""
    remarks = []
    if inspection.problems:
        remarks.append(
            Remark(f"{len(inspection.problems):,}", "faults in the records themselves", "#problems", True)
        )
    if audit:
        fatal = sum(finding.is_fatal for finding in audit.findings)
        if fatal:
            remarks.append(_counted(fatal, "finding", "of leakage or untrained glosses", "#audit", True))
    counts = Counter(flag for found in flagged for flag in found)
    for flag, meaning in FLAG_MEANINGS.items():
        if counts[flag]:
            remarks.append(_counted(counts[flag], "clip", meaning, link(flag=flag), flag == "no hands"))
    if num_skipped := sum(count for _, count, _ in skipped):
        remarks.append(_counted(num_skipped, "input", "skipped", "#skipped"))
    trained = [row for row in glosses if row.splits["train"]]
    if trained:
        most, least = max(row.splits["train"] for row in trained), min(row.splits["train"] for row in trained)
        if most >= IMBALANCE * least:
            text = (
                f"times as many clips of the largest gloss as of the smallest to train on ({most:,} and {least:,})"
            )
            remarks.append(Remark(f"{most / least:.3g}", text, "#glosses"))
    for split in SPLITS:
        lacking = sum(not row.splits[split] for row in glosses)
        if 0 < lacking < len(glosses):
            remarks.append(_counted(lacking, "gloss", f"without a clip in {split}", "#glosses", split == "train"))
        elif lacking:
            remarks.append(Remark("0", f"clips in the split {split}", "#glosses"))
    if unknown := sum(not clip.signer for clip in clips):
        remarks.append(_counted(unknown, "clip", "of somebody whose name is not known", link(signer="")))
    return remarks


def _counted(number: int, noun: str, rest: str, address: str, is_bad: bool = False) -> Remark:
    plural = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return Remark(f"{number:,}", f"{noun}{plural} {rest}", address, is_bad)


def _rows(
    clips: Sequence[ClipMeasures],
    flagged: Sequence[Sequence[str]],
    names: Sequence[tuple[str, ...]],
    columns: Sequence[int],
) -> list[Row]:
    """Rows by name, most clips first."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, of_clip in enumerate(names):
        for name in set(of_clip):
            members[name].append(index)
    most = max((len(of) for of in members.values()), default=1)
    rows = []
    for name, indices in members.items():
        own = [clips[index] for index in indices]
        rows.append(
            Row(
                name=name,
                clips=len(own),
                splits={split: sum(clip.split == split for clip in own) for split in SPLITS},
                seconds=sum(clip.seconds for clip in own) / len(own),
                hand_share=_frame_share(own, [clip.hand_share for clip in own]),
                hands=tuple(_frame_share(own, [clip.groups[column] for clip in own]) for column in columns),
                drop_outs=sum("drop-out" in flagged[index] for index in indices),
                share=len(own) / most,
            )
        )
    return sorted(rows, key=lambda row: (-row.clips, row.name))


def _frame_share(clips: Sequence[ClipMeasures], shares: Sequence[float]) -> float:
    """Mean of shares over clips, by their frames."""
    frames = np.array([clip.frames for clip in clips], float)
    known = np.isfinite(shares)
    total = frames[known].sum()
    return float((frames * np.nan_to_num(shares))[known].sum() / total) if total else float("nan")


def _histograms(clips: Sequence[ClipMeasures]) -> list[Histogram]:
    found = [
        histogram("Seconds", "seconds", [clip.seconds for clip in clips]),
        histogram("Frames", "frames", [clip.frames for clip in clips]),
        histogram("Frames with a hand, share", "hands", [clip.hand_share for clip in clips]),
        histogram("Longest drop-out, seconds", "gap", [clip.gap_seconds for clip in clips]),
        histogram("Sharpness", "sharpness", [clip.sharpness for clip in clips]),
        histogram("Brightness", "brightness", [clip.brightness for clip in clips]),
    ]
    return [chart for chart in found if chart is not None]


def _origins(info: DatasetInfo) -> list[tuple[str, int]]:
    """Clips by what their crop was made from; nothing where nothing is cropped."""
    return list(info.crop_origins.items()) if info.clip_spec.crop.mode != "full" else []


def _strips(samples: dict[str, Strip | None]) -> list[tuple[str, Strip]]:
    return [(name, strip) for name, strip in samples.items() if strip is not None]


def _skipped(directory: Path) -> list[tuple[str, int, list[str]]]:
    """Reasons, how often each, and some of the paths; the most frequent reason first."""
    paths: dict[str, list[str]] = defaultdict(list)
    counts: Counter[str] = Counter()
    try:
        with (directory / SKIPPED_NAME).open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                reason = row.get("reason") or "no reason given"
                counts[reason] += 1
                if len(paths[reason]) < MOST_PATHS_A_REASON:
                    paths[reason].append(row.get("path") or "")
    except FileNotFoundError:
        return []
    return [(reason, count, paths[reason]) for reason, count in counts.most_common()]


def _coverage(directory: Path) -> list[tuple[str, int, int]]:
    """How much of what a source publishes is there: (name, have, of), in all, by split, then the worst glosses."""
    try:
        content = json.loads((directory / COVERAGE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    rows = [("in all", *found)] if (found := _have_of(content)) else []
    if not isinstance(content, dict):
        return rows
    for key in ("splits", "glosses"):
        parts = content.get(key)
        named = (
            [(name, found) for name, part in parts.items() if (found := _have_of(part))]
            if isinstance(parts, dict)
            else []
        )
        if key == "glosses":
            named = sorted(named, key=lambda item: item[1][0] / max(1, item[1][1]))[:MOST_PATHS_A_REASON]
        rows += [(str(name), *found) for name, found in named]
    return rows


def _have_of(part: Any) -> tuple[int, int] | None:
    """``have`` and ``of`` of a part of ``coverage.json``, or their sums over its parts."""
    if not isinstance(part, dict):
        return None
    have, of = part.get("have"), part.get("of")
    if isinstance(have, int) and isinstance(of, int):
        return have, of
    inner = [found for value in part.values() if (found := _have_of(value))]
    return (sum(found[0] for found in inner), sum(found[1] for found in inner)) if inner else None


def _table(clips: Sequence[ClipMeasures], flagged: Sequence[Sequence[str]]) -> dict[str, Any]:
    """What the page's table shows, with names said once; clips that stand out first where not all are listed."""
    chosen: Sequence[int] = range(len(clips))
    if len(clips) > MOST_LISTED:
        chosen = sorted(sorted(chosen, key=lambda index: -len(flagged[index]))[:MOST_LISTED])
    glosses, signers = _Names(), _Names()
    kept_sizes = {bar.label for bar in kinds("size", [clip.size for clip in clips])}
    kept_rates = {bar.label for bar in kinds("rate", [f"{clip.frame_rate:g}" for clip in clips])}
    sizes, rates, crops = _Names(), _Names(), _Names()
    flag_names = list(FLAG_MEANINGS)
    rows = []
    for index in chosen:
        clip = clips[index]
        rate = f"{clip.frame_rate:g}"
        rows.append(
            [
                clip.media_id,
                [glosses.index(gloss) for gloss in clip.glosses],
                signers.index(clip.signer),
                SPLITS.index(clip.split),
                clip.frames,
                clip.seconds,
                _plain(clip.hand_share),
                _plain(clip.gap_seconds),
                _plain(clip.sharpness),
                _plain(clip.brightness),
                sizes.index(clip.size if clip.size in kept_sizes or not clip.size else OTHER),
                rates.index(rate if rate in kept_rates else OTHER),
                crops.index(clip.crop),
                [flag_names.index(flag) for flag in flagged[index]],
            ]
        )
    return {
        "splits": list(SPLITS),
        "flags": flag_names,
        "glosses": glosses.names,
        "signers": signers.names,
        "sizes": sizes.names,
        "rates": rates.names,
        "crops": crops.names,
        "rows": rows,
        "total": len(clips),
    }


class _Names:
    """Names in the order in which they were first seen."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def index(self, name: str) -> int:
        return self._places.setdefault(name, len(self._places))

    @property
    def names(self) -> list[str]:
        return list(self._places)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value


def _percent(share: float) -> str:
    if np.isnan(share):
        return "–"  # noqa: RUF001
    digits = 0 if share in (0, 1) or 0.005 <= share < 0.995 else 1
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"
