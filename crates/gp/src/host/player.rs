//! Plays a script made ahead of time, without keys: on a phone, or on the band's own controller. [sheet 5.5]
//!
//! ```text
//! Start ─ SELECT, GET DATA C1 ─ the script that is due ─ its commands, as long as the card answers what is allowed ─ Done
//! ```
//! A [`Report`] says how far it came. What a lost card means is in [`End::advice`]: a script that has begun has used up its counter
//! value, so it is never played twice; the next one of the window begins with the same goal.

use core::fmt;

use huiwan_apdu::{Command, Ins, Ne, Response, Sw};
use huiwan_tlv::{Rules, find_path};

use super::script::{Entries, Entry, Header, Script, Then};
use crate::get_data::TAG_C1_SEQUENCE_COUNTER;
use crate::initialize_update::KEY_DIVERSIFICATION_LEN;
use crate::scp03::challenge::Counter;
use crate::{scp02, scp03, scp11};

/// Output buffer that is enough for every command of the player's own.
pub const OUT_LEN: usize = 24;

/// What the player is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A card is there.
    Start,
    /// Its answer to [`Step::Send`]: data ‖ SW.
    Response(&'a [u8]),
    /// Go on after [`Step::Keep`].
    Continue,
    /// The card is gone.
    Lost,
}

/// What the player wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Send this to the card.
    Send(&'o [u8]),
    /// Keep the answer just given for the TSM, with the number of its entry.
    Keep(u16),
    /// Over.
    Done(Report),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// Everything is done, or was so already.
    Complete,
    /// The card answered a status word the script does not go on after.
    Refused,
    /// The card is not the one the script was written for, or has other keys.
    OtherCard,
    /// No script of the window is due at the card's counter.
    NoScript,
    /// The card's counter is not the one it told before.
    OtherCounter,
    /// The card's answer cannot be read.
    Malformed,
    /// The card is gone.
    Lost,
}

impl End {
    const ALL: [Self; 7] = [
        Self::Complete,
        Self::Refused,
        Self::OtherCard,
        Self::NoScript,
        Self::OtherCounter,
        Self::Malformed,
        Self::Lost,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Refused => 1,
            Self::OtherCard => 2,
            Self::NoScript => 3,
            Self::OtherCounter => 4,
            Self::Malformed => 5,
            Self::Lost => 6,
        }
    }

    /// What is safe to do, in words.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Complete => "nothing is left to do",
            Self::Refused => "report to the TSM before another script is played; the card is not harmed",
            Self::OtherCard => "hold the card the scripts are for; this one is as it was",
            Self::NoScript => "ask the TSM for scripts from the card's counter on; the card is as it was",
            Self::OtherCounter => "hold the card again: its counter has moved, and nothing else",
            Self::Malformed => "hold the card again; if it happens again, report to the TSM",
            Self::Lost => {
                "hold the card again: the next script of the window begins anew, and finds what is done"
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::Refused => "refused by the card",
            Self::OtherCard => "not the script's card",
            Self::NoScript => "no script for the card's counter",
            Self::OtherCounter => "card's counter is not the script's",
            Self::Malformed => "answer cannot be read",
            Self::Lost => "card lost",
        })
    }
}

/// What the TSM hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Report {
    /// The TSM's name of the job; 0 if no script was begun.
    pub job: u64,
    /// The script's counter; without a script, the card's, or 0 if it was not read.
    pub counter: Counter,
    /// Entries of the script that the card has answered as allowed.
    pub entries: u16,
    /// The last status word, 0000 if there was none.
    pub sw: Sw,
    /// How it ended.
    pub end: End,
}

impl Report {
    /// The first byte: the version of the form.
    pub const VERSION: u8 = 1;

    /// Length of the byte form.
    pub const LEN: usize = 17;

