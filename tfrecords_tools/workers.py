"""Extracting many clips at once, in worker processes that never load TensorFlow."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from itertools import islice

import loky
from loky.process_executor import BrokenProcessPool

from tfrecords_tools.clips import Clip, ClipSpec
from tfrecords_tools.extract import ExtractedClip, KeypointReader, SkippedClip, extract_clip
from tfrecords_tools.processes import start_pool

# Clips handed out ahead of the one being consumed, per worker: enough that a long clip does not let the others
# wait, few enough for memory.
CLIPS_AHEAD = 8

Result = ExtractedClip | SkippedClip


def extract_clips(
    clips: Iterable[Clip], spec: ClipSpec, workers: int | None = None, reader: KeypointReader | None = None
) -> Iterator[Result]:
    """Extracts clips in parallel; results come in the clips' order, and work starts at once.

    A clip that kills its worker (a decoder that crashes on a damaged file, say) is tried once more by itself
    and then skipped; its neighbours lose nothing.

    Args:
        clips: consumed only a little ahead of the results.
        spec: what to make of them.
        workers: processes; by default one a core.
        reader: of a dataset of keypoints; None where clips are videos.
    """
    extraction = _Extraction(iter(clips), spec, workers or loky.cpu_count(), reader)
    extraction.hand_out()
    return extraction.results()


class _Extraction:
    def __init__(self, clips: Iterator[Clip], spec: ClipSpec, workers: int, reader: KeypointReader | None) -> None:
        self._clips, self._spec, self._workers, self._reader = clips, spec, workers, reader
        self._pool: loky.ProcessPoolExecutor | None = None
        # In the clips' order. A list, not a deque: it is short, and recovery replaces elements.
        self._waiting: list[tuple[Clip, Future[Result]]] = []

    def hand_out(self) -> None:
        """Tops up the clips under way."""
        for clip in islice(self._clips, self._workers * CLIPS_AHEAD - len(self._waiting)):
            self._waiting.append((clip, self._submit(clip)))

    def results(self) -> Iterator[Result]:
        try:
            while self._waiting:
                try:
                    result = self._waiting[0][1].result()
                except BrokenProcessPool:
                    self._recover()
                    continue
                del self._waiting[0]
                self.hand_out()
                yield result
        finally:
            self._stop()

    def _submit(self, clip: Clip) -> Future[Result]:
        if self._pool is None:
            self._pool = start_pool(self._workers)
        try:
            future: Future[Result] = self._pool.submit(extract_clip, clip, self._spec, self._reader)
        except BrokenProcessPool as error:  # a worker died since the last result
            future = Future()
            future.set_exception(error)
        return future

    def _recover(self) -> None:
        """After a worker died: the clips it may have died of by themselves, the others anew."""
        self._stop()
        unfinished = [index for index, (_, future) in enumerate(self._waiting) if not _has_result(future)]
        # Clips are begun in order, so the one that did it is among the first: one for each worker.
        suspects, others = unfinished[: self._workers], unfinished[self._workers :]
        for index in others:
            clip = self._waiting[index][0]
            self._waiting[index] = (clip, self._submit(clip))
        for index in suspects:
            clip = self._waiting[index][0]
            future: Future[Result] = Future()
            future.set_result(_extract_alone(clip, self._spec, self._reader))
            self._waiting[index] = (clip, future)

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


def _has_result(future: Future[Result]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _extract_alone(clip: Clip, spec: ClipSpec, reader: KeypointReader | None) -> Result:
    pool = start_pool(workers=1)
    try:
        result: Result = pool.submit(extract_clip, clip, spec, reader).result()
    except BrokenProcessPool:
        result = SkippedClip(clip, "reading it crashed the decoder twice")
    finally:
        pool.shutdown(wait=True, kill_workers=True)
    return result
