"""End-to-end sessions of messages: forward secret, healing, and hybrid of X25519 and ML-KEM-768; no I/O but SQLite statements.

A session goes one way: the sender makes it with a bundle of the recipient. Functions that take a `Connection` are parts of one
job of the database, so that keys, ciphertexts and messages commit together. docs/protocol.md, "Sessions of messages".
"""