    /// version 1 ‖ job 8 ‖ counter 3 ‖ entries 2 ‖ SW 2 ‖ end 1.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let [a, b, c, d, e, f, g, h] = self.job.to_be_bytes();
        let [c1, c2, c3] = self.counter.to_bytes();
        let ([n1, n2], [s1, s2]) = (self.entries.to_be_bytes(), self.sw.value().to_be_bytes());
        [Self::VERSION, a, b, c, d, e, f, g, h, c1, c2, c3, n1, n2, s1, s2, self.end.code()]
    }

    /// Reads the byte form; `None` for another version or length, or an end it does not have.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        let &[version, a, b, c, d, e, f, g, h, c1, c2, c3, n1, n2, s1, s2, end] =
            <&[u8; Self::LEN]>::try_from(raw).ok()?;
        let end = *End::ALL.iter().find(|known| known.code() == end)?;
        (version == Self::VERSION).then_some(Self {
            job: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            counter: Counter::from_bytes([c1, c2, c3]),
            entries: u16::from_be_bytes([n1, n2]),
            sw: Sw::new(u16::from_be_bytes([s1, s2])),
            end,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} after {} entries ({:04X}): {}",
            self.end,
            self.entries,
            self.sw.value(),
            self.end.advice()
        )
    }
}

/// The caller did not follow the protocol of [`Player::step`]; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The input does not fit what was asked for.
    UnexpectedInput,
    /// The output buffer is smaller than [`OUT_LEN`].
    OutputTooSmall,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedInput => f.write_str("input does not fit the last step"),
            Self::OutputTooSmall => write!(f, "output buffer is smaller than {OUT_LEN} bytes"),
        }
    }
}

impl core::error::Error for Misuse {}

#[derive(Debug, Clone)]
enum State<'s> {
    Start,
    Selecting,
    Reading,
    Playing {
        current: Entry<'s>,
        rest: Entries<'s>,
    },
    /// The answer is being kept; then the next entry, or the end.
    Keeping {
        then: Then,
        rest: Entries<'s>,
    },
    Over,
}

/// Plays one script of a window: the one that is due.
#[derive(Debug, Clone)]
pub struct Player<'s> {
    window: &'s [Script<'s>],
    /// Does not ask for the counter: there is one script.
    at_once: bool,
    script: Option<&'s Script<'s>>,
    state: State<'s>,
    report: Report,
}

