# SPDX-License-Identifier: MIT
"""Tells coregov how far a training has learned, and asks it how much CPU time the training has.

    import coregov

    for batch in coregov.steps(loader, total=len(loader)):
        loss = train(batch)
        coregov.report(loss=loss)

Nothing needs to be opened or closed. Outside coregov the same calls do nothing, and steps() is just
an iterator. One process of a task is the writer, the first that reports; the reports of others
(further ranks, forked children) are ignored. Any thread may report. A report takes about a
microsecond. See coregov-progress(7).
"""

import math
import os
import threading
from typing import NamedTuple

from . import _page

__all__ = [
    "Target", "Task", "deadline", "epoch", "is_governed", "report", "samples", "share",
    "should_stop", "steps", "target", "task", "threads", "total_steps",
]
__version__ = "0.1.0"

_settled = False
_attached = None
_settling = threading.Lock()
_step = 0  # of the innermost steps()


class Target(NamedTuple):
    """What counts as learned well."""

    metric: str
    value: float
    is_raised: bool  # the metric is to be raised to the value, else lowered
    in_a_row: int  # reports in a row that must meet it


def _after_fork():
    global _settling
    _settling = threading.Lock()
    if _attached is not None:
        _attached.after_fork()


def _page_to_read():
    global _attached, _settled
    if not _settled:
        with _settling:
            if not _settled:
                _attached = _page.attach()
                if _attached is not None:
                    os.register_at_fork(after_in_child=_after_fork)
                _settled = True
    return _attached


def _page_to_write():
    page = _attached if _settled else _page_to_read()
    if page is None:
        return None
    if page.is_writer is None:
        with _settling:
            if page.is_writer is None:
                page.claim()
    return page if page.is_writer else None


def is_governed():
    """True where the program runs under coregov and has a progress page."""
    return _page_to_read() is not None


def report(step=None, /, **metrics):
    """Reports metrics of one step: report(120, loss=0.53, accuracy=0.81).

    step     the program's own step, an int >= 0; without it the one that steps() is at
    metrics  numbers, or whatever float() takes; nan and inf are passed on, and never meet a target.
             The name must be that of the target to count for it. Up to seven others, 63 bytes each.

    True where it was written; False where nobody listens or there is no room for another name.
    ValueError or TypeError where step or value are no such numbers.
    """
    page = _attached
    if page is None or not page.is_writer:
        page = _page_to_write()
        if page is None:
            return False
    return page.report(_step if step is None else step, metrics) if metrics else False


def total_steps(n_steps):
    """Says how many steps the training will make in all; 0: not known. True where written."""
    n_steps = _whole("total_steps", n_steps)
    page = _page_to_write()
    if page is None:
        return False
    page.set_total(n_steps)
    return True


def samples(n_samples):
    """Says how many samples the training has seen so far. True where written."""
    n_samples = _whole("samples", n_samples)
    page = _page_to_write()
    if page is None:
        return False
    page.set_samples(n_samples)
    return True


def epoch(number):
    """Says how many passes over the data were made, with fractions. True where written."""
    number = float(number)
    if not 0 <= number < math.inf:
        raise ValueError(f"epoch {number} is not a finite number >= 0")
    page = _page_to_write()
    if page is None:
        return False
    page.set_epoch(number)
    return True


def _whole(name, number):
    number = int(number)
    if not 0 <= number < 1 << 64:
        raise ValueError(f"{name} {number} is not in 0 .. 2**64 - 1")
    return number


def should_stop():
    """True once the program is asked to save what it wants to keep and to end."""
    page = _attached if _settled else _page_to_read()
    return page is not None and page.should_stop()


def share():
    """The CPUs granted now, 0.5 being half of one; None outside coregov."""
    page = _page_to_read()
    return None if page is None else page.share()


def threads():
    """How many threads are worth having with that share, >= 1; None outside coregov."""
    page = _page_to_read()
    return None if page is None else page.threads()


def deadline():
    """When the target must be met, as time.monotonic(); None outside coregov or without one."""
    page = _page_to_read()
    return None if page is None or page.deadline_ns == 0 else page.deadline_ns / 1e9


def target():
    """What counts as learned well, a Target; None outside coregov."""
    page = _page_to_read()
    return None if page is None else Target(*page.target)


def steps(iterable, total=None):
    """Passes the items on, counts them as steps from 1, and ends early when asked to stop.

    total  how many there will be; by default len(iterable), if it has one
    """
    global _step
    if total is None:
        try:
            total = len(iterable)
        except TypeError:
            total = None
    if total is not None:
        total_steps(total)
    outer = _step
    try:
        for number, item in enumerate(iterable, 1):
            if should_stop():
                break
            _step = number
            yield item
    finally:
        _step = outer


class Task:
    """What task() gives: the calls of this module as methods, and a step count of its own."""

    def __init__(self, n_total):
        self.n_total = n_total
        self.step = 0

    def __enter__(self):
        if self.n_total is not None:
            total_steps(self.n_total)
        return self

    def __exit__(self, *exception):
        return False

    def report(self, step=None, /, **metrics):
        """As report(); without a step, and outside steps(), each call is the next one."""
        self.step = step if step is not None else _step or self.step + 1
        return report(self.step, **metrics)

    def steps(self, iterable):
        """As steps(), with the total of the task."""
        return steps(iterable, self.n_total)

    should_stop = staticmethod(should_stop)
    share = staticmethod(share)
    threads = staticmethod(threads)
    deadline = staticmethod(deadline)
    target = staticmethod(target)
    samples = staticmethod(samples)
    epoch = staticmethod(epoch)


def task(total_steps=None):
    """A context for one training: `with coregov.task(total_steps=1000) as t: t.report(loss=...)`.

    It only saves typing; leaving it does nothing, nor does it swallow an exception.
    """
    return Task(total_steps)
