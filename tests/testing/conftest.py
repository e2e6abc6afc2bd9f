"""The stranger's tests run in a pytest of their own (test_stranger.py)."""

collect_ignore = ["pim_feature_tally"]
