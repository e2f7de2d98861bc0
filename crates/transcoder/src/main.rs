//! The worker's process: see the library beside it.

use std::io::Write as _;

fn main() {
    // A thread that died would leave the others waiting: the server begins anew instead.
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(std::io::stderr(), "{panic}");
        std::process::abort();
    }));
    if let Err(error) = transcoder::run() {
        let _ = writeln!(std::io::stderr(), "{error:#}");
        std::process::exit(1);
    }
}
