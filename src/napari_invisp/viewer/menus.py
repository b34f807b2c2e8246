"""The layer list's context menu, which manifests have no say in."""

from __future__ import annotations

from app_model.expressions import parse_expression
from app_model.types import MenuItem
from napari._app_model import get_app_model
from napari._app_model.constants import MenuId
from npe2 import PluginContext

#: Commands of the manifest that concern one layer.
LAYER_COMMANDS = tuple(
    f"napari-invisp.{name}" for name in ("recall", "recover_layer", "clipping", "export_layer")
)

_GROUP = "8_invisp"
_WHEN = parse_expression("active_layer_type == 'image'")


def activate(context: PluginContext) -> None:
    """Add the commands for layers to the context menu, for as long as the plugin is active."""
    menus = get_app_model().menus
    known = {
        item.command.id: item.command
        for item in menus.get_menu(menus.COMMAND_PALETTE_ID)
        if isinstance(item, MenuItem)
    }
    items = [
        (MenuId.LAYERLIST_CONTEXT, MenuItem(command=known[name], when=_WHEN, group=_GROUP))
        for name in LAYER_COMMANDS
        if name in known
    ]
    context.register_disposable(menus.append_menu_items(items))
