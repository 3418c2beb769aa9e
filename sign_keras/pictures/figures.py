"""The pictures of one clip: what is read when, which frames were kept, what is looked at."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sign_keras.inference.timed_glosses import TimedGloss
from sign_keras.pictures.clips import ShownClip
from sign_keras.pictures.drawing import (
    BLUE,
    FAINT,
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    NARROW,
    ORANGE,
    QUIET,
    WIDE,
    Picture,
)
from sign_keras.pictures.reading import Keyframes, SentenceReading, SignReading

MOST_GLOSSES = 8
LEAST_PROBABILITY = 0.1  # at some frame, for a gloss that is neither signed nor read
STRIP_COLUMNS, STRIP_ROWS = 6, 2
LETTER = 0.075  # inches, of a name at the size it is written in


def shown_glosses(reading: SentenceReading, glosses: Sequence[str]) -> list[int]:
    """Ids of the glosses whose probabilities are worth a line: signed or read first, then the likeliest others."""
    index = {gloss: number for number, gloss in enumerate(glosses)}
    named = [item.gloss for item in (*(reading.signed or ()), *reading.read)]
    first = list(dict.fromkeys(index[gloss] for gloss in named))
    peaks = reading.probabilities[:, 1:].max(axis=0, initial=0)
    others = [int(number) for number in np.argsort(-peaks, kind="stable") if peaks[number] >= LEAST_PROBABILITY]
    return [*first, *(number for number in others if number not in first)][: max(MOST_GLOSSES, len(first))]


def alignment(clip: ShownClip, reading: SentenceReading, glosses: Sequence[str]) -> Picture:
    """The sentence as signed and as read, one above the other, over the probabilities of their glosses."""
    chosen = shown_glosses(reading, glosses)
    looks = {
        glosses[number]: (
            LINE_COLOURS[place % len(LINE_COLOURS)],
            LINE_STYLES[place // len(LINE_COLOURS) % len(LINE_STYLES)],
        )
        for place, number in enumerate(chosen)
    }
    tracks = [("read", reading.read)]
    if reading.signed is not None:
        tracks.append(("signed", reading.signed))

    def draw(figure: Figure) -> Axes:
        names, lines = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [0.62 * len(tracks), 2]})
        figure.set_layout_engine(ConstrainedLayoutEngine(hspace=0.02, h_pad=0.03))
        for level, (_, items) in enumerate(tracks):
            _track(names, level, items, looks, clip.edges, figure.get_figwidth())
        names.set_yticks(range(len(tracks)), [name for name, _ in tracks])
        names.set_ylim(-0.55, len(tracks) - 0.1)
        names.tick_params(bottom=False, left=False)
        for spine in names.spines.values():
            spine.set_visible(False)
        _steps(lines, reading, 0, "blank (no gloss)", QUIET, "-", fill=True)
        for number in chosen:
            _steps(lines, reading, number + 1, glosses[number], *looks[glosses[number]])
        lines.set(ylim=(0, 1.02), ylabel="probability", xlabel="seconds", xlim=(clip.edges[0], clip.edges[-1]))
        columns = 6 if figure.get_figwidth() > NARROW else 3
        figure.legend(*lines.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
        return lines

    read = ", ".join(
        f"{item.gloss} from {item.start_seconds:.2f} to {item.end_seconds:.2f} s" for item in reading.read
    )
    text = f"Read: {read or 'nothing'}."
    if reading.signed is not None:
        signed = ", ".join(
            f"{item.gloss} {item.start_seconds:.2f} to {item.end_seconds:.2f} s" for item in reading.signed
        )
        text += f" Signed, laid along the clip by the likeliest path: {signed or 'nothing'}."
    else:
        text += f" What is signed is not laid along it: {reading.why_not_signed}."
    return Picture("alignment", "Glosses over time", text, draw, height=2.7 + 0.45 * len(tracks))


def _track(
    axes: Axes,
    level: int,
    items: Sequence[TimedGloss],
    looks: dict[str, tuple[str, str]],
    edges: np.ndarray,
    figure_width: float,
) -> None:
    """Bars where glosses are, and their names above; names that would touch take turns in height."""
    inches = (figure_width - 1) / max(edges[-1] - edges[0], 1e-9)
    taken = [-np.inf, -np.inf]
    axes.plot(edges[[0, -1]], [level - 0.3] * 2, color=FAINT, linewidth=1, zorder=0)
    for item in items:
        colour = looks[item.gloss][0]
        middle = (item.start_seconds + item.end_seconds) / 2
        width = item.end_seconds - item.start_seconds
        axes.barh(level - 0.3, width, 0.24, item.start_seconds, color=colour, edgecolor="white", linewidth=0.4)
        half = LETTER * len(item.gloss) / 2 / inches
        row = 0 if middle - half > taken[0] else 1
        taken[row] = middle + half
        axes.text(
            min(max(middle, edges[0] + half), edges[-1] - half),
            level - 0.15 + 0.3 * row,
            item.gloss,
            ha="center",
            va="bottom",
            fontsize=8.5,
        )


def _steps(
    axes: Axes, reading: SentenceReading, column: int, name: str, colour: str, style: str, fill: bool = False
) -> None:
    """A line that is level over each frame of the logits, and broken where frames were left out."""
    times, values = [], []
    for place, (start, end) in enumerate(reading.edges):
        if place and start > reading.edges[place - 1, 1] + 1e-9:
            times.append(start)
            values.append(np.nan)
        times += [start, end]
        values += [reading.probabilities[place, column]] * 2
    if fill:
        axes.fill_between(times, values, color=FAINT, alpha=0.6, linewidth=0, label=name)
    else:
        axes.plot(times, values, color=colour, linestyle=style, linewidth=1.6, label=name)


def probabilities(reading: SignReading, glosses: Sequence[str], signed: Sequence[str] | None) -> Picture:
    """The likeliest glosses of a clip of one sign; the signed one among them wherever it is."""
    order = np.argsort(-reading.probabilities, kind="stable")[:MOST_GLOSSES].tolist()
    own = [number for number, gloss in enumerate(glosses) if signed is not None and gloss in signed]
    order = list(dict.fromkeys([*order, *own]))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        values = reading.probabilities[order]
        colours = [BLUE if number in own else ORANGE if signed else QUIET for number in order]
        axes.barh(range(len(order)), values, color=colours, height=0.7)
        for place, value in enumerate(values):
            axes.text(value + 0.01, place, f"{value:.3f}", va="center", fontsize=8.5)
        names = [f"{glosses[number]} (signed)" if number in own else glosses[number] for number in order]
        axes.set_yticks(range(len(order)), names)
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.12), xlabel="probability")
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.tick_params(left=False)

    said = ", ".join(f"{glosses[number]} {reading.probabilities[number]:.3f}" for number in order)
    return Picture(
        "probabilities", "How probable each gloss is", f"Probabilities: {said}.", draw, 0.9 + 0.27 * len(order)
    )


def frame_scores(clip: ShownClip, keyframes: Keyframes) -> Picture:
    """Every frame's score, kept frames and dropped ones told apart by colour and by shape."""
    kept, middles = keyframes.kept, (clip.edges[:-1] + clip.edges[1:]) / 2
    scores = np.full(len(kept), 0.5) if keyframes.scores is None else keyframes.scores

    def draw(figure: Figure) -> Axes:
        axes = figure.subplots()
        for chosen, colour, marker, name in ((kept, BLUE, "o", "kept"), (~kept, ORANGE, "x", "dropped")):
            axes.vlines(middles[chosen], 0, scores[chosen], color=colour, linewidth=1.2, alpha=0.8)
            axes.plot(
                middles[chosen],
                scores[chosen],
                marker,
                color=colour,
                markersize=4,
                label=f"{name} ({chosen.sum()})",
            )
        top = float(scores.max(initial=0)) or 1.0
        axes.set(xlim=(clip.edges[0], clip.edges[-1]), ylim=(0, 1.1 * top), xlabel="seconds", ylabel="score")
        if keyframes.scores is None:
            axes.set(yticks=[], ylabel="")
        figure.legend(loc="outside upper right", ncols=2)
        return axes

    text = f"{int(kept.sum())} of {len(kept)} frames are kept"
    text += (
        ", chosen at random." if keyframes.scores is None else "; a score is how much the change to a frame counts."
    )
    return Picture("frame_scores", "Which frames are kept", text, draw, 2.2)


