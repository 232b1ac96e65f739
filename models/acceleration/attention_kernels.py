"""Chooses torch's fastest attention kernel for each shape, by timing them on the device.

    one call of the body ──shapes──► each kernel that takes the shape, in turns ──► a table

Which one wins differs by GPU, by head width and by tokens, so it is not guessed. The table is what
the rewritten UNet's attention looks its kernel up in; without an entry torch chooses.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

CANDIDATES = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
)
ROUNDS, CALLS = 5, 8
"""Kernels take turns in rounds of so many calls; the median round counts."""

WORTH_IT = 1.05
"""How much quicker than torch's own choice a kernel must be to be taken instead."""

Key = tuple[torch.Size, torch.Size, torch.dtype]
Timer = Callable[[Callable[[], None]], float]
"""Seconds that a call takes on the device."""


class AttentionKernels:
    """Scaled dot-product attention by the kernel that is known to be quickest for its shape."""

    def __init__(self) -> None:
        self._table: dict[Key, SDPBackend | None] = {}
        self._seen: dict[Key, tuple[Tensor, Tensor, Tensor]] | None = None

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """All (B, heads, tokens, width); as `F.scaled_dot_product_attention`."""
        if self._seen is not None:
            self._seen.setdefault(_key(query, key), (query, key, value))
        kernel = self._table.get(_key(query, key))
        if kernel is None:
            return F.scaled_dot_product_attention(query, key, value)
        with sdpa_kernel(kernel):
            return F.scaled_dot_product_attention(query, key, value)

    def choose(
        self,
        run: Callable[[], object],
        timer: Timer,
        candidates: tuple[SDPBackend, ...] = CANDIDATES,
    ) -> None:
        """Fill the table for every shape that `run` asks for and that it has not yet.

        Args:
            run: Calls what uses this.
            timer: Times a call.
            candidates: Kernels to try.
        """
        with self._watching() as seen:
            run()
        for key, tensors in seen.items():
            if key not in self._table:
                self._table[key] = _quickest(tensors, timer, candidates)

    @contextmanager
    def _watching(self) -> Iterator[dict[Key, tuple[Tensor, Tensor, Tensor]]]:
        self._seen = {}
        try:
            yield self._seen
        finally:
            self._seen = None


def _quickest(
    tensors: tuple[Tensor, Tensor, Tensor], timer: Timer, candidates: tuple[SDPBackend, ...]
) -> SDPBackend | None:
    """The quickest kernel; ``None`` where torch's own choice is as good."""
    calls: dict[SDPBackend | None, Callable[[], None]] = {None: _repeated(tensors, None)}
    for kernel in candidates:
        call = _repeated(tensors, kernel)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of every kernel that is not for this
                call()
        except RuntimeError:  # it does not take this shape, or is not for this GPU
            continue
        calls[kernel] = call
    spent_s: dict[SDPBackend | None, list[float]] = {kernel: [] for kernel in calls}
    for _ in range(ROUNDS):
        for each, call in calls.items():
            spent_s[each].append(timer(call))
    typical_s = {kernel: median(times) for kernel, times in spent_s.items()}
    best = min(typical_s, key=lambda kernel: typical_s[kernel])
    return best if typical_s[best] * WORTH_IT < typical_s[None] else None


def _repeated(
    tensors: tuple[Tensor, Tensor, Tensor], kernel: SDPBackend | None
) -> Callable[[], None]:
    def attend() -> None:
        for _ in range(CALLS):
            F.scaled_dot_product_attention(*tensors)

    def call() -> None:
        if kernel is None:
            attend()
            return
        with sdpa_kernel(kernel):
            attend()

    return call


def _key(query: Tensor, key: Tensor) -> Key:
    return query.shape, key.shape, query.dtype
