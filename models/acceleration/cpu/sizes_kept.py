"""How many sizes of pictures a module stays compiled for."""

from typing import Any

SIZES_KEPT = 4
MOST_SIZES_KEPT = 12
WEIGHTS_KEPT_BYTES = 200_000_000
"""Each compiled size holds its own copy of the weights: the first number of them is kept at least,
and no more than the second, or than weigh this much."""


def sizes_kept(model: Any) -> int:
    """How many compiled sizes of an OpenVINO model are kept."""
    constants = (each for each in model.get_ops() if each.get_type_name() == "Constant")
    weights_bytes = sum(int(each.get_byte_size()) for each in constants)
    return max(SIZES_KEPT, min(MOST_SIZES_KEPT, WEIGHTS_KEPT_BYTES // max(1, weights_bytes)))
