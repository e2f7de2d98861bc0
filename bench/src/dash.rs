//! Viewers of low-latency DASH: each asks for the segment that grows, then for the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::crowd::{Crowd, Viewer, add};
use crate::http::{Body, Connection, split};
use crate::stamp;

/// Where the pictures of an MPD's newest Period are.
#[derive(Debug, PartialEq, Eq)]
struct Template<'a> {
    media: &'a str,
    start_number: u64,
    /// Microseconds since the epoch, which is when Weir's presentations begin to be available.
    start: u64,
    /// Microseconds.
    duration: u64,
}

impl<'a> Template<'a> {
    fn parse(mpd: &'a str) -> Option<Self> {
        let period = &mpd[mpd.rfind("<Period")?..];
        let template = &period[period.find("<SegmentTemplate")?..];
        let number = |name: &str| attribute(template, name)?.parse::<u64>().ok();
        Some(Self {
            media: attribute(template, "media")?,
            start_number: number("startNumber")?,
            start: (seconds(attribute(period, "start")?)? * 1e6) as u64,
            duration: (number("duration")? * 1_000_000).checked_div(number("timescale")?)?,
        })
    }

    /// The segment that begins at a time in its Period or before, in microseconds since the epoch.
    fn at(&self, time: u64) -> Option<u64> {
        let begun = time.checked_sub(self.start)?.checked_div(self.duration)?;
        Some(self.start_number + begun)
    }
}

/// An `xs:duration` of hours, minutes and seconds, or of some of them.
fn seconds(duration: &str) -> Option<f64> {
    let units = [('H', 3_600.0), ('M', 60.0), ('S', 1.0)];
    let (mut rest, mut sum) = (duration.strip_prefix("PT")?, 0.0);
    for (unit, lasts) in units {
        if let Some((count, behind)) = rest.split_once(unit) {
            sum += count.parse::<f64>().ok()? * lasts;
            rest = behind;
        }
    }
    rest.is_empty().then_some(sum)
}

fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.find(&format!(" {name}=\""))? + name.len() + 3;
    text[at..].split('"').next()
}

/// Reads each segment while it is made; chunks of it are pictures.
pub(crate) async fn low_latency(crowd: Arc<Crowd>, viewer: Arc<Viewer>) -> anyhow::Result<()> {
    let began = Instant::now();
    let (address, path) = split(&crowd.options.url)?;
    let mut connection = Connection::open(address).await?;
    let mpd = String::from_utf8(connection.get(path).await?)?;
    let template = Template::parse(&mpd).with_context(|| format!("no template: {mpd}"))?;
    let mut number = template.at(stamp::now() / 1000).context("not begun")?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut first = true;
    loop {
        let name = template.media.replace("$Number$", &number.to_string());
        crowd
            .requests
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut body = connection.body(&format!("{folder}/{name}")).await?;
        while let Some(bytes) = chunk(&mut connection, &mut body, &crowd, &viewer).await? {
            crowd.got(&viewer, bytes, true);
            if std::mem::take(&mut first) && viewer.samples {
                add(&crowd.first_frame, began.elapsed());
            }
        }
        number += 1;
    }
}

/// What came; who measures looks at when the newest picture in it was sent.
async fn chunk(
    connection: &mut Connection,
    body: &mut Body,
    crowd: &Crowd,
    viewer: &Viewer,
) -> anyhow::Result<Option<usize>> {
    if !viewer.samples {
        return connection.count_chunk(body).await;
    }
    // What had grown before it was asked for is older than it need be.
    let live = body.is_growing();
    let Some(chunk) = connection.chunk(body).await? else {
        return Ok(None);
    };
    let now = stamp::now();
    if let Some(sent) = stamp::last(&chunk).filter(|_| live) {
        let age = Duration::from_nanos(now.saturating_sub(sent));
        crowd.sample(&crowd.latency, age);
    }
    Ok(Some(chunk.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_period_tells_which_segment_grows() {
        let mpd = r#"<MPD><Period id="p1" start="PT0S"></Period><Period id="p9" start="PT1M40.5S">
            <AdaptationSet id="1"><SegmentTemplate media="v0_$Number$.m4s?i=a" timescale="90000" duration="180000" startNumber="9"/>"#;
        let template = Template::parse(mpd).unwrap();
        let wanted = Template {
            media: "v0_$Number$.m4s?i=a",
            start_number: 9,
            start: 100_500_000,
            duration: 2_000_000,
        };
        assert_eq!(template, wanted);
        assert_eq!(template.at(103_000_000), Some(10));
        assert_eq!(template.at(100_000_000), None);
        assert_eq!(Template::parse("<MPD/>"), None);
    }
}
