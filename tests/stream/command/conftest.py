"""The command's tests paint with plain torch: converting a miniature for OpenVINO takes longer than
all else that they do, and other tests see to that path.
"""

import pytest


@pytest.fixture(autouse=True)
def _plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **kwargs: object) -> None:
        raise ImportError("not in this test")

    monkeypatch.setattr("models.acceleration.cpu.accelerate.use_openvino", refused)
