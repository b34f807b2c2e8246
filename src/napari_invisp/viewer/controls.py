"""The dock widget's controls, made from the fields of the settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSlider,
    FloatSpinBox,
    LineEdit,
    Slider,
    SpinBox,
)
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import QEvent, QObject, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QFileDialog,
    QGraphicsOpacityEffect,
    QGroupBox,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_invisp.settings import ComputeSettings, Control, RenderSettings, Settings, controls
from napari_invisp.zoo import FOR_USE

#: What object names of the plugin's widgets begin with.
OBJECT_NAME = "napari-invisp"

# Whole numbers within a range of more than this get a spin box instead of a slider.
_SLIDER_STEPS = 100
# The same for numbers with a fraction.
_FLOAT_SLIDER_SPAN = 20
# Of the number beside a slider, in pixels; the slider gets the rest.
_READOUT_WIDTH = 60
# How long a control has to rest before its value counts.
_REST_MS = 250
# Of what cannot be changed now; themes do not tell it from the rest.
_FAINT = 0.4
# The choice of a model that asks for a file.
_ASK = ""

# Controls are shown in groups; what is in none of these comes first.
_LIVE = ("headroom", "quality", "subsampling")
_GROUPS = {
    "JPEG": set(_LIVE),
    "Computing": {each.name for each in fields(ComputeSettings)},
}
_FIRST_GROUP = "Rendering"


def named(widget: QWidget, name: str, help_text: str = "") -> None:
    """Give a widget its object name, and a tooltip."""
    widget.setObjectName(f"{OBJECT_NAME}.{name}")
    if help_text:
        widget.setToolTip(help_text)


def on_double_click(native: QWidget, action: Callable[[], None]) -> None:
    """Do something when a slider of a widget is double-clicked."""
    for slider in native.findChildren(QSlider):
        slider.installEventFilter(_DoubleClick(slider, action))


class _DoubleClick(QObject):
    """Hears of double clicks on a widget, which takes no more notice of them."""

    def __init__(self, watched: QWidget, action: Callable[[], None]) -> None:
        super().__init__(watched)
        self._action = action

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.MouseButtonDblClick:
            self._action()
            return True
        return False


class Controls(QWidget):
    """A control for each field of :class:`~napari_invisp.settings.RenderSettings`.

    Labels, help, choices and ranges are those of the fields.

    Attributes
    ----------
    changed
        A setting has another value.
    moved
        One of those that are followed while they move has another value: headroom, quality,
        subsampling.
    rested
        The same have come to rest: no slider is held, and nothing has changed for a moment.

    Parameters
    ----------
    defaults
        What to begin with, and to go back to; the fields' own defaults if not given.
    """

    changed = Signal()
    moved = Signal()
    rested = Signal()

    def __init__(self, defaults: RenderSettings | None = None) -> None:
        super().__init__()
        named(self, "controls")
        self.defaults = defaults or RenderSettings()
        self._widgets: dict[str, ValueWidget] = {
            each.name: make_control(each.name, getattr(self.defaults, each.name), control)
            for each, control in controls(RenderSettings)
        }
        groups: dict[str, list[ValueWidget]] = {_FIRST_GROUP: [], **{g: [] for g in _GROUPS}}
        for name, widget in self._widgets.items():
            group = next((g for g, members in _GROUPS.items() if name in members), _FIRST_GROUP)
            groups[group].append(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        boxes = [_box(title, members) for title, members in groups.items()]
        for box, _ in boxes:
            layout.addWidget(box)
        # Qt shows the containers; Python has to keep them.
        self._containers = [container for _, container in boxes]
        self._rest = _Rest(self, [self[name].native for name in _LIVE])
        self._rest.over.connect(self.rested)
        for name in _LIVE:
            self[name].changed.connect(self.moved.emit)
            self[name].changed.connect(self._rest.restart)
        for widget in self._widgets.values():
            widget.changed.connect(self.changed.emit)

    @property
    def moving(self) -> bool:
        """Whether one of those that are followed has not come to rest yet."""
        return self._rest.waiting

    def reset(self) -> None:
        """Put every control back to what it began with."""
        for name, widget in self._widgets.items():
            widget.value = getattr(self.defaults, name)

    def prefer(self, defaults: RenderSettings) -> None:
        """Go back to other values from now on; controls that nobody has moved take them at once."""
        before, self.defaults = self.defaults, defaults
        model = self["model"]
        assert isinstance(model, _ModelBox)
        model.offer(defaults.model)
        for name, value in vars(self.settings()).items():
            if value == getattr(before, name) != getattr(defaults, name):
                self[name].value = getattr(defaults, name)

    def __getitem__(self, name: str) -> ValueWidget:
        """Return the control of the field ``name``."""
        return self._widgets[name]

    def settings(self) -> RenderSettings:
        """Return what the controls say."""
        return RenderSettings(**_values(self._widgets))


class Form(QWidget):
    """A control for each field of a settings class, one below the other.

    Attributes
    ----------
    changed
        A field has another value.

    Parameters
    ----------
    settings
        The settings class; each field needs limits or choices.
    leave_out
        Names of fields that get no control.
    defaults
        What to begin with, and to go back to; the fields' own defaults if not given.
    """

    changed = Signal()

    def __init__(
        self,
        settings: type[Settings],
        leave_out: Collection[str] = (),
        defaults: Settings | None = None,
    ) -> None:
        super().__init__()
        self._defaults = defaults or settings()
        self._widgets: dict[str, ValueWidget] = {
            each.name: make_control(each.name, getattr(self._defaults, each.name), control)
            for each, control in controls(settings)
            if each.name not in leave_out
        }
        self._container = Container(widgets=list(self._widgets.values()), labels=True)
        self._container.margins = (0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._container.native)
        for widget in self._widgets.values():
            widget.changed.connect(self.changed.emit)

    def __getitem__(self, name: str) -> ValueWidget:
        """Return the control of the field ``name``."""
        return self._widgets[name]

    def settings(self) -> Any:
        """Return what the controls say, as an object of the settings class."""
        return replace(self._defaults, **_values(self._widgets))

    def enable(self, name: str, enabled: bool) -> None:
        """Let a field be changed, or not, and let its row look like that."""
        widget = self._widgets[name]
        widget.enabled = enabled
        row = widget.native.parentWidget()  # with label and readout, which have no part in that
        if row is not None:
            row.setEnabled(enabled)
            faint = None
            if not enabled:
                faint = QGraphicsOpacityEffect(row)
                faint.setOpacity(_FAINT)
            row.setGraphicsEffect(faint)

    def load(self, settings: Settings) -> None:
        """Show these settings, without a signal."""
        for name, widget in self._widgets.items():
            with widget.changed.blocked():
                widget.value = getattr(settings, name)

    def reset(self) -> None:
        """Put every control back to its default."""
        for name, widget in self._widgets.items():
            widget.value = getattr(self._defaults, name)


def _values(widgets: Mapping[str, ValueWidget]) -> dict[str, Any]:
    # A float slider counts in millionths, and rounds down.
    values = {name: widget.value for name, widget in widgets.items()}
    return {n: round(v, 3) if isinstance(v, float) else v for n, v in values.items()}


class _Rest(QObject):
    """Emits :attr:`over` once nothing has changed for a moment and no slider is held."""

    over = Signal()

    def __init__(self, parent: QWidget, natives: list[QWidget]) -> None:
        super().__init__(parent)
        self._sliders = [slider for native in natives for slider in native.findChildren(QSlider)]
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._timer.timeout.connect(self._look)

    @property
    def waiting(self) -> bool:
        return self._timer.isActive()

    def restart(self) -> None:
        self._timer.start()

    def _look(self) -> None:
        if any(slider.isSliderDown() for slider in self._sliders):
            self._timer.start()
        else:
            self.over.emit()


def make_control(name: str, default: Any, control: Control) -> ValueWidget:
    """Make the widget of one field of a settings class: label, help and limits are the field's."""
    common: dict[str, Any] = {"name": name, "label": control.label, "tooltip": control.help}
    if name == "model":
        widget: ValueWidget = _ModelBox(default, **common)
    elif control.choices is not None:
        widget = ComboBox(choices=control.choices, value=default, **common)
    elif isinstance(default, bool):
        widget = CheckBox(value=default, **common | {"label": "", "text": control.label})
    elif isinstance(default, str):
        widget = LineEdit(value=default, **common)
    else:
        limits: dict[str, Any] = {"min": control.minimum, "max": control.maximum}
        if isinstance(default, float) and limits["max"] - limits["min"] > _FLOAT_SLIDER_SPAN:
            widget = FloatSpinBox(value=default, step=0.1, **limits, **common)
        elif isinstance(default, float):
            widget = FloatSlider(value=default, step=0.05, **limits, **common)
        elif limits["max"] - limits["min"] <= _SLIDER_STEPS:
            widget = Slider(value=default, **limits, **common)
        else:
            widget = SpinBox(value=default, **limits, **common)
    named(widget.native, name, control.help)
    for part in widget.native.children():
        if isinstance(part, QSlider | QAbstractSpinBox):
            named(part, f"{name}.{type(part).__name__}", control.help)
        if isinstance(part, QAbstractSpinBox):
            part.setMaximumWidth(_READOUT_WIDTH)
    return widget


