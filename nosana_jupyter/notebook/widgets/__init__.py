"""
Widgets of remote cells, drawn here and driven from here: the relay, and what strangers may show.
"""
