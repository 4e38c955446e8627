# SPDX-License-Identifier: MIT
"""The task's side of a progress page: finding it, claiming it, writing it.

The layout is that of learners/progress/layout.h, which says what each field means and in which
order they are written. Two things differ from C:

Stores. `memoryview` items of native format are stored in one piece by CPython. Python cannot say
in which order other processors see them. On x86 that is the order of the program. Elsewhere the
writer passes through a lock twice between two stores whose order matters: no store moves down past
the first release nor up past the second acquire, so one before stays before one after.

The claim. There is no compare-and-swap, so the owner is looked at and set while holding the record
lock that every writer takes for it. The page is then this process's own.
"""

import errno
import fcntl
import mmap
import os
import platform
import struct
import threading
import time

VARIABLE = "COREGOV_PROGRESS"

_MAGIC = 0x65676150766F4743
_VERSION = 1
_NAME_MAX = 64
_METRICS_MAX = 8
_RING_LENGTH = 128

# The governor's side, then offsets of its fields in bytes.
_HEADER = struct.Struct("@QIIQQdIIdII64s")
_DEADLINE, _SHARE, _THREADS, _SHOULD_STOP = 24, 32, 40, 44
_GOVERNOR_SIZE = 512

# The task's side: indices of 8-byte words from the start of the page.
_TASK = _GOVERNOR_SIZE // 8
_OWNER, _N_OTHERS, _N_LOST, _N_REPORTS, _N_RING = range(_TASK, _TASK + 5)
_STEPS_DONE, _STEPS_TOTAL, _SAMPLES, _EPOCH, _BEST_SEQUENCE = range(_TASK + 5, _TASK + 10)
_BEST, _FIRST_MET = _TASK + 10, _TASK + 14
_ROWS, _ROW_WORDS = _TASK + 28, 12
_RING, _ENTRY_WORDS = _TASK + 112, 16
_SIZE = 8 * (_RING + _RING_LENGTH * _ENTRY_WORDS)

_F_GET_SEALS = getattr(fcntl, "F_GET_SEALS", 1034)
_SEALS = 0x0002 | 0x0004  # F_SEAL_SHRINK, F_SEAL_GROW
_CLAIM_TRIES, _CLAIM_PAUSE_S = 100, 0.001
_TURN_TIMEOUT_S = 0.1

_STORES_ARE_ORDERED = platform.machine() in ("x86_64", "AMD64", "i686", "i386")


def _parse(text):
    """FD:PATH:TOKEN, or None."""
    head, _, token = text.rpartition(":")
    number, _, path = head.partition(":")
    try:
        number, token = int(number), int(token, 16)
    except ValueError:
        return None
    return (number, path, token) if path.startswith("/proc/") else None


def _header(fd, token):
    """The governor's side behind a descriptor, or None where that is not our page."""
    try:
        if fcntl.fcntl(fd, _F_GET_SEALS) & _SEALS != _SEALS:
            return None
        size = os.fstat(fd).st_size
        if size < _SIZE:
            return None
        header = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
    except (OSError, struct.error):
        return None
    return header if header[:4] == (_MAGIC, _VERSION, size, token) else None


def _find(text):
    """A new descriptor of the page that the variable names and its header, or (None, None)."""
    address = _parse(text)
    if address is None:
        return None, None
    number, path, token = address
    openers = (
        lambda: fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3),
        lambda: os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY),
    )
    for opener in openers:
        try:
            fd = opener()
        except (OSError, OverflowError, ValueError):
            continue
        header = _header(fd, token)
        if header is not None:
            return fd, header
        os.close(fd)
    return None, None


