"""How often somebody may do something: a bucket of tokens each, filled at a rate."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

# Addresses remembered; the one that was quiet for longest is forgotten first, with a bucket that is full by then.
MOST_ADDRESSES = 4096


class TokenBucket:
    """Lets ``burst`` through at once, and ``rate`` a second on average."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._filled = burst, clock()

    def take(self) -> bool:
        """Takes one token; False where there is none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def wait_seconds(self) -> int:
        """Whole seconds until there is a token, at least 1."""
        return max(1, math.ceil((1 - self._tokens) / self._rate))


class TokenBuckets:
    """A bucket for each address."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._make = lambda: TokenBucket(rate, burst, clock)
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, address: Hashable) -> TokenBucket:
        """The bucket of an address."""
        bucket = self._buckets.setdefault(address, self._make())
        self._buckets.move_to_end(address)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return bucket
