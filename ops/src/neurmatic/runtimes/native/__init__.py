"""Plain processes under runit: the embedded default, no container engine needed."""
