"""Formats of a site's own, described in the configuration alone: `[formats.NAME]`. See `pages/custom.md`."""
