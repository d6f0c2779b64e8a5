"""For a Kamailio of the operator's own: it routes, anchors media and reports (docs/plug-in.md)."""

from siprec_kemi.plug_in.reporter import PlugIn

__all__ = ["PlugIn"]