class _ModelBox(ComboBox):
    """The named models and the checkpoints that were opened; the last entry asks for one."""

    def __init__(self, value: str, **common: Any) -> None:
        self._paths: list[str] = []
        self._chosen = value
        super().__init__(choices=self._models, **common)
        self.offer(value)
        self.value = value
        self.changed.connect(self._on_changed)

    def offer(self, model: str) -> None:
        """Let a model be chosen, if that is a checkpoint that was not known before."""
        if model not in (*FOR_USE, *self._paths):
            self._paths.append(model)
            with self.changed.blocked():
                self.reset_choices()

    def _models(self, _: Any) -> list[tuple[str, str]]:
        files = [(Path(path).name, path) for path in self._paths]
        return [*((name, name) for name in FOR_USE), *files, ("Checkpoint file…", _ASK)]

    def _on_changed(self, value: str) -> None:
        if value != _ASK:
            self._chosen = value
            return
        path, _ = QFileDialog.getOpenFileName(
            self.native, "Open a checkpoint", "", "Checkpoints (*.safetensors *.pth *.pt)"
        )
        with self.changed.blocked():
            self.value = self._chosen
        if path:
            self.offer(path)
            self.value = path


def _box(title: str, widgets: list[ValueWidget]) -> tuple[QGroupBox, Container]:
    box = QGroupBox(title)
    named(box, f"group.{title}")
    container = Container(widgets=widgets, labels=True)
    container.margins = (0, 0, 0, 0)
    named(container.native, f"container.{title}")
    layout = QVBoxLayout(box)
    layout.addWidget(container.native)
    return box, container
