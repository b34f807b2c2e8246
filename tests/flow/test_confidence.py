"""How far a correction is believed: as far as it helped where the truth was known."""

from __future__ import annotations

import pytest
import torch

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.confidence import Confidence

LEVELS = (0.0, 0.5, 1.0, 1.5, 0.25, 2.0)


def corrections(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Give brightnesses all over the range, and corrections of three channels."""
    generator = torch.Generator().manual_seed(seed)
    brightness = torch.rand(count, generator=generator)
    return brightness, 0.01 * torch.randn((count, 3), generator=generator)


def test_it_is_full_until_it_is_measured() -> None:
    assert torch.equal(Confidence().at(torch.tensor([-0.1, 0.0, 0.33, 1.2])), torch.ones(4))


def test_it_is_linear_between_its_levels_and_constant_beyond() -> None:
    values = torch.tensor([[-1.0, 0.0, 0.1], [0.2, 0.75, 1.5]])
    expected = torch.tensor([[0.0, 0.0, 0.25], [0.5, 0.5625, 2.0]])
    torch.testing.assert_close(Confidence(LEVELS).at(values), expected)


def test_it_finds_what_part_of_a_correction_is_right_whatever_the_noise() -> None:
    brightness, correction = corrections(200_000)
    true = Confidence(LEVELS).at(brightness)[:, None] * correction
    assert Confidence.fitted(brightness, correction, true).levels == pytest.approx(LEVELS)
    _, noise = corrections(200_000, 1)
    levels = Confidence.fitted(brightness, correction, true + 2 * noise).levels
    assert levels == pytest.approx(LEVELS, abs=0.05)


def test_no_factor_leaves_less_error() -> None:
    brightness, correction = corrections(20_000)
    error = (0.2 + brightness**2)[:, None] * correction

    def left(confidence: Confidence) -> float:
        return float((error - confidence.at(brightness)[:, None] * correction).square().mean())

    best = Confidence.fitted(brightness, correction, error)
    for knot in range(6):
        for change in (-0.05, 0.05):
            levels = list(best.levels)
            levels[knot] += change
            assert left(best) < left(Confidence(tuple(levels)))


def test_it_never_turns_a_correction_round_nor_exaggerates_it() -> None:
    brightness, correction = corrections(1000)
    assert Confidence.fitted(brightness, correction, -correction).levels == (0.0,) * 6
    assert Confidence.fitted(brightness, correction, 5 * correction).levels == (2.0,) * 6


def test_brightnesses_that_do_not_occur_keep_full_confidence() -> None:
    brightness, correction = corrections(1000)
    levels = Confidence.fitted(0.39 * brightness, correction, 0 * correction).levels
    assert levels[0] == pytest.approx(0, abs=0.01)
    assert levels[3:] == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "values", [None, 1.0, "wrong", [], [1.0] * 5, [1.0] * 7, [1.0] * 5 + [float("inf")]]
)
def test_what_is_no_confidence_is_refused(values: object) -> None:
    with pytest.raises(CheckpointError, match="confidence in restoration is damaged"):
        Confidence.from_list(values)


def test_it_survives_storage() -> None:
    assert Confidence.from_list(list(LEVELS)) == Confidence(LEVELS)
