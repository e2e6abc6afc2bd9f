"""The features of this daemon: known, chosen, ordered, imported only when they run, started, contained, stopped."""
