"""The features that come with pimd, one package each; the build decides which are here."""
