"""Widgets that the installer and the dashboard share, one file each."""
