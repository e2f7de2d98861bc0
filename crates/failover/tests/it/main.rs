//! The timeline and the selector alone, and whole programmes over inputs that come and go.

mod programme;
mod selector;
mod timeline;
mod world;
