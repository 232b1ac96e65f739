"""Tests of sessions and commands paint with plain torch; OpenVINO has its own in tests/models, and
tests/test_end_to_end.py goes the whole way with it.
"""

import pytest


@pytest.fixture(autouse=True)
def _plain_torch(plain_torch: None) -> None:
    return
