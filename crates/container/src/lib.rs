//! Bytes to frames and frames to bytes for FLV tags, MPEG-TS and fragmented MP4. Pure.
