"""The wizard's widgets, one file each."""
