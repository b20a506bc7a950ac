"""Every door (HTTP, bus, command line) and the composition root that wires the layers together."""
