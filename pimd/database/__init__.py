"""The SQLite owner: one connection per file, numbered migrations, named jobs that share transactions."""

from pimd.database.database import Database, Work
from pimd.database.errors import DatabaseError, SchemaTooNew
from pimd.database.migrations import Migration

__all__ = ["Database", "DatabaseError", "Migration", "SchemaTooNew", "Work"]
