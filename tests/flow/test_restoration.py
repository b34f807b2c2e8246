"""The learned correction of decoded JPEGs: what it looks at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from napari_invisp.flow.coded import Coded
from napari_invisp.flow.restoration import Restoration, places_on_grid
from napari_invisp.flow.universal import CODING_NUMBERS, about_coding

Fill = Callable[[nn.Module, int], None]


@pytest.fixture
def restoration(randomise: Fill) -> Restoration:
    restoration = Restoration(CODING_NUMBERS, width=8, depth=2).double().requires_grad_(False)
    randomise(restoration, 4)
    return restoration


def picture(side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, 3, side, side), generator=generator, dtype=torch.float64)


def corrected(
    restoration: Restoration, z: torch.Tensor, coded: Coded | None = None
) -> torch.Tensor:
    coded = coded or Coded()
    places = places_on_grid(*coded.origin, z.shape[-2] // 2, z.shape[-1] // 2)
    result: torch.Tensor = restoration(z, places[None].to(z), about_coding(coded).to(z)[None])
    return result


def test_a_fresh_restoration_corrects_nothing() -> None:
    fresh = Restoration(CODING_NUMBERS, 8, 2).double().requires_grad_(False)
    z = picture()
    assert torch.equal(corrected(fresh, z), z)


@pytest.mark.parametrize(
    "other",
    [
        Coded(quality=60),
        Coded(quality=98),
        Coded(subsampling="4:4:4"),
        Coded(subsampling="4:2:0"),
        *(Coded(origin=(row, 0)) for row in range(2, 16, 2)),
        *(Coded(origin=(0, column)) for column in range(2, 16, 2)),
    ],
)
def test_depends_on_how_and_where_a_picture_is_stored(
    restoration: Restoration, other: Coded
) -> None:
    z = picture()
    usual = corrected(restoration, z)
    assert (usual - z).abs().max() > 1e-4
    assert (corrected(restoration, z, other) - usual).abs().max() > 1e-6


@pytest.mark.parametrize("origin", [(16, 0), (0, 32), (48, 16)])
def test_the_grid_repeats_every_sixteen_pixels(
    restoration: Restoration, origin: tuple[int, int]
) -> None:
    z = picture()
    same = corrected(restoration, z, Coded(origin=origin))
    torch.testing.assert_close(same, corrected(restoration, z), rtol=0, atol=1e-7)


def test_a_part_lies_where_it_lies_in_the_frame() -> None:
    frame = places_on_grid(1, 0, 30, 40)
    part = places_on_grid(1 + 2 * 7, 2 * 12, 9, 11)
    torch.testing.assert_close(part, frame[:, 7:16, 12:23])


def test_no_two_places_of_a_period_look_alike() -> None:
    cells = places_on_grid(0, 0, 8, 8).flatten(1).T
    apart = torch.cdist(cells, cells) + 9 * torch.eye(64)
    assert apart.min() > 0.5


def test_sees_as_far_as_it_says_and_no_further(restoration: Restoration) -> None:
    reached = []
    for place in (32, 33):
        z = picture(64)
        dot = z.clone()
        dot[..., place, place] += 1
        difference = corrected(restoration, dot) - corrected(restoration, z)
        changed = difference.abs().amax((0, 1)) > 0
        reached += [(changed.any(axis).nonzero() - place).abs().max() for axis in (0, 1)]
    assert max(reached) == restoration.reach


def test_corrections_are_a_few_codes_at_first(restoration: Restoration) -> None:
    """Weights of a trained net's magnitude do not move a picture by more than JPEG does."""
    correction = corrected(restoration, picture(64)) - picture(64)
    assert 0.1 < float(correction.std()) * 255 < 10
