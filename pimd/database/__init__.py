"""The SQLite owner: one connection per file, numbered migrations, named jobs that share transactions."""

from sqlite3 import Connection, Row

from pimd.database.database import Database
from pimd.database.errors import DatabaseError, SchemaTooNew
from pimd.database.migrations import Migration
from pimd.database.thread import Work

__all__ = ["Connection", "Database", "DatabaseError", "Migration", "Row", "SchemaTooNew", "Work"]
