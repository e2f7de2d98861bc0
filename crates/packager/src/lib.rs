//! Cuts a broadcast into parts and segments and writes HLS, LL-HLS and DASH manifests. Pure.
