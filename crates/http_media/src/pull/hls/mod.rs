mod follow;
mod playlist;
/// Which variant of a multivariant playlist is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The one with the most bits.
    #[default]
    Highest,
    /// The one with the fewest.
    Lowest,
    /// The best of at most so many kilobits per second, or else the lowest.
    MaxKbps(u32),
}
