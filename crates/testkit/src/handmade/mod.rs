//! Packets of SRT that are read and made by hand, honest and hostile, without the crate that they judge
//! (draft-sharabayko-srt-01).

mod kind;

pub use self::kind::Kind;
