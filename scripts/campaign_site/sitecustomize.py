"""Loaded by the daemons that scripts/campaign_boundaries.py starts: a peer counts as away after 0.2 s in place of 10."""

from pimd_features.messaging import plugin, posting

posting.ABSENT_S = 0.2
plugin.LOOK_S = 0.1  # type: ignore[attr-defined]
