"""The commands for people: `breakwater`, also as `kubectl breakwater`."""
