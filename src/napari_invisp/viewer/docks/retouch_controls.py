"""The controls of the retouching dock: sliders, curves, and the order of the filters."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QGroupBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_invisp.retouching.settings import FILTERS, SEGMENTS, RetouchSettings
from napari_invisp.settings import Control, controls
from napari_invisp.viewer.controls import Form, named, on_double_click
from napari_invisp.viewer.curves import CurveEdit, Limits
from napari_invisp.viewer.docks.base import button, label

_LIGHT = ("exposure", "gamma", "contrast")
_COLOUR = ("white_red", "white_green", "white_blue", "saturation", "black_and_white")
_TONE = "tone_curve"
# Each channel's curve, and its colour.
_CHANNELS = {"red_curve": "#ff6b5e", "green_curve": "#5fd35f", "blue_curve": "#6aa5ff"}
_WHITE = "#e4e4e4"
# Slopes of 0.9 to 1.1 would hardly be told from a straight line.
_MAGNIFIED = 5.0
# What a row of the list is told by.
_NAME = Qt.ItemDataRole.UserRole


class RetouchControls(QWidget):
    """A control for each field of :class:`~napari_invisp.retouching.settings.RetouchSettings`.

    What was loaded is kept to the last digit, whatever sliders can show of it.

    Attributes
    ----------
    changed
        Somebody has moved a control, or the settings were reset.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        named(self, "retouch.controls")
        self._settings = RetouchSettings()
        self._controls: dict[str, Control] = {
            each.name: control for each, control in controls(RetouchSettings)
        }
        names = {each.name for each in fields(RetouchSettings)}
        self._light = Form(RetouchSettings, names - {*_LIGHT})
        self._colour = Form(RetouchSettings, names - {*_COLOUR})
        self._sliders = {
            name: form[name]
            for form, own in ((self._light, _LIGHT), (self._colour, _COLOUR))
            for name in own
        }
        for name, widget in self._sliders.items():
            widget.changed.connect(partial(self._on_slider, name))
            on_double_click(widget.native, partial(self._restore, name))
            widget.native.setToolTip(f"{self._controls[name].help}; double-click to reset")
        self.tone_curve = self._curve_edit(_TONE, [_WHITE])
        self.colour_curves = self._curve_edit("colour_curves", list(_CHANNELS.values()), _MAGNIFIED)
        self.tone_curve.changed.connect(self._on_tone)
        self.colour_curves.changed.connect(self._on_colour)
        self.order = QListWidget()
        named(self.order, "retouch.order", self._controls["order"].help + "; drag to move one")
        self.order.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        model = self.order.model()
        assert model is not None
        model.rowsMoved.connect(self._on_order)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box("Light", self._light, self._titled(_TONE), self.tone_curve))
        layout.addWidget(self._box("Colour", self._colour, self._channel_row(), self.colour_curves))
        layout.addWidget(self._box("Order of the filters", self.order))
        self._show()

    # -- what others may call ------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        """Return the slider of the field ``name``."""
        return self._sliders[name]

    def settings(self) -> RetouchSettings:
        """Return what the controls say."""
        return self._settings

    def load(self, settings: RetouchSettings) -> None:
        """Show these settings, without a signal."""
        self._settings = settings
        self._show()

    def reset(self) -> None:
        """Put every control back to what changes nothing."""
        self._change(RetouchSettings())
        self._show()

    # -- parts ---------------------------------------------------------------------------------

    def _box(self, title: str, *parts: QWidget) -> QGroupBox:
        box = QGroupBox(title)
        named(box, f"retouch.group.{title}")
        layout = QVBoxLayout(box)
        for part in parts:
            layout.addWidget(part)
        return box

    def _titled(self, name: str) -> QWidget:
        control = self._controls[name]
        return label(f"retouch.title.{name}", control.label, control.help)

    def _curve_edit(self, name: str, colours: list[str], magnified: float = 1.0) -> CurveEdit:
        control = self._controls[name if name in self._controls else next(iter(_CHANNELS))]
        assert control.minimum is not None
        assert control.maximum is not None
        limits = Limits(control.minimum, control.maximum)
        about = "brightness before and after" if len(colours) == 1 else "one curve a channel"
        return CurveEdit(f"retouch.{name}", about, colours, limits, SEGMENTS, magnified)

    def _channel_row(self) -> QWidget:
        """Make the buttons that choose the channel whose curve is bent."""
        row = QWidget()
        named(row, "retouch.channels")
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(label("retouch.title.colour_curves", "Colour curves"))
        self._exclusive = QButtonGroup(self)
        self._exclusive.setObjectName("napari-invisp.retouch.channel")
        self.channel_buttons = []
        for number, name in enumerate(_CHANNELS):
            title = name.removesuffix("_curve")
            each = button(
                f"retouch.channel.{title}",
                title.capitalize(),
                partial(self.colour_curves.choose, number),
                f"bend the curve of {title}",
            )
            each.setCheckable(True)
            each.setChecked(number == 0)
            self._exclusive.addButton(each)
            self.channel_buttons.append(each)
            layout.addWidget(each)
        return row

    # -- what happens --------------------------------------------------------------------------

    def _change(self, settings: RetouchSettings) -> None:
        if settings != self._settings:
            self._settings = settings
            self.changed.emit()

    def _on_slider(self, name: str, value: float) -> None:
        control = self._controls[name]
        # A slider counts in millionths, and rounds down.
        value = round(value, 3)
        if control.minimum is not None and control.maximum is not None:
            value = min(max(value, control.minimum), control.maximum)
        new: dict[str, Any] = {name: value}
        self._change(replace(self._settings, **new))

    def _restore(self, name: str) -> None:
        self._sliders[name].value = getattr(RetouchSettings(), name)

    def _on_tone(self) -> None:
        self._change(replace(self._settings, tone_curve=self.tone_curve.slopes()))

    def _on_colour(self) -> None:
        curves: dict[str, Any] = {}
        for number, name in enumerate(_CHANNELS):
            curves[name] = self.colour_curves.slopes(number)
        self._change(replace(self._settings, **curves))

    def _on_order(self, *_: Any) -> None:
        order = tuple(self._row(n).data(_NAME) for n in range(self.order.count()))
        self._change(replace(self._settings, order=order))

    def _row(self, number: int) -> QListWidgetItem:
        item = self.order.item(number)
        assert item is not None
        return item

    def _show(self) -> None:
        """Make all controls show the settings."""
        settings = self._settings
        for name, widget in self._sliders.items():
            with widget.changed.blocked():
                widget.value = getattr(settings, name)
        self.tone_curve.load(0, settings.tone_curve)
        for number, name in enumerate(_CHANNELS):
            self.colour_curves.load(number, getattr(settings, name))
        if [self._row(n).data(_NAME) for n in range(self.order.count())] != [*settings.order]:
            self.order.clear()
            for name in settings.order:
                self.order.addItem(_item(name))
        self.order.setFixedHeight(
            self.order.sizeHintForRow(0) * self.order.count() + 2 * self.order.frameWidth() + 2
        )


def _item(name: str) -> QListWidgetItem:
    item = QListWidgetItem(name.replace("-", " ").capitalize())
    item.setData(_NAME, name)
    fields_of = ", ".join(FILTERS[name])
    item.setToolTip(f"{fields_of.replace('_', ' ')}; drag to move")
    return item