def _is_gone(pid):
    if pid > 0x7fffffff:  # no pid: a stand-in, see progress-layout.h
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class Page:
    """A mapped page. `attach()` makes it."""

    def __init__(self, text, fd, header):
        self._text = text
        # CPython keeps a descriptor of its own in the mapping, closed on exec.
        self._map = mmap.mmap(fd, _SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        view = memoryview(self._map)
        self._words = view.cast("Q")
        self._doubles = view.cast("d")
        self._halves = view.cast("I")
        value, is_raised, in_a_row, name = header[8:12]
        name = name.split(b"\0")[0].decode("utf-8", "surrogateescape")
        self.target = (name, value, bool(is_raised), in_a_row)
        self.deadline_ns = header[4]
        self.after_fork()

    def after_fork(self):
        """A child is not the writer, and the parent's thread that held the turn is not here."""
        self.is_writer = None  # not claimed yet
        self._turn = threading.Lock()
        self._order = threading.Lock()
        self._places = {}
        self._best = None
        self._n_met = 0

    # What the governor says.

    def share(self):
        return self._doubles[_SHARE // 8]

    def threads(self):
        return self._halves[_THREADS // 4]

    def should_stop(self):
        return self._halves[_SHOULD_STOP // 4] != 0

    # What the task says.

    def claim(self):
        """Makes this process the writer, or finds that another living one is: `is_writer`.

        Other threads look at it meanwhile, so it is set once, in the end."""
        is_writer = False
        fd, _ = _find(self._text)
        if fd is not None:
            try:
                is_writer = self._lock_claim(fd) and self._claim_locked()
            finally:
                os.close(fd)  # and with it the lock
        self.is_writer = is_writer

    def _lock_claim(self, fd):
        for _ in range(_CLAIM_TRIES):
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, 0, os.SEEK_SET)
                return True
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EINTR):
                    return False
            time.sleep(_CLAIM_PAUSE_S)
        return False

    def _claim_locked(self):
        words, own = self._words, os.getpid()
        owner = words[_OWNER]
        if owner not in (0, own) and not _is_gone(owner):
            words[_N_OTHERS] += 1
            return False
        words[_OWNER] = own
        if words[_BEST] != 0:
            self._best = self._doubles[_BEST + 3]
        self._places = {self.target[0]: 0, **self._rows()}
        return True

    def _rows(self):
        rows = {}
        for place in range(1, _METRICS_MAX):
            start = 8 * (_ROWS + (place - 1) * _ROW_WORDS)
            name = self._map[start:start + _NAME_MAX].split(b"\0")[0]
            if name:
                rows[name.decode("utf-8", "surrogateescape")] = place
        return rows

    def set_total(self, n_steps):
        self._words[_STEPS_TOTAL] = n_steps

    def set_samples(self, n_samples):
        self._words[_SAMPLES] = n_samples

    def set_epoch(self, epoch):
        self._doubles[_EPOCH] = epoch

    def report(self, step, metrics):
        """Writes one report; False where it could not be written, which is counted."""
        # Conversions fail, if they do, before anything is written.
        step = int(step)
        if not 0 <= step < 1 << 64:
            raise ValueError(f"step {step} is not in 0 .. 2**64 - 1")
        turn = self._turn
        # A signal handler may have interrupted a report of its own thread.
        if not turn.acquire(False) and not turn.acquire(timeout=_TURN_TIMEOUT_S):
            self._words[_N_LOST] += 1
            return False
        try:
            return self._report(step, metrics)
        finally:
            turn.release()

    def _report(self, step, metrics):
        places, words = self._places, self._words
        values = {}
        for name, value in metrics.items():
            place = places.get(name)
            if place is None:
                place = self._register(name)
                if place is None:
                    words[_N_LOST] += 1
                    return False
            values[place] = float(value)
        stamp = time.monotonic_ns()
        if 0 in values:
            self._put_entry(step, stamp, values)
        if len(values) > 1 or 0 not in values:
            self._put_rows(step, stamp, values)
        words[_STEPS_DONE] = step
        words[_N_REPORTS] += 1
        return True

    def _put_entry(self, step, stamp, values):
        words, doubles = self._words, self._doubles
        value = values[0]
        number = words[_N_RING] + 1
        self._judge(number, step, stamp, value)
        entry = _RING + (number - 1) % _RING_LENGTH * _ENTRY_WORDS
        words[entry] = 0
        if not _STORES_ARE_ORDERED:
            self._keep_order()
        words[entry + 1] = step
        words[entry + 2] = stamp
        doubles[entry + 4] = value
        mask = 1
        if len(values) > 1:
            for place, other in values.items():
                mask |= 1 << place
                doubles[entry + 4 + place] = other
        self._halves[2 * entry + 6] = mask
        if not _STORES_ARE_ORDERED:
            self._keep_order()
        words[entry] = number
        if not _STORES_ARE_ORDERED:
            self._keep_order()
        words[_N_RING] = number

    def _judge(self, number, step, stamp, value):
        _, target, is_raised, in_a_row = self.target
        if value - value != 0:  # nan, inf
            self._n_met = 0
            return
        best = self._best
        if best is None or (value > best if is_raised else value < best):
            self._best = value
            words = self._words
            sequence = words[_BEST_SEQUENCE] | 1
            words[_BEST_SEQUENCE] = sequence
            self._put_mark(_BEST, number, step, stamp, value)
            words[_BEST_SEQUENCE] = sequence + 1
        if value < target if is_raised else value > target:
            self._n_met = 0
            return
        self._n_met += 1
        if self._n_met >= in_a_row and self._words[_FIRST_MET] == 0:
            self._put_mark(_FIRST_MET, number, step, stamp, value)

    def _put_mark(self, mark, number, step, stamp, value):
        words = self._words
        if not _STORES_ARE_ORDERED:
            self._keep_order()
        words[mark + 1] = step
        words[mark + 2] = stamp
        self._doubles[mark + 3] = value
        if not _STORES_ARE_ORDERED:
            self._keep_order()
        words[mark] = number
        if not _STORES_ARE_ORDERED:
            self._keep_order()

    def _put_rows(self, step, stamp, values):
        words = self._words
        for place, value in values.items():
            if place != 0:
                row = _ROWS + (place - 1) * _ROW_WORDS + _NAME_MAX // 8
                words[row + 1] = step
                words[row + 2] = stamp
                self._doubles[row + 3] = value
                words[row] += 1

    def _register(self, name):
        """Gives a name a place, or None where there is none or the name is unfit."""
        text = name.encode("utf-8", "surrogateescape")
        if not 0 < len(text) < _NAME_MAX or b"\0" in text:
            return None
        place = len(self._places)
        if place >= _METRICS_MAX:
            return None
        start = 8 * (_ROWS + (place - 1) * _ROW_WORDS)
        self._map[start:start + len(text)] = text
        self._places[name] = place
        return place

    def _keep_order(self):
        for _ in range(2):
            with self._order:
                pass


def attach():
    """The page that the environment names, or None."""
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    fd, header = _find(text)
    if fd is None:
        return None
    try:
        return Page(text, fd, header)
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
