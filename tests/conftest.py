"""Fixtures for every test: random generators are left as they were found; torch computes on one
thread; no GPU by default.
"""

import os
import random
import signal
from collections.abc import Iterator

import numpy as np
import pytest
import torch

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start jobs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

REQUIRE_CUDA = "ALLAPRIMA_REQUIRE_CUDA"
REQUIRE_BROWSER = "ALLAPRIMA_REQUIRE_BROWSER"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked cuda where there is no device, unless one is required; skip those marked
    browser unless they are asked for.
    """
    if os.environ.get(REQUIRE_BROWSER) != "1":
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=f"{REQUIRE_BROWSER} is not 1"))
    if torch.cuda.is_available() or os.environ.get(REQUIRE_CUDA) == "1":
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(
                pytest.mark.skip(reason=f"no CUDA device (and {REQUIRE_CUDA} is not 1)")
            )


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compiled models are kept apart from the user's, for this process and those it starts."""
    os.environ["ALLAPRIMA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread_for_fixtures() -> None:
    """What a module or a session shares is made before a test begins: with one thread too.

    Torch's threads wait for each other after every operation: where other programs hold the
    cores, miniature models take a hundred times as long on two threads as on one.
    """
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that are started


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A fast path sets torch's threads for the process; every test begins with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paint with plain torch: converting a miniature for OpenVINO takes longer than all else that
    a test of a session or a command does, and the tests in tests/models see to that path.
    """

    def refused(*args: object, **kwargs: object) -> None:
        raise ImportError("not in this test")

    monkeypatch.setattr("models.acceleration.cpu.accelerate.use_openvino", refused)


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films are painted by the test's own process, however many cores there are."""
    monkeypatch.setattr("stream.offline.places.CORES_A_WORKER", 4096)


@pytest.fixture(autouse=True)
def _same_randomness() -> Iterator[None]:
    """Seed every generator before a test and restore it afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
