# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the unittest cases of the main module, or those named as arguments, and prints TAP."""

import sys
import unittest


class Tap(unittest.TestResult):
    """Prints a line for each test as it ends."""

    def __init__(self):
        super().__init__()
        self.skip_reason = None

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skip_reason = reason
        if not isinstance(test, unittest.TestCase):  # a whole class, in setUpClass()
            self.testsRun += 1
            self.stopTest(test)

    def stopTest(self, test):
        bad = [text for which, text in self.failures + self.errors
               if which is test or getattr(which, "test_case", None) is test]
        skip = f" # SKIP {self.skip_reason}" if self.skip_reason else ""
        print(f"{'not ok' if bad else 'ok'} {self.testsRun} - {test.id()}{skip}")
        for line in "".join(bad).splitlines():
            print("#", line)
        sys.stdout.flush()
        self.skip_reason = None
        super().stopTest(test)


def main():
    loader, module = unittest.defaultTestLoader, sys.modules["__main__"]
    tests = loader.loadTestsFromNames(sys.argv[1:], module) if sys.argv[1:] else \
        loader.loadTestsFromModule(module)
    result = tests.run(Tap())
    # What fails outside a test (setUpClass) has no line of its own yet.
    lost = [text for which, text in result.failures + result.errors
            if not isinstance(which, unittest.TestCase) and not hasattr(which, "test_case")]
    for text in lost:
        print(f"not ok {result.testsRun + 1} - set-up")
        for line in text.splitlines():
            print("#", line)
        result.testsRun += 1
    print(f"1..{result.testsRun}")
    sys.exit(not result.wasSuccessful())
