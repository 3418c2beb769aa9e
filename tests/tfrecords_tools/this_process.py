"""A pool of no processes."""

from concurrent.futures import Executor, Future


class ThisProcess(Executor):
    """What is submitted runs here at once, where a test's patches count."""

    def submit(self, function, /, *arguments, **keywords):
        done = Future()
        done.set_result(function(*arguments, **keywords))
        return done
