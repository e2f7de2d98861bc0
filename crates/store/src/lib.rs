//! Streams and numbering rows in SQL.
