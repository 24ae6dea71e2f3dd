"""The kernel's confinement layers, one module each, and the order in which they are applied."""
