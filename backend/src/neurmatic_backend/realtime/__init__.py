"""Realtime: open pages hear at once, through whichever instance they are connected, that an article was published."""
