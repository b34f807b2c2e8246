from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_invisp.applications.operations import (
    OPERATIONS,
    TONE_MAPPINGS,
    Light,
    Operation,
    retouching,
    tone_mapping,
)
from napari_invisp.hdr.settings import ToneSettings
from napari_invisp.hdr.toning import toned
from napari_invisp.linear import codes_from_linear, encoded, linear_from_codes
from napari_invisp.retouching.filters import retouched
from napari_invisp.retouching.presets import load_preset
from napari_invisp.retouching.settings import RetouchSettings

BY_NAME = {each.name: each for each in OPERATIONS}


def quiet(done: int, total: int) -> None:
    pass


def light() -> Light:
    """A gradient of weak colours that ends at a third of white."""
    rows, columns = np.mgrid[:96, :128]
    grey = 0.01 + 0.3 * (rows / 96) * (columns / 128)
    return (grey[..., None] * [1.1, 1.0, 0.8]).astype(np.float32)


def test_names_are_unique_and_all_operations_are_explained() -> None:
    assert len(BY_NAME) == len(OPERATIONS) >= 10
    assert all(each.about for each in OPERATIONS)
    assert set(TONE_MAPPINGS) < set(OPERATIONS)


def test_the_documentation_lists_every_operation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "applications.md").read_text(encoding="utf-8")
    for each in OPERATIONS:
        assert f"\n| {each.name} | " in text


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_operations_tell_of_progress_and_leave_their_input_alone(operation: Operation) -> None:
    steps: list[tuple[int, int]] = []
    before = light()
    given = before.copy()
    result = operation.act(given, lambda done, total: steps.append((done, total)))
    assert np.array_equal(given, before)
    assert result.shape == before.shape
    assert result.dtype == np.float32
    assert steps[-1][0] == steps[-1][1] > 0


def test_operations_do_what_they_say() -> None:
    given = light()

    def done(name: str) -> Light:
        return BY_NAME[name].act(given, quiet)

    assert np.array_equal(done("neutral"), given)
    np.testing.assert_allclose(done("exposure +2 EV"), 4 * given, rtol=1e-6)
    np.testing.assert_allclose(done("exposure −2 EV"), given / 4, rtol=1e-6)
    assert np.ptp(done("black and white, contrasty"), axis=2).max() < 1e-5
    assert np.array_equal(done("natural"), retouched(given, load_preset("natural")))
    assert np.array_equal(done("tone mapping"), toned(given, ToneSettings()))


def test_tone_mapping_makes_a_dark_frame_brighter_unless_it_is_kept_as_shot() -> None:
    dark = 0.25 * light()
    lifted = BY_NAME["tone mapping"].act(dark, quiet).mean()
    kept = BY_NAME["tone mapping, as bright as shot"].act(dark, quiet).mean()
    assert lifted > 3 * dark.mean()
    assert kept < 2 * dark.mean()
    bright = light()
    bright[:12, :16] = 1  # reaches white by itself
    results = [each.act(bright, quiet) for each in TONE_MAPPINGS[:2]]
    np.testing.assert_allclose(*results, atol=0.01)


def test_without_light_exposure_multiplies_codes() -> None:
    codes = encoded(light())
    on_codes = BY_NAME["exposure −2 EV"].on_codes
    assert on_codes is not None
    np.testing.assert_allclose(on_codes(codes), codes / 4, rtol=1e-6)
    # What acts on display values does the same with light and without.
    settings = RetouchSettings(contrast=0.4, tone_curve=(1, 1.2, 1.3, 1.1, 1, 0.9, 0.8, 0.7))
    curve = retouching("curve", settings)
    assert curve.on_codes is not None
    shown = encoded(curve.act(linear_from_codes(codes_from_linear(light())), quiet))
    np.testing.assert_allclose(
        curve.on_codes(codes_from_linear(light()).astype(np.float32) / 255), shown, atol=1e-4
    )


def test_what_needs_light_has_no_counterpart_on_codes() -> None:
    assert all(each.on_codes is None for each in TONE_MAPPINGS)
    assert BY_NAME["neutral"].on_codes is None


def test_operations_are_made_of_settings() -> None:
    clipped = tone_mapping("mine", ToneSettings(operator="none", highlights="clip"))
    assert (clipped.name, clipped.highlights) == ("mine", "clip")
    assert {each.highlights for each in OPERATIONS} == {"reconstruct"}
    mine = retouching("mine", RetouchSettings(exposure=1))
    np.testing.assert_allclose(mine.act(light(), quiet), 2 * light(), rtol=1e-6)
