//! As much of a media playlist as a load needs.

/// What one lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct List<'a> {
    /// Seconds.
    pub(crate) target: u64,
    pub(crate) segments: Vec<&'a str>,
    /// Of all segments that are listed with theirs, and of the open one.
    pub(crate) parts: Vec<&'a str>,
    /// The open segment's number, and that of its next part.
    pub(crate) next: (u64, usize),
}

impl<'a> List<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut list = Self::default();
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
                list.target = value.parse().unwrap_or(0);
            } else if let Some(value) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                list.next.0 += value.parse().unwrap_or(0);
            } else if let Some(value) = line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=") {
                list.next.0 += value.parse().unwrap_or(0);
            } else if let Some(attributes) = line.strip_prefix("#EXT-X-PART:") {
                list.parts.extend(uri(attributes));
                list.next.1 += 1;
            } else if !line.starts_with('#') && !line.is_empty() {
                list.segments.push(line);
                list.next = (list.next.0 + 1, 0);
            }
        }
        list
    }
}

fn uri(attributes: &str) -> Option<&str> {
    attributes.split_once("URI=\"")?.1.split('"').next()
}

/// What comes after `last`: nothing known, then only the newest.
pub(crate) fn newer<'a, 'b>(all: &'b [&'a str], last: Option<&str>) -> &'b [&'a str] {
    let at = last.and_then(|last| all.iter().rposition(|uri| *uri == last));
    match (at, last) {
        (Some(at), _) => &all[at + 1..],
        _ => &all[all.len().saturating_sub(1)..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n\
        #EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:2,\nv_10.m4s\n\
        #EXT-X-PART:DURATION=1,URI=\"v_11.0.m4s\"\n#EXT-X-PART:DURATION=1,URI=\"v_11.1.m4s\"\n\
        #EXTINF:2,\nv_11.m4s\n#EXT-X-PART:DURATION=1,URI=\"v_12.0.m4s\",INDEPENDENT=YES\n";

    #[test]
    fn what_is_listed() {
        let list = List::parse(TEXT);
        assert_eq!(list.target, 2);
        assert_eq!(list.segments, ["v_10.m4s", "v_11.m4s"]);
        assert_eq!(list.parts, ["v_11.0.m4s", "v_11.1.m4s", "v_12.0.m4s"]);
        assert_eq!(list.next, (12, 1));
        assert_eq!(newer(&list.parts, None), ["v_12.0.m4s"]);
        assert_eq!(newer(&list.parts, Some("v_11.0.m4s")).len(), 2);
        assert_eq!(newer(&list.parts, Some("v_12.0.m4s")).len(), 0);
        assert_eq!(newer(&[], None).len(), 0);
    }
}
