from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog, QSlider, QWidget

from napari_invisp.settings import RenderSettings, control_of
from napari_invisp.viewer.controls import Controls


@pytest.fixture
def controls(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Controls:
    monkeypatch.setattr("napari_invisp.viewer.controls._REST_MS", 1)
    widget = Controls()
    qtbot.addWidget(widget)
    return widget


def test_the_controls_begin_with_the_default_settings(controls: Controls) -> None:
    assert controls.settings() == RenderSettings()


def test_every_field_has_a_control_with_its_label_help_and_limits(controls: Controls) -> None:
    for each in fields(RenderSettings):
        widget, control = controls[each.name], control_of(each)
        assert widget.label == control.label
        assert widget.native.toolTip() == control.help
        if control.choices is not None:
            assert widget.choices == control.choices
        elif control.minimum is not None:
            assert (widget.min, widget.max) == (control.minimum, control.maximum)


def test_what_is_set_is_what_counts(controls: Controls) -> None:
    wanted = RenderSettings(
        device="cpu", tile=256, model="invisp", headroom=0.35, quality=3, subsampling="4:2:0"
    )
    for each in fields(wanted):
        controls[each.name].value = getattr(wanted, each.name)
    assert controls.settings() == wanted


def test_every_widget_has_a_name(controls: Controls) -> None:
    for each in fields(RenderSettings):
        found = controls.findChild(QWidget, f"napari-invisp.{each.name}")
        assert found is controls[each.name].native
    for slider in controls.findChildren(QSlider):
        assert slider.objectName().startswith("napari-invisp.")


@pytest.mark.parametrize("name", ["quality", "headroom"])
def test_a_slider_moves_before_it_rests(qtbot: QtBot, controls: Controls, name: str) -> None:
    slider = controls[name].native.findChild(QSlider)
    places = [round(share * slider.maximum()) for share in (0.8, 0.6, 0.3)]
    slider.setSliderDown(True)
    moved: list[RenderSettings] = []
    controls.moved.connect(lambda: moved.append(controls.settings()))
    with qtbot.assertNotEmitted(controls.rested, wait=100):
        for place in places:
            slider.setSliderPosition(place)
    assert len({getattr(each, name) for each in moved}) == len(places)
    rested: list[RenderSettings] = []
    controls.rested.connect(lambda: rested.append(controls.settings()))
    with qtbot.waitSignal(controls.rested):
        slider.setSliderDown(False)
    assert rested == moved[-1:]


def test_a_model_is_not_followed(qtbot: QtBot, controls: Controls) -> None:
    with (
        qtbot.waitSignal(controls.changed),
        qtbot.assertNotEmitted(controls.moved),
        qtbot.assertNotEmitted(controls.rested, wait=100),
    ):
        controls["model"].value = "physics"


def test_reset_goes_back_to_what_was_preferred(qtbot: QtBot) -> None:
    preferred = RenderSettings(quality=77, model="physics", headroom=0.25)
    controls = Controls(preferred)
    qtbot.addWidget(controls)
    assert controls.settings() == preferred
    for name, value in (("quality", 3), ("model", "universal"), ("tile", 64), ("headroom", 1.0)):
        controls[name].value = value
    controls.reset()
    assert controls.settings() == preferred


def test_a_checkpoint_can_be_opened(
    controls: Controls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "nikon.pth")
    answers = iter([path, "", path])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (next(answers), ""))
    model = controls["model"]
    ask = model.choices[-1]
    before = len(model.choices)

    model.value = ask
    assert controls.settings() == replace(RenderSettings(), model=path)
    assert "nikon.pth" in [model.native.itemText(i) for i in range(model.native.count())]

    model.value = "physics"
    model.value = ask  # thinks better of it
    assert controls.settings().model == "physics"

    model.value = ask  # the same file again
    assert controls.settings().model == path
    assert len(model.choices) == len(set(model.choices)) == before + 1
