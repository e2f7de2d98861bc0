//! When a playlist request may be answered (RFC 8216bis 6.2.5.2).

use packager::Media;

use crate::error::Refusal;
use crate::resource::Directives;

/// Whether `media` holds what is asked for. An ended playlist answers everybody, a frozen one all
/// who do not ask for what lies too far ahead.
///
/// # Errors
/// What lies too far ahead to wait for.
pub(crate) fn is_ready(media: &Media, directives: Directives) -> Result<bool, Refusal> {
    let Some(msn) = directives.msn else {
        return Ok(true);
    };
    let Some(edge) = media.edge() else {
        return Ok(false);
    };
    if media.ended {
        return Ok(true);
    }
    if msn > edge.msn + 2 {
        return Err(Refusal::TooFarAhead);
    }
    let Some(part) = directives.part else {
        return Ok(media.hold || msn < edge.msn || msn == edge.msn && edge.complete);
    };
    if msn < edge.msn {
        // A part beyond its segment's last is the first of the next one, which is there.
        return Ok(true);
    }
    if msn == edge.msn {
        let beyond = part >= edge.parts;
        if part > edge.parts + advance_limit(media) {
            return Err(Refusal::TooFarAhead);
        }
        return Ok(media.hold || !beyond);
    }
    if part > advance_limit(media) {
        return Err(Refusal::TooFarAhead);
    }
    Ok(media.hold)
}

/// Three parts, or three seconds' worth of short ones.
fn advance_limit(media: &Media) -> u32 {
    let target = media.part_target.as_nanos().max(1);
    let within = 3_000_000_000 / target;
    u32::try_from(within.max(3)).unwrap_or(3)
}
