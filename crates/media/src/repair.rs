//! Repair of source timestamps: wraps, jumps, duplicates and disorder, mended once at ingest.
