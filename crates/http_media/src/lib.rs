//! Media over HTTP: serves what the packager made.
