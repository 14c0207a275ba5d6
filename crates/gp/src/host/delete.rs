//! Deleting: an application, a domain, a load file or a key set; or one of them with everything that depends on it.

use huiwan_apdu::{Aid, Sw};

use super::content::{Change, Changing, Link, TokenField};
use super::fault::{Fault, FaultKind, Stage};
use super::manager::{Event, Todo, Turn, command};
use crate::delete::{INS, RELATED, Target};
use crate::put_key::KID_DEK;

pub(super) fn turn(
    target: &Target<'_>,
    changing: &mut Changing,
    event: Event<'_>,
    link: &Link,
    out: &mut [u8],
) -> Turn {
    match (target, event) {
        (Target::Content(aid), event) => content(aid, 0, changing, event, link, out),
        (Target::Key { id, version }, Event::Begin) => {
            if let Some(in_use) = link.channel.map(|channel| channel.key_version)
                && version.is_none_or(|version| version == in_use)
                && id.is_none_or(|id| id <= KID_DEK)
            {
                return Err(Fault { stage: Stage::Delete, kind: FaultKind::KeysInUse(in_use) });
            }
            command([link.cla, INS, 0, 0], |out| Some(target.write(out).ok()?.len()), out, Stage::Delete)
        }
        (Target::Key { .. }, Event::Response(response))
            if !response.sw().is_ok() && !is_gone(response.sw()) =>
        {
            Err(Fault { stage: Stage::Delete, kind: FaultKind::Status(response.sw()) })
        }
        _ => Ok(Todo::Done),
    }
}

/// Not there is what was wanted: a task that is repeated after a lost answer comes to the same end.
const fn is_gone(sw: Sw) -> bool {
    matches!(sw.value(), 0x6A88 | 0x6A82)
}

fn content(
    aid: &[u8],
    p2: u8,
    changing: &mut Changing,
    event: Event<'_>,
    link: &Link,
    out: &mut [u8],
) -> Turn {
    if let Event::Response(response) = event
        && is_gone(response.sw())
    {
        return Ok(Todo::Done);
    }
    let fields = |out: &mut [u8]| Some(Target::Content(aid).write(out).ok()?.len());
    let change = Change {
        header: [INS, 0, p2],
        stage: Stage::Delete,
        fields: &fields,
        token: TokenField::Object,
        names: Some(&[aid]),
    };
    changing.turn(&change, event, link, out)
}

/// How a card deletes what depends on something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RelatedDeletion {
    /// In one command, all or nothing; one by one on a card that answers 6A86 to it. [GPC 11.2.2.2]
    #[default]
    InOneCommand,
    /// One by one. (JCOP 4 answers 6A86 to the other for security domains; scll-core)
    OneByOne,
}

/// Something that is to go with everything that depends on it, as an [`Inventory`](super::Inventory) plans it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal<'j> {
    /// An application, security domain or load file.
    pub what: Aid,
    /// What depends on it, in an order in which each can go.
    pub related: &'j [Aid],
    /// How the card does it.
    pub how: RelatedDeletion,
}

/// Where a removal is.
#[derive(Debug)]
pub(super) struct Removing {
    /// `None`: all in one command; else the next one's place, what is removed itself being the last.
    single: Option<usize>,
    changing: Changing,
}

impl Removing {
    pub(super) const fn new() -> Self {
        Self { single: None, changing: Changing::new() }
    }

    pub(super) fn turn(
        &mut self,
        removal: &Removal<'_>,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        match (event, self.single) {
            (Event::Begin, None) if removal.how == RelatedDeletion::OneByOne => {
                self.one(0, removal, link, out)
            }
            (Event::Response(response), None) if response.sw() == Sw::WRONG_P1P2 => {
                self.one(0, removal, link, out)
            }
            (event, None) => content(removal.what.as_bytes(), RELATED, &mut self.changing, event, link, out),
            (event, Some(place)) => {
                let aid = removal.related.get(place).unwrap_or(&removal.what);
                match content(aid.as_bytes(), 0, &mut self.changing, event, link, out)? {
                    Todo::Done if place < removal.related.len() => {
                        self.one(place.saturating_add(1), removal, link, out)
                    }
                    todo => Ok(todo),
                }
            }
        }
    }

    fn one(&mut self, place: usize, removal: &Removal<'_>, link: &Link, out: &mut [u8]) -> Turn {
        self.single = Some(place);
        self.changing = Changing::new();
        let aid = removal.related.get(place).unwrap_or(&removal.what);
        content(aid.as_bytes(), 0, &mut self.changing, Event::Begin, link, out)
    }
}