impl<'s> Player<'s> {
    /// A player that reads the card's counter (GET DATA C1) and takes the script that is due then. All scripts of the window are
    /// for one domain of one card. A script of SCP11, which has no counter, it takes at once.
    #[must_use]
    pub const fn new(window: &'s [Script<'s>]) -> Self {
        let report =
            Report { job: 0, counter: Counter::ZERO, entries: 0, sw: Sw::new(0), end: End::NoScript };
        Self { window, at_once: false, script: None, state: State::Start, report }
    }

    /// A player that takes this script without a look at C1, which speaks for the card's default key set only. If it is not due it
    /// ends at INITIALIZE UPDATE, and the card's counter has moved by one.
    #[must_use]
    pub const fn at_once(script: &'s Script<'s>) -> Self {
        let mut player = Self::new(core::slice::from_ref(script));
        player.at_once = true;
        player
    }

    /// One step. `out` has at least [`OUT_LEN`] bytes.
    ///
    /// # Errors
    /// [`Misuse`] only, with the player as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse>
    where
        's: 'o,
    {
        if out.len() < OUT_LEN {
            return Err(Misuse::OutputTooSmall);
        }
        match (&self.state, input) {
            (State::Over, _) => Ok(Step::Done(self.report)),
            (State::Start, Input::Start) => match self.window.first() {
                None => Ok(self.over(End::NoScript)),
                Some(first) if self.at_once || first.header().scp == scp11::SCP => Ok(self.play(first)),
                Some(first) => {
                    self.state = State::Selecting;
                    let aid = first.header().aid;
                    let select = Command::new(0x00, Ins::SELECT.value(), 0x04, 0x00)
                        .with_data(aid.as_bytes())
                        .with_ne(Ne::MAX_SHORT);
                    select.write(out).map(Step::Send).map_err(|_| Misuse::OutputTooSmall)
                }
            },
            (State::Start, _) => Err(Misuse::UnexpectedInput),
            (_, Input::Lost) => Ok(self.over(End::Lost)),
            (State::Keeping { then, rest }, Input::Continue) => {
                let (then, rest) = (*then, rest.clone());
                Ok(self.next(then, rest))
            }
            (State::Selecting | State::Reading | State::Playing { .. }, Input::Response(raw)) => {
                match Response::parse(raw) {
                    Ok(response) => Ok(self.answered(&response, out)),
                    Err(_) => Ok(self.over(End::Malformed)),
                }
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    fn answered<'o>(&mut self, response: &Response<'_>, out: &'o mut [u8]) -> Step<'o>
    where
        's: 'o,
    {
        let sw = response.sw();
        self.report.sw = sw;
        match self.state.clone() {
            State::Selecting if sw.is_ok() || sw == Sw::WARNING_SELECTED_INVALIDATED => {
                self.state = State::Reading;
                let [.., p1, p2] = TAG_C1_SEQUENCE_COUNTER.get().to_be_bytes();
                let read = Command::new(0x80, Ins::GET_DATA.value(), p1, p2).with_ne(Ne::MAX_SHORT);
                match read.write(out) {
                    Ok(read) => Step::Send(read),
                    Err(_) => self.over(End::Malformed),
                }
            }
            State::Reading if sw.is_ok() => {
                let told = find_path(response.data(), Rules::ISO, &[TAG_C1_SEQUENCE_COUNTER]).ok().flatten();
                let Some(counter) = told.and_then(|told| counter(told.value())) else {
                    return self.over(End::Malformed);
                };
                self.report.counter = counter;
                match self.window.iter().find(|script| script.header().due == counter) {
                    Some(script) => self.play(script),
                    None => self.over(End::NoScript),
                }
            }
            State::Playing { current, rest } => {
                let Some(then) = current.after(sw) else { return self.over(End::Refused) };
                if let (true, Some(script)) = (current.initializes(), self.script) {
                    match identity(response.data()) {
                        None => return self.over(End::Malformed),
                        Some(card) if !card.is(script.header()) => return self.over(End::OtherCard),
                        Some(card) if card.counter != script.header().counter => {
                            return self.over(End::OtherCounter);
                        }
                        Some(_) => {}
                    }
                }
                self.report.entries = self.report.entries.saturating_add(1);
                if current.keeps_answer() {
                    self.state = State::Keeping { then, rest };
                    return Step::Keep(self.report.entries.saturating_sub(1));
                }
                self.next(then, rest)
            }
            _ => self.over(End::Refused),
        }
    }

    fn play<'o>(&mut self, script: &'s Script<'s>) -> Step<'o>
    where
        's: 'o,
    {
        self.script = Some(script);
        self.report.job = script.header().job;
        self.report.counter = script.header().counter;
        self.next(Then::GoOn, script.entries())
    }

    fn next<'o>(&mut self, then: Then, mut rest: Entries<'s>) -> Step<'o>
    where
        's: 'o,
    {
        match rest.next() {
            Some(current) if then == Then::GoOn => {
                self.state = State::Playing { current, rest };
                Step::Send(current.command())
            }
            _ => self.over(End::Complete),
        }
    }

    fn over<'o>(&mut self, end: End) -> Step<'o> {
        self.state = State::Over;
        self.report.end = end;
        Step::Done(self.report)
    }
}

/// What INITIALIZE UPDATE says of the card.
struct Identity {
    key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
    key_version: u8,
    scp: u8,
    /// SCP02 does not tell.
    i: Option<u8>,
    counter: Counter,
}

impl Identity {
    fn is(&self, header: &Header<'_>) -> bool {
        (self.key_diversification, self.key_version, self.scp)
            == (header.key_diversification, header.key_version, header.scp)
            && self.i.is_none_or(|i| i == header.i)
    }
}

/// Reads the answer as far as it needs no keys: SCP02 has the counter before the challenge, SCP03 at its end, in S8 and S16 alike.
fn identity(data: &[u8]) -> Option<Identity> {
    let (key_diversification, rest) = data.split_first_chunk()?;
    let (&[key_version, scp], rest) = rest.split_first_chunk()?;
    let (i, counter) = match (scp, rest.len()) {
        (scp02::SCP, 16) => (None, counter(rest.get(..2)?)?),
        (scp03::SCP, 20 | 36) => (rest.first().copied(), counter(rest.last_chunk::<3>()?)?),
        _ => return None,
    };
    Some(Identity { key_diversification: *key_diversification, key_version, scp, i, counter })
}

/// A counter of two (SCP02) or three bytes.
fn counter(value: &[u8]) -> Option<Counter> {
    match *value {
        [a, b] => Some(Counter::from_bytes([0, a, b])),
        [a, b, c] => Some(Counter::from_bytes([a, b, c])),
        _ => None,
    }
}
