"""Asks a JSON-RPC server what cases in text files say, over any of its listeners: `python -m pimd.conformance URL FILE...`."""
