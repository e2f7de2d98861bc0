//! Scenarios of many rooms: all are gone through, whatever the ones before showed.

use anyhow::ensure;
use clap::ValueEnum;

use super::stage::say;

/// Enters those that are named, or all, and says at the end which of them broke promises.
pub(super) async fn through<R: ValueEnum>(
    named: &[R],
    enter: impl AsyncFn(&R) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let rooms = if named.is_empty() {
        R::value_variants()
    } else {
        named
    };
    let mut broken = Vec::new();
    for room in rooms {
        let value = room.to_possible_value();
        let name = value.map_or_else(String::new, |v| v.get_name().to_owned());
        say(&format!("\n## {name}"));
        if let Err(why) = enter(room).await {
            say(&format!("- NOT OK: {why:#}"));
            broken.push(name);
        }
    }
    let broken = broken.join(", ");
    ensure!(broken.is_empty(), "promises were broken: {broken}");
    Ok(())
}
