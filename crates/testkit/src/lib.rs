//! Synthetic media, a lossy network, player models and an LL-HLS linter. Development only.