def evidence_over_time(clip: ShownClip, groups: dict[str, np.ndarray]) -> Picture:
    """How much of the evidence is in which frame.

    Args:
        clip: whose frames they are.
        groups: ``[n]`` of each group of points, or of the whole frame; at least 0.
    """
    top = max((float(values.max(initial=0)) for values in groups.values()), default=0.0) or 1.0
    middles = (clip.edges[:-1] + clip.edges[1:]) / 2

    def draw(figure: Figure) -> Axes:
        axes = figure.subplots()
        for place, (name, values) in enumerate(groups.items()):
            colour = LINE_COLOURS[place % len(LINE_COLOURS)]
            style = LINE_STYLES[place % len(LINE_STYLES)]
            axes.plot(middles, values / top, color=colour, linestyle=style, linewidth=1.6, label=name)
        axes.set(
            xlim=(clip.edges[0], clip.edges[-1]), ylim=(0, 1.05), xlabel="seconds", ylabel="share of the largest"
        )
        if len(groups) > 1:
            figure.legend(loc="outside upper right", ncols=4 if figure.get_figwidth() > NARROW else 2)
        return axes

    strongest = max(groups, key=lambda name: float(groups[name].max(initial=0)))
    when = middles[int(groups[strongest].argmax())]
    text = f"Most speaks for the answer at {when:.2f} s" + (f", in: {strongest}." if len(groups) > 1 else ".")
    return Picture("evidence", "When it finds what speaks for its answer", text, draw, 2.2)


def strip(clip: ShownClip, tiles: np.ndarray, keyframes: Keyframes | None) -> Picture:
    """A dozen frames out of a clip, evenly; the dropped ones pale, crossed out and named.

    Args:
        clip: whose frames they are.
        tiles: ``[n, H, W, 3]`` uint8, as they are to be shown.
        keyframes: None where every frame is kept.
    """
    places = np.unique(np.linspace(0, len(tiles) - 1, STRIP_COLUMNS * STRIP_ROWS).round().astype(int))
    rows = -(-len(places) // STRIP_COLUMNS)
    height, width = tiles.shape[1:3]

    def draw(figure: Figure) -> None:
        for axes in (all_axes := figure.subplots(rows, STRIP_COLUMNS, squeeze=False).ravel()):
            axes.axis("off")
        for axes, place in zip(all_axes, places, strict=False):
            dropped = keyframes is not None and not keyframes.kept[place]
            axes.imshow(tiles[place], alpha=0.35 if dropped else 1)
            axes.set_title(f"{clip.edges[place]:.2f} s{', dropped' if dropped else ''}", fontsize=8.5, color=INK)
            if dropped:
                axes.plot([0, width - 1], [0, height - 1], color=ORANGE, linewidth=1.5)

    tile_width = WIDE / STRIP_COLUMNS
    return Picture(
        "frames",
        "Frames, and what speaks for the answer",
        f"{len(places)} of {len(tiles)} frames, with when each begins.",
        draw,
        rows * (tile_width * height / width + 0.3),
        adapts=False,
    )
