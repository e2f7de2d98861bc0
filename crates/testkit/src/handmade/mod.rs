//! Packets of SRT that are read and made by hand, honest and hostile, without the crate that they judge
//! (draft-sharabayko-srt-01).

mod caller;
mod hostile;
mod kind;
mod packet;
mod shake;

pub use self::caller::Caller;
pub use self::hostile::{Attack, Standing, Twist, conclusions, keys, standing, strays};
pub use self::kind::Kind;
pub use self::packet::{MODULO, control, data, word, words};
pub use self::shake::{Answer, Block, Shake, extension, request};
