"""Which rows of a layout the features need, what for, and in which order they are fetched: once, all together."""

from collections.abc import Sequence

from sign_keras.config.keypoints import FeaturesConfig
from sign_keras.models.features.handedness import NUM_SUMS
from sign_keras.models.features.hands import PALM
from sign_keras.models.features.reference import PAIRS, needed_pairs
from sign_keras.models.features.selection import find_rows, hand_rows, select_rows
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import KeypointLayout

SIDES = ("left", "right")


class KeypointRows:
    """Rows by purpose. Slices are of ``fetched``; places are among ``chosen``.

    Attributes:
        fetched: rows of the layout, in the order of the slices below; a row may be there twice.
        chosen: rows of the layout that features are made of, in the layout's order.
        pairs: names of the pairs of points that tell centre and scale.
        pair_lefts, pair_rights: their ends.
        wrists: left and right of the hands and of the pose, as far as ``wrists_of_hands`` and ``wrists_of_pose``.
        palms: three points of each of ``num_palms`` hands.
        points: ``chosen``, and after them their mirror twins that are not chosen.
        mirror: for each of ``points``, the place of its twin.
        point_groups: slices of ``points`` that belong to one group of the layout; ``groups``: of ``chosen``.
        hands: for each hand that is chosen whole, the places of its 21 points.
        hand_sizes: which of the palms is each hand's, as a slice.

    Raises:
        UserError: the layout lacks points that the configuration needs.
    """

    def __init__(self, config: FeaturesConfig, layout: KeypointLayout) -> None:
        self.fetched: tuple[int, ...] = ()
        self.chosen = select_rows(layout, config.point_names)
        self._find_references(config, layout)
        self._find_wrists(config, layout)
        self._find_hands(config, layout)
        self._find_points(config, layout)

    def _fetch(self, rows: Sequence[int]) -> slice:
        start = len(self.fetched)
        self.fetched += tuple(rows)
        return slice(start, start + len(rows))

    def _find_references(self, config: FeaturesConfig, layout: KeypointLayout) -> None:
        ends = {name: find_rows(layout, PAIRS[name]) for name in needed_pairs(config)}
        for field in ("center", "scale"):
            name = getattr(config, field)
            if name in ends and ends[name] is None:
                raise UserError(
                    f"features.{field}={name}: the keypoint layout {layout.name!r} has no "
                    f"{' and '.join(PAIRS[name])}; use points or none"
                )
        found = {name: rows for name, rows in ends.items() if rows is not None}
        self.pairs = tuple(found)
        self.wants_reference = (config.center, config.scale) != ("none", "none")
        self.pair_lefts = self._fetch([left for left, _ in found.values()])
        self.pair_rights = self._fetch([right for _, right in found.values()])

    def _find_wrists(self, config: FeaturesConfig, layout: KeypointLayout) -> None:
        of_hands = find_rows(layout, [f"{side}_hand/wrist" for side in SIDES])
        of_pose = find_rows(layout, [f"pose/{side}_wrist" for side in SIDES])
        if config.canonical_hand and not (layout.mirror_pairs and (of_hands or of_pose)):
            raise UserError(
                f"features.canonical_hand=true: the keypoint layout {layout.name!r} has no wrists, or does not say "
                "which points are each other's mirror image; set it to false"
            )
        self.wrists_of_hands, self.wrists_of_pose = of_hands is not None, of_pose is not None
        rows = ((of_hands or ()) + (of_pose or ())) if config.canonical_hand else ()
        self.num_wrists = len(rows)
        self.wrists = self._fetch(rows)

    def _find_hands(self, config: FeaturesConfig, layout: KeypointLayout) -> None:
        hands = {side: hand_rows(layout, side) for side in SIDES}
        place = {row: index for index, row in enumerate(self.chosen)}
        whole = {side: rows for side, rows in hands.items() if rows and place.keys() >= set(rows)}
        for field in ("hand_relative", "angles"):
            if getattr(config, field) and not whole:
                raise UserError(
                    f"features.{field}=true: features.points={' '.join(config.point_names)} chooses no whole hand; "
                    "set it to false, or add left_hand and right_hand"
                )
        self.hands = [[place[row] for row in rows] for rows in whole.values()]
        # A hand that is shown as the other needs the other's size.
        measured = [rows for side, rows in hands.items() if rows and (config.canonical_hand or side in whole)]
        measured = measured if config.hand_relative else []
        self.num_palms = len(measured)
        self.palms = self._fetch([rows[point] for rows in measured for point in PALM])
        first = 1 if len(whole) < len(measured) and "right" in whole else 0
        self.hand_sizes = slice(first, first + len(whole))

    def _find_points(self, config: FeaturesConfig, layout: KeypointLayout) -> None:
        rows = list(self.chosen)
        if config.canonical_hand:
            twins = {layout.mirror_permutation[row] for row in rows}
            rows += sorted(twins.difference(rows))
        self.points = self._fetch(rows)
        place = {row: index for index, row in enumerate(rows)}
        self.mirror = [place[layout.mirror_permutation[row]] for row in rows] if config.canonical_hand else []
        group_of = [name.partition("/")[0] for name in layout.names]
        self.point_groups = _runs([group_of[row] for row in rows])
        self.groups = _runs([group_of[row] for row in self.chosen])

    @property
    def num_sums(self) -> int:
        """Numbers that are summed over frames, their count included; 0 where none is wanted."""
        number = 4 * len(self.pairs) + (5 if self.wants_reference else 0) + 2 * self.num_palms
        number += NUM_SUMS if self.num_wrists else 0
        return number + 1 if number else 0


def _runs(names: Sequence[str]) -> list[slice]:
    """Slices of equal names that follow each other."""
    starts = [index for index in range(len(names)) if index == 0 or names[index] != names[index - 1]]
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(names)], strict=True)]
