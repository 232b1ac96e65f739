"""Depth: the size and arithmetic that transformers gives these networks; loading; every path."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature import make_controlnet, make_lcm, save
from transformers import (
    AutoModelForDepthEstimation,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
)

from models import ModelFormatError, Style, load_engine
from models.acceleration.cuda.whole_frame import FrameFunction, Recipe
from models.acceleration.rewrites import split
from models.depth import MEAN, STD, DepthEstimator

SIZE = (64, 64)
SIDE_PX = 42


def spread(network: Any) -> Any:
    """With weights so large that pictures give something else at each pixel."""
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def make_depth_anything() -> DepthAnythingForDepthEstimation:
    """The class of Depth Anything's checkpoints, small and random."""
    torch.manual_seed(3)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=SIDE_PX,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    return spread(DepthAnythingForDepthEstimation(config))


def make_dpt() -> DPTForDepthEstimation:
    """The class of DPT's checkpoints."""
    torch.manual_seed(4)
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=48,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
    )
    return spread(DPTForDepthEstimation(config))


def picture(size: tuple[int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def as_image(data: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(data.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


@pytest.mark.parametrize(("make", "size"), [(make_depth_anything, (56, 42)), (make_dpt, (48, 48))])
@torch.inference_mode()
def test_depth_is_transformers_own(make: Any, size: tuple[int, int]) -> None:
    network, data = make(), picture(size)
    processor = DPTImageProcessor(do_resize=False, image_mean=MEAN, image_std=STD)
    theirs = processor.post_process_depth_estimation(
        network(**processor(data, return_tensors="pt")), target_sizes=[(size[1], size[0])]
    )[0]["predicted_depth"]
    assert theirs.std() > 0.01
    expected = (theirs - theirs.min()) / (theirs.max() - theirs.min())
    ours = DepthEstimator(network, "miniature")(as_image(data))
    assert ours.shape == (1, 3, size[1], size[0])
    torch.testing.assert_close(ours[0, 0], expected, rtol=0, atol=1e-4)
    assert torch.equal(ours[:, 0], ours[:, 2])


@torch.inference_mode()
def test_a_network_sees_whole_patches_of_the_size_that_it_was_trained_for() -> None:
    network, seen = make_depth_anything(), []
    network.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["pixel_values"].shape), with_kwargs=True
    )
    estimator = DepthEstimator(network, "miniature")
    for size in ((64, 64), (160, 96), (30, 90)):
        depth = estimator(as_image(picture(size)))
        assert depth.shape[-2:] == (size[1], size[0])
        assert (float(depth.min()), float(depth.max())) == (0.0, 1.0)
    assert [tuple(shape[-2:]) for shape in seen] == [(42, 42), (42, 70), (126, 42)]
    square = DepthEstimator(make_dpt(), "miniature")(as_image(picture((160, 96))))
    assert square.shape[-2:] == (96, 160)


@torch.inference_mode()
def test_each_picture_of_a_batch_has_its_own_range() -> None:
    estimator = DepthEstimator(make_dpt(), "miniature")
    both = torch.cat([as_image(picture((48, 48), seed)) for seed in (1, 2)])
    alone = torch.cat([estimator(both[:1]), estimator(both[1:])])
    torch.testing.assert_close(estimator(both), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("acceleration", ["off", "auto"])
@pytest.mark.filterwarnings("ignore")
def test_an_engine_holds_to_depth(tmp_path: Path, acceleration: Any) -> None:
    pipeline = make_lcm(guidance_width=None)
    model = save(pipeline, tmp_path / "model")
    make_controlnet(pipeline.unet).save_pretrained(tmp_path / "control")
    paths = tmp_path / "depth", tmp_path / "other"
    for path, network in zip(paths, (make_depth_anything(), make_dpt()), strict=True):
        network.save_pretrained(path)
    painted, digests = [], []
    for path in paths:
        engine = load_engine(
            model,
            device="cpu",
            acceleration=acceleration,
            structures=[f"depth={tmp_path / 'control'}:0.9", f"tile={tmp_path / 'control'}:0.1"],
            depth_model=str(path),
        )
        style = Style("ink", 0.6, 1)
        given = engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)
        painted.append(engine.paint(picture(SIZE), *given))
        digests.append(engine.computation.digest_weights())
    assert not np.array_equal(*painted)
    assert digests[0] != digests[1]


@pytest.mark.filterwarnings("ignore")
def test_depth_is_within_the_frame_that_a_graph_holds(tmp_path: Path) -> None:
    pipeline = make_lcm(guidance_width=None)
    model = save(pipeline, tmp_path / "model")
    make_controlnet(pipeline.unet).save_pretrained(tmp_path / "control")
    make_depth_anything().save_pretrained(tmp_path / "depth")
    engine = load_engine(
        model,
        device="cpu",
        acceleration="off",
        dtype=torch.float32,
        structures=[f"depth={tmp_path / 'control'}"],
        depth_model=str(tmp_path / "depth"),
    )
    style = Style("ink", 0.6, 2)
    given = engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)
    expected = engine.paint(picture(SIZE), *given)
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    frame = FrameFunction(engine, (1, SIZE[1], SIZE[0]), Recipe(*given))
    for seed in (2, 1):  # what is captured once is run for other frames
        frame.data.copy_(torch.from_numpy(picture(SIZE, seed))[None])
        frame.run()
    assert np.abs(frame.output[0].numpy().astype(int) - expected.astype(int)).max() <= 1


def test_what_finds_no_depth_says_so(tmp_path: Path) -> None:
    pipeline = make_lcm(guidance_width=None)
    model = save(pipeline, tmp_path / "model")
    control = make_controlnet(pipeline.unet)
    control.save_pretrained(tmp_path / "control")
    with pytest.raises(ValueError, match="expected it with a structure of depth"):
        load_engine(
            model,
            device="cpu",
            structures=[f"tile={tmp_path / 'control'}"],
            depth_model="Intel/dpt-hybrid-midas",
        )
    with pytest.raises(ModelFormatError, match="cannot be loaded"):
        load_engine(
            model,
            device="cpu",
            structures=[f"depth={tmp_path / 'control'}"],
            depth_model=str(tmp_path / "control"),
        )
    network = AutoModelForDepthEstimation.from_config(make_dpt().config)
    network.config.image_size = None
    with pytest.raises(ModelFormatError, match="does not say the size"):
        DepthEstimator(network, "odd")
