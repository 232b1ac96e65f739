"""The critic that the student learns from: it tells, names, goes on, and is weighed."""

from pathlib import Path

import torch

from models.training.critic import Critic, CriticLoop, force_ratio


def test_critic_learns_to_tell_the_students_pictures() -> None:
    torch.manual_seed(0)
    critic = Critic()
    loop = CriticLoop(critic)
    photo, w, looks = torch.rand(8, 3, 32, 32) - 0.5, torch.ones(8, 1, 1, 1), torch.arange(8)
    hinges = []
    for _ in range(40):
        wanted = photo + torch.rand(photo.shape)
        loop.loss(photo.clone(), wanted, photo, w, looks)  # a student that paints nothing
        hinges.append(loop.learn())
    assert hinges[0] > 1.5 and hinges[-1] < 1.0
    taught, made = (critic(p, photo, w, looks)[0].mean() for p in (wanted, photo))
    assert taught > made


def test_critic_learns_to_name_the_teachers_looks() -> None:
    torch.manual_seed(0)
    critic = Critic()
    loop = CriticLoop(critic)
    photo, looks = torch.rand(8, 3, 32, 32) - 0.5, torch.arange(8) % 2 + 1
    tint = torch.tensor([[0.4, 0.0, 0.0], [0.0, 0.0, 0.4]])[looks - 1].view(8, 3, 1, 1)
    wanted, w = photo + tint, torch.ones(8, 1, 1, 1)

    def misnamed(w: torch.Tensor = w, looks: torch.Tensor = looks) -> float:
        _, features = critic(wanted, photo, w, looks)
        return critic.misnamed(wanted, features, w, looks).item()

    before = misnamed()
    for _ in range(40):
        loop.loss(photo, wanted, photo, w, looks)
        loop.learn()
    assert misnamed() < 0.3 * before
    assert misnamed(looks=3 - looks) > misnamed()
    assert misnamed(w=torch.full_like(w, 0.2)) == 0  # hardly painted: no name is asked for


def test_critic_is_saved_and_goes_on(tmp_path: Path) -> None:
    photo, w, looks = torch.rand(2, 3, 32, 32) - 0.5, torch.ones(2, 1, 1, 1), torch.arange(2)
    loop = CriticLoop(Critic())
    loop.loss(photo, photo + 1, photo, w, looks)
    loop.learn()
    loop.save(tmp_path / "critic.pt")
    again = CriticLoop(Critic())
    again.load(tmp_path / "critic.pt")
    expected = loop.loss(photo, photo + 1, photo, w, looks)
    torch.testing.assert_close(again.loss(photo, photo + 1, photo, w, looks), expected)


def test_critic_is_weighed_to_pull_as_hard() -> None:
    at = torch.randn(2, 3, requires_grad=True)
    compared, adversarial = (at * 3).square().sum(), (100 * at).abs().sum()
    ratio = force_ratio(compared, adversarial, at)
    force = torch.autograd.grad(ratio * adversarial, at, retain_graph=True)[0]
    whole = torch.autograd.grad(compared, at)[0]
    torch.testing.assert_close(force.norm(), whole.norm())
