"""Muon: steps of matrices are orthogonal, all others AdamW's."""

import torch
from torch import nn

from models.training.muon import RMS, Muon, is_matrix, orthogonal


def test_a_matrix_keeps_its_singular_vectors_and_loses_their_sizes() -> None:
    left, _ = torch.linalg.qr(torch.randn(24, 24))
    right, _ = torch.linalg.qr(torch.randn(60, 24))
    matrix = left @ torch.diag(torch.logspace(0, -1, 24)) @ right.T
    for given, expected in ((matrix, left @ right.T), (matrix.T, right @ left.T)):
        turned = orthogonal(given)
        sizes = torch.linalg.svdvals(turned)
        assert (sizes > 0.6).all() and (sizes < 1.3).all()
        assert torch.cosine_similarity(turned.flatten(), expected.flatten(), dim=0) > 0.95


def test_a_step_is_as_large_as_the_rate_says() -> None:
    weight = nn.Parameter(torch.zeros(32, 16, 3, 3))
    weight.grad = 100 * torch.randn_like(weight)
    Muon([{"params": [weight], "matrices": True}], lr=0.01).step()
    assert 0.5 * RMS * 0.01 < weight.square().mean().sqrt() < 1.2 * RMS * 0.01


def test_what_is_no_matrix_is_stepped_as_adamw_does() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(7)) for _ in range(2))
    optimizers = (
        Muon([{"params": [ours]}], lr=0.1, weight_decay=0.05),
        torch.optim.AdamW([theirs], 0.1, (0.9, 0.99), weight_decay=0.05),
    )
    for _ in range(5):
        ours.grad = theirs.grad = torch.randn(7)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_small_and_flat_parameters_are_no_matrices() -> None:
    assert is_matrix(nn.Parameter(torch.zeros(64, 32, 3, 3)))
    assert not is_matrix(nn.Parameter(torch.zeros(64)))
    assert not is_matrix(nn.Parameter(torch.zeros(4, 128)))
