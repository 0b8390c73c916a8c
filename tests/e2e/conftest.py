"""What all end-to-end tests share: which of them run when. `long` marks those that take long by themselves: they run with
VITALD_LONG (scripts/test --long). With VITALD_POLITE_ROUNDS (see judging.py) tests repeat more than their time limits were made for."""
import os

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long by itself; runs with VITALD_LONG")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and "VITALD_LONG" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="takes long by itself: scripts/test --long"))
        if "VITALD_POLITE_ROUNDS" in os.environ:
            item.add_marker(pytest.mark.timeout(1800), append=False)
