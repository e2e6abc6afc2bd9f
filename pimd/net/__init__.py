"""The only socket code of the mesh: listen, dial, and pump a sans-IO link over a stream."""
