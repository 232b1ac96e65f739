"""The stem and the decoder that gives a larger picture than the encoder took."""

from pathlib import Path

import pytest
import torch

from models.autoencoder import AutoencoderPatch
from models.stem import Stem

KINDS = ("dots", "lines", "panes")


@pytest.fixture
def stem() -> Stem:
    torch.manual_seed(0)
    stem = Stem(block_out_channels=(16, 24), layers=(1, 2), text_width=32, marks=KINDS).eval()
    for parameter in stem.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return stem.requires_grad_(False)


def test_features_lie_on_the_latents_grid(stem: Stem) -> None:
    style = stem.style(torch.randn(2, 16, 32))
    features = stem(torch.rand(2, 3, 64, 48), torch.randn(2, 4, 32, 24), style)
    assert features.shape == (2, stem.out_channels, 8, 6)


def test_what_is_far_away_is_not_seen(stem: Stem) -> None:
    image, planes = torch.rand(1, 3, 128, 128), torch.randn(1, 4, 64, 64)
    style = stem.style(torch.randn(1, 16, 32))
    before = stem(image, planes, style)
    planes[..., :4, :4] = 0
    changed = (stem(image, planes, style) != before).any(1)[0]
    assert changed[0, 0] and not changed[8:].any() and not changed[:, 8:].any()


def test_a_prompt_steers_it_and_mixtures_lie_between(stem: Stem) -> None:
    image, planes = torch.rand(1, 3, 32, 32), torch.randn(1, 4, 16, 16)
    first, second = torch.randn(2, 1, 16, 32)
    styles = stem.style(first), stem.style(second)
    assert torch.allclose(stem.style((first + second) / 2), (styles[0] + styles[1]) / 2, atol=1e-5)
    assert not torch.allclose(stem(image, planes, styles[0]), stem(image, planes, styles[1]))


def test_marks_that_are_hardly_wanted_are_none_at_all(stem: Stem) -> None:
    stem.mark_head.weight.zero_()
    stem.mark_head.bias.copy_(torch.tensor([0.1, 0.5, 0.97]))
    marks = stem.marks(torch.randn(1, 16, 32))[0]
    assert marks[0] == 0 and marks.sum() == pytest.approx(1)
    assert marks[1] == pytest.approx(1 / 3) and marks[2] == pytest.approx(2 / 3)


def test_it_is_kept_like_any_diffusers_part(stem: Stem, tmp_path: Path) -> None:
    stem.save_pretrained(tmp_path / "stem")
    again = Stem.from_pretrained(tmp_path / "stem")
    assert tuple(again.config.marks) == KINDS
    given = torch.rand(1, 3, 32, 32), torch.randn(1, 4, 16, 16), stem.style(torch.randn(1, 9, 32))
    assert torch.equal(again(*given), stem(*given))


@pytest.mark.parametrize("scale", [1, 2])
def test_decoder_gives_a_larger_picture(scale: int) -> None:
    autoencoder = AutoencoderPatch(latent_channels=4, output_scale=scale)
    latents = autoencoder.encode(torch.rand(1, 3, 64, 32)).latents
    assert latents.shape == (1, 4, 8, 4)
    assert autoencoder.decode(latents).sample.shape == (1, 3, 64 * scale, 32 * scale)
    assert autoencoder.output_scale == scale
