"""A decoder that ends in bytes paints what the plain one paints, and smaller where told to."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from models.acceleration.cpu.openvino import OpenVinoCall
from models.acceleration.cpu.openvino_exit import (
    OpenVinoExit,
    apart,
    areas,
    exit_of,
    picture,
    shrunk,
)
from models.autoencoder import AutoencoderPatch
from models.networks import LatentDecoder, LatentScale, make_networks
from models.pixels import to_data

pytest.importorskip("openvino")

WHOLE = 8


@pytest.fixture(scope="module")
def decoder() -> LatentDecoder:
    torch.manual_seed(2)
    vae = AutoencoderPatch(latent_channels=4, block_out_channels=(8, 8), output_scale=2).eval()
    return LatentDecoder(vae, LatentScale(vae))


@pytest.fixture(scope="module")
def call(decoder: LatentDecoder) -> OpenVinoCall:
    return OpenVinoCall(
        decoder, (torch.zeros(1, 4, 2, 2),), precision="f32", threads=1, on_failure=pytest.fail
    )


def latents(seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(seed))


def reduced(data: np.ndarray, block: int) -> np.ndarray:
    size = data.shape[1] * block // WHOLE, data.shape[0] * block // WHOLE
    return cv2.resize(data.astype(np.float32), size, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("block", [4, 5, 6, 7, 8])
@torch.inference_mode()
def test_it_is_the_plain_picture_averaged_over_areas(
    decoder: LatentDecoder, call: OpenVinoCall, block: int
) -> None:
    found = exit_of(call)
    assert found is not None and found.block == WHOLE

    painted = found(latents(), block)

    wanted = reduced(to_data(decoder(latents())), block)
    assert painted.shape == (6 * block, 10 * block, 3) and painted.dtype == np.uint8
    assert painted.flags.c_contiguous
    # the plain picture was clamped to levels before it was averaged
    assert np.abs(painted - wanted).mean() < 0.6 and np.abs(painted - wanted).max() < 40


@torch.inference_mode()
def test_whole_it_is_the_plain_picture(decoder: LatentDecoder, call: OpenVinoCall) -> None:
    painted, wanted = OpenVinoExit(call)(latents(), WHOLE), to_data(decoder(latents()))

    assert np.abs(painted.astype(int) - wanted).max() <= 1  # a half rounds either way


@torch.inference_mode()
def test_weights_in_integers_stay_so(call: OpenVinoCall) -> None:
    names = [node.get_friendly_name() for node in call.model.get_ordered_ops()]
    last = [name for name in names if name.endswith("/Convolution")][-1]
    ends = np.array([[-3] * 8, [3] * 8], np.float32)
    quantized = call.quantized({last.removeprefix("__module.").split("/")[0]: ends})

    found = OpenVinoExit(quantized)

    kinds = [node.get_type_name() for node in found.call(6).model.get_ordered_ops()]
    assert kinds.count("FakeQuantize") == 3  # what it is fed, its weights, the levels
    error = found(latents(), 6).astype(float) - OpenVinoExit(call)(latents(), 6)
    assert 0 < np.square(error).mean() < 9


@torch.inference_mode()
def test_what_openvino_refuses_is_painted_plain(
    call: OpenVinoCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = OpenVinoExit(call)(latents(), 6)
    refused = OpenVinoExit(call)
    monkeypatch.setattr(OpenVinoCall, "_compile", lambda *_: None)

    painted = refused(latents(), 6)

    assert np.abs(painted.astype(float) - wanted).mean() < 0.6


def test_another_make_has_none() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(4, 3, 3), torch.nn.Tanh())
    call = OpenVinoCall(
        module, (torch.zeros(1, 4, 4, 4),), precision="f32", threads=1, on_failure=pytest.fail
    )

    assert exit_of(call) is None
    with pytest.raises(ValueError, match="does not end in"):
        OpenVinoExit(call)


@pytest.mark.parametrize("block", [1, 3, 8])
def test_shuffling_pixels_has_a_way_back(block: int) -> None:
    data = np.random.default_rng(3).integers(0, 256, (2 * block, 5 * block, 3), np.uint8)

    levels = apart(data, block)

    assert levels.shape == (1, 2, 5, 3 * block**2)
    assert (picture(torch.from_numpy(levels), block) == data).all()


@pytest.mark.parametrize("block", range(1, 9))
def test_areas_share_every_pixel_out(block: int) -> None:
    share = areas(WHOLE, block)

    assert share.sum(1) == pytest.approx(np.ones(block))
    assert share.sum(0) == pytest.approx(np.full(WHOLE, block / WHOLE))
    flat = shrunk(np.full(3 * WHOLE**2, 0.5, np.float32), WHOLE, block)
    assert flat == pytest.approx(np.full(3 * block**2, 0.5))


def test_cell_sizes_are_those_that_the_exit_gives(call: OpenVinoCall) -> None:
    unet = UNet2DConditionModel(
        in_channels=4, out_channels=4, block_out_channels=(8, 8), norm_num_groups=4,
        cross_attention_dim=8, attention_head_dim=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderPatch(latent_channels=4, block_out_channels=(8, 8), output_scale=2)
    plain = make_networks(unet, vae)
    quick = replace(plain, exit=exit_of(call))

    assert plain.cell_sizes == (16,) and quick.cell_sizes == (8, 10, 12, 14, 16)
    assert quick.exit_block(None) == 8 and quick.exit_block(12) == 6
    assert plain.exit_block(16) is None
    with pytest.raises(ValueError, match="expected one of"):
        quick.exit_block(11)
