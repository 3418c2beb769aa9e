"""Sentences out of overlapping windows of a stream: what two in a row agree on is said, and never taken back.

Each window is read by itself, and the same gloss turns up in several, at times that differ by a few frames. Near a
window's ends a sign may be cut off, so glosses are *trusted* only between its trusted frames. Of these,

1. those up to the last gloss that was said are left out: it is found again as the same gloss nearby, else as
   whatever the window reads in its place; and nothing is put in before it any more;
2. of the others the longest beginning that the window before read as well (the same glosses, in this order, nearby)
   is said, as this window has it;
3. a gloss that the next window will not trust any more is said as it is, with those before it, lest it be lost.

Source: local agreement, Liu et al. 2020 (arXiv:2005.11185), section 2, LA-2, as Macháček et al. 2023
(arXiv:2307.14743) use it on speech. Different from there: windows move on by a fixed step and are not cut at what
was said, so that times decide what is the same; ends of windows are not trusted; and 3, lest a gloss wait for ever.
"""

import itertools
from collections.abc import Sequence

from sign_keras.ctc.decoding import DecodedGloss


class LocalAgreement:
    """What windows of one stream agree on.

    Frames are the stream's, from 0.

    Attributes:
        waiting: glosses that the last window read and that are not said yet; they may still change.
    """

    def __init__(self, nearby: float) -> None:
        """Begins a stream.

        Args:
            nearby: how many frames the middles of the same gloss may be apart in two windows; fewer than lie
                between two signs of the same gloss.
        """
        self.waiting: list[DecodedGloss] = []
        self._nearby = nearby
        self._last: DecodedGloss | None = None

    def add(self, glosses: Sequence[DecodedGloss], trusted: range, next_start: int) -> list[DecodedGloss]:
        """Takes the next window.

        Args:
            glosses: that were read in it, in their order.
            trusted: frames between which a gloss has to lie; of a stream's first windows they begin at 0.
            next_start: where the next window's trusted frames begin.

        Returns:
            The glosses that are now said; they follow those of the calls before.
        """
        fresh = [gloss for gloss in self._fresh(glosses) if gloss.first_frame >= trusted.start]
        ready = [gloss for gloss in fresh if gloss.last_frame < trusted.stop]
        agreed = itertools.takewhile(lambda pair: self._same(*pair), zip(ready, self.waiting, strict=False))
        expiring = sum(gloss.first_frame < next_start for gloss in ready)
        return self._say(ready, max(len(list(agreed)), expiring))

    def finish(self, glosses: Sequence[DecodedGloss], first_trusted: int) -> list[DecodedGloss]:
        """Takes the stream's last window, all of which is said; arguments and result as for ``add``."""
        fresh = [gloss for gloss in self._fresh(glosses) if gloss.first_frame >= first_trusted]
        return self._say(fresh, len(fresh))

    def _say(self, glosses: list[DecodedGloss], count: int) -> list[DecodedGloss]:
        said, self.waiting = glosses[:count], glosses[count:]
        self._last = said[-1] if said else self._last
        return said

    def _fresh(self, glosses: Sequence[DecodedGloss]) -> list[DecodedGloss]:
        """Glosses behind the last one that was said."""
        last = self._last
        if last is None:
            return list(glosses)
        near = [
            (gloss.gloss_id != last.gloss_id, abs(_middle(gloss) - _middle(last)), place)
            for place, gloss in enumerate(glosses)
            if abs(_middle(gloss) - _middle(last)) <= self._nearby
        ]
        behind = min(near)[2] + 1 if near else 0
        return [gloss for gloss in glosses[behind:] if _middle(gloss) > last.last_frame]

    def _same(self, one: DecodedGloss, other: DecodedGloss) -> bool:
        return one.gloss_id == other.gloss_id and abs(_middle(one) - _middle(other)) <= self._nearby


def _middle(gloss: DecodedGloss) -> float:
    return (gloss.first_frame + gloss.last_frame) / 2
