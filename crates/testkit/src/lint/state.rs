//! What the stream is going through, and which rules bend then.

use std::str::FromStr;

use media::Timestamp;

use super::Rule;

/// What a stream is going through; several things may happen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State(u8);

impl State {
    /// Media arrives and is published.
    pub const NORMAL: Self = Self(0);
    /// No media arrives, from the last frame to the jumped playlist.
    pub const HOLD: Self = Self(1);
    /// Between the last frame of one source and the first part of the next.
    pub const SWITCH: Self = Self(2);
    /// The server went away and came back.
    pub const RESTART: Self = Self(4);
    /// Segments are cut without a keyframe.
    pub const FORCED_CUT: Self = Self(8);

    /// Both at once.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two have something in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The states in which `rule` need not hold. This table is the whole of the linter's lenience.
    #[must_use]
    pub const fn bends(rule: Rule) -> Self {
        match rule {
            Rule::H6 => Self::HOLD.and(Self::SWITCH),
            // What is too far ahead of the old process's edge need not be of the new one's.
            Rule::H8 | Rule::H12 | Rule::H27 => Self::RESTART,
            Rule::H9 => Self::HOLD.and(Self::RESTART),
            Rule::H10 | Rule::H13 | Rule::H18 | Rule::H30 => Self::HOLD,
            Rule::H22 => Self::FORCED_CUT,
            // A server that is not there answers nothing.
            Rule::Serve | Rule::Mpd | Rule::D3 | Rule::D12 | Rule::Same => Self::RESTART,
            // What a process had is gone with it, and the next one may know other renditions.
            Rule::D10 | Rule::Stable | Rule::Expiry | Rule::Filler | Rule::Bandwidth => {
                Self::RESTART
            }
            Rule::Join | Rule::Media | Rule::Window => Self::HOLD.and(Self::RESTART),
            Rule::Pace => Self::HOLD.and(Self::SWITCH).and(Self::RESTART),
            Rule::D7 => Self::RESTART.and(Self::FORCED_CUT),
            Rule::D5 | Rule::D9 | Rule::Sap => Self::FORCED_CUT,
            _ => Self::NORMAL,
        }
    }
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of normal, hold, switch, restart, forced-cut")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    /// Words separated by spaces or commas, such as `restart hold`.
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let words = text.split([' ', ',', '\n', '\t']).filter(|w| !w.is_empty());
        words
            .map(word)
            .try_fold(Self::NORMAL, |all, one| Ok(all.and(one?)))
    }
}

fn word(word: &str) -> Result<State, UnknownState> {
    Ok(match word {
        "normal" => State::NORMAL,
        "hold" => State::HOLD,
        "switch" => State::SWITCH,
        "restart" => State::RESTART,
        "forced-cut" => State::FORCED_CUT,
        other => return Err(UnknownState(other.to_owned())),
    })
}

/// The states of a run, as they were told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline(Vec<(Timestamp, State)>);

impl Timeline {
    pub(crate) fn set(&mut self, at: Timestamp, state: State) {
        if self.0.last().is_none_or(|(_, last)| *last != state) {
            self.0.push((at, state));
        }
    }

    /// All that was the case at some moment of `from..=to`.
    pub(crate) fn during(&self, from: Timestamp, to: Timestamp) -> State {
        let ends = self
            .0
            .iter()
            .skip(1)
            .map(|(at, _)| *at)
            .chain([Timestamp::MAX]);
        let spans = self.0.iter().zip(ends);
        spans
            .filter(|((start, _), end)| *start <= to && *end >= from)
            .fold(State::NORMAL, |all, ((_, state), _)| all.and(*state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_words() {
        assert_eq!(
            "restart hold\n".parse(),
            Ok(State::RESTART.and(State::HOLD))
        );
        assert_eq!("normal".parse(), Ok(State::NORMAL));
        assert!("held".parse::<State>().is_err());
    }

    #[test]
    fn a_span_has_all_states_that_it_touches() {
        let at = Timestamp::from_millis;
        let mut line = Timeline::default();
        line.set(at(0), State::NORMAL);
        line.set(at(10), State::HOLD);
        line.set(at(20), State::NORMAL);
        assert_eq!(line.during(at(0), at(9)), State::NORMAL);
        assert_eq!(line.during(at(0), at(10)), State::HOLD);
        assert_eq!(line.during(at(15), at(90)), State::HOLD);
        assert_eq!(line.during(at(21), at(90)), State::NORMAL);
    }

    #[test]
    fn only_what_the_design_names_bends() {
        let bent = |rules: &[Rule], state: State| {
            let meets = |r: &&Rule| State::bends(**r).meets(state);
            rules.iter().filter(meets).copied().collect::<Vec<_>>()
        };
        use Rule::{
            Bandwidth, D3, D5, D7, D9, D10, D12, Expiry, Filler, Join, Media, Mpd, Pace, Same,
        };
        use Rule::{H6, H8, H9, H10, H12, H13, H18, H22, H27, H30, Sap, Serve, Stable, Window};
        let hls = |state| bent(Rule::HLS, state);
        assert_eq!(hls(State::HOLD), [H6, H9, H10, H13, H18, H30]);
        assert_eq!(hls(State::SWITCH), [H6]);
        assert_eq!(hls(State::RESTART), [H8, H9, H12, H27, Serve]);
        assert_eq!(hls(State::FORCED_CUT), [H22]);
        let dash = |state| bent(Rule::DASH, state);
        assert_eq!(dash(State::HOLD), [Join, Window, Pace, Media]);
        assert_eq!(dash(State::SWITCH), [Pace]);
        let without_a_server = [
            D3, D7, D10, D12, Mpd, Join, Stable, Window, Pace, Media, Filler, Expiry, Bandwidth,
            Same,
        ];
        assert_eq!(dash(State::RESTART), without_a_server);
        assert_eq!(dash(State::FORCED_CUT), [D5, D7, D9, Sap]);
        let all = State::HOLD.and(State::SWITCH).and(State::RESTART);
        assert_eq!(bent(Rule::BOTH, all.and(State::FORCED_CUT)), []);
    }
}
