//! The worker as the server sees it: a process behind a socket, fed with what ffmpeg encoded.

mod actor;
mod media;

mod broken;
mod edits;
mod ladders;
mod sound;
mod switches;
