from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from napari_invisp.errors import SettingsError
from napari_invisp.jpeg.tables import SAMPLING_FACTORS
from napari_invisp.settings import SUBSAMPLINGS, ComputeSettings, RenderSettings, controls


def test_defaults_are_the_documented_ones() -> None:
    settings = RenderSettings()
    assert (settings.quality, settings.subsampling, settings.device) == (90, "4:2:2", "auto")
    assert 0 <= settings.headroom <= 1
    assert settings.tile == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("quality", 1), ("quality", 100), ("headroom", 0), ("headroom", 1.0), ("tile", 8192)],
)
def test_ends_of_ranges_are_allowed(field: str, value: Any) -> None:
    assert getattr(RenderSettings(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("quality", 0, "quality 0 is not between 1 and 100"),
        ("quality", 101, "quality 101 is not between 1 and 100"),
        ("quality", 90.5, "quality 90.5 is not a whole number"),
        ("quality", "90", "quality '90' is not a number"),
        ("quality", True, "quality True is not a number"),
        ("headroom", -0.01, "headroom -0.01 is not between 0 and 1"),
        ("headroom", 1.5, "headroom 1.5 is not between 0 and 1"),
        ("headroom", float("nan"), "headroom nan is not between 0 and 1"),
        ("headroom", float("inf"), "headroom inf is not between 0 and 1"),
        ("subsampling", "4:1:1", "subsampling '4:1:1' is not one of 4:4:4, 4:2:2, 4:2:0"),
        ("device", "tpu", "device 'tpu' is not one of auto, cpu, cuda, mps"),
        ("tile", -1, "tile -1 is not between 0 and 8192"),
    ],
)
def test_what_is_out_of_range(field: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RenderSettings(**{field: value})
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", [ComputeSettings, RenderSettings])
def test_every_field_is_described_once_for_people(kind: type[ComputeSettings]) -> None:
    described = list(controls(kind))
    assert len({control.label for _, control in described}) == len(described)
    for each, control in described:
        assert control.help
        control.check(each.name, each.default)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        RenderSettings().quality = 50  # type: ignore[misc]


def test_the_codec_knows_every_subsampling_on_offer() -> None:
    assert set(SUBSAMPLINGS) == set(SAMPLING_FACTORS)
