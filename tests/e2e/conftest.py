"""With VITALD_POLITE_ROUNDS (see judging.py) tests repeat more than their time limits were made for."""
import os

import pytest


def pytest_collection_modifyitems(items):
    if "VITALD_POLITE_ROUNDS" in os.environ:
        for item in items:
            item.add_marker(pytest.mark.timeout(1800), append=False)
