"""The mesh as one node lives it: links, routes, cards, sealed frames, and payloads for plugins."""
