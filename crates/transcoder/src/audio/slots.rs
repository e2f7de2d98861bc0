//! Which of a source's tracks goes on with which of those before it.

use ladder::Output;
use media::Track;

/// The tracks that were ever heard, in the order in which they were first.
#[derive(Debug, Default)]
pub(super) struct Slots {
    languages: Vec<Option<String>>,
}

impl Slots {
    /// A place for each track: that of its language, else the first free one of none or a new one;
    /// `None` beyond the last place there is.
    pub(super) fn assign(&mut self, tracks: &[Track]) -> Vec<Option<u8>> {
        let mut taken = vec![false; self.languages.len()];
        let mut places: Vec<Option<usize>> = tracks
            .iter()
            .map(|track| {
                let language = track.language.as_deref()?;
                let same = |(slot, known): (usize, &Option<String>)| {
                    (known.as_deref() == Some(language) && !taken[slot]).then_some(slot)
                };
                let slot = self.languages.iter().enumerate().find_map(same)?;
                taken[slot] = true;
                Some(slot)
            })
            .collect();
        for (place, track) in places.iter_mut().zip(tracks).filter(|(p, _)| p.is_none()) {
            let fits = |slot: &usize| {
                let known = self.languages[*slot].is_none() || track.language.is_none();
                known && !taken[*slot]
            };
            let found = (0..self.languages.len()).find(fits);
            let slot = match found {
                None if self.languages.len() < Output::MOST_SLOTS => {
                    self.languages.push(track.language.clone());
                    taken.push(false);
                    Some(taken.len() - 1)
                }
                // Where none is left, sound under another language is better than none.
                None => taken.iter().position(|taken| !taken),
                found => found,
            };
            let Some(slot) = slot else {
                continue;
            };
            taken[slot] = true;
            *place = Some(slot);
        }
        let number = |slot: Option<usize>| u8::try_from(slot?).ok();
        places.into_iter().map(number).collect()
    }

    /// The language of a place.
    pub(super) fn language(&self, slot: u8) -> Option<&str> {
        self.languages.get(usize::from(slot))?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::codec::AacConfig;
    use media::{CodecConfig, TrackId};

    use super::*;

    fn tracks(languages: &[Option<&str>]) -> Vec<Track> {
        let config = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("a configuration");
        let track = |(language, id): (&Option<&str>, u16)| Track {
            language: language.map(str::to_owned),
            ..Track::new(TrackId(id), CodecConfig::Aac(config.clone()))
        };
        languages.iter().zip(1..).map(track).collect()
    }

    #[test]
    fn a_language_keeps_its_place() {
        let mut slots = Slots::default();
        assert_eq!(
            slots.assign(&tracks(&[Some("en"), Some("de")])),
            [Some(0), Some(1)]
        );
        assert_eq!(
            slots.assign(&tracks(&[Some("de"), Some("en")])),
            [Some(1), Some(0)]
        );
        assert_eq!(slots.assign(&tracks(&[Some("de")])), [Some(1)]);
        assert_eq!(
            slots.assign(&tracks(&[Some("fr"), Some("en")])),
            [Some(2), Some(0)]
        );
        assert_eq!(slots.language(2), Some("fr"));
    }

    #[test]
    fn one_that_names_none_goes_on_with_the_first() {
        let mut slots = Slots::default();
        assert_eq!(
            slots.assign(&tracks(&[Some("en"), Some("de")])),
            [Some(0), Some(1)]
        );
        assert_eq!(slots.assign(&tracks(&[None])), [Some(0)]);
        assert_eq!(
            slots.assign(&tracks(&[None, Some("en")])),
            [Some(1), Some(0)]
        );
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let mut slots = Slots::default();
        let many = vec![None; 20];
        let places = slots.assign(&tracks(&many));
        assert_eq!(places.iter().flatten().count(), Output::MOST_SLOTS);
        let later = slots.assign(&tracks(&[Some("en"), Some("de")]));
        assert_eq!(later, [Some(0), Some(1)]);
        let mut slots = Slots::default();
        for n in 0..100 {
            let language = format!("x-{n}");
            let places = slots.assign(&tracks(&[Some(&language)]));
            assert!(places[0].is_some(), "language {n}");
        }
        assert_eq!(slots.languages.len(), Output::MOST_SLOTS);
    }
}
