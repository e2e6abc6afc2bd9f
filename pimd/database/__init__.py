"""The SQLite owner: one connection per file, numbered migrations, named jobs that share transactions."""

from sqlite3 import Row

from aiosqlite import Connection

from pimd.database.database import Database, Work
from pimd.database.errors import DatabaseError, SchemaTooNew
from pimd.database.migrations import Migration

__all__ = ["Connection", "Database", "DatabaseError", "Migration", "Row", "SchemaTooNew", "Work"]
