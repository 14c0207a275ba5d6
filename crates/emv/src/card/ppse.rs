//! The proximity payment system environment, `2PAY.SYS.DDF01`: which payment applications the wearer activated. `[EMV-B1 12.3, EMV-B 3.3]`
//!
//! It holds nothing of its own. Its answer is made from the element's [`Directory`](huiwan_card::Directory) at every SELECT,
//! so what the wearer changes is there at the next tap:
//! `6F{84 name, A5{BF0C{61{4F aid, 50 label, 87 priority} …}}}`, in order of priority.

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Action, Context, Entry, Module, ResponseWriter};
use huiwan_tlv::Tag;

/// The name it is selected by.
pub const NAME: Aid = Aid::from_array(*b"2PAY.SYS.DDF01");

/// The PPSE as a card application. Entries appear when they are selectable, activated on the antenna and have a priority.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ppse;

/// Priority and place in the directory: the order of the answer.
type Rank = (u8, usize);

/// The entry after `last`.
fn next_entry(cx: &mut Context<'_>, last: Option<Rank>) -> Result<Option<(Rank, Entry)>, Sw> {
    let mut best: Option<(Rank, Entry)> = None;
    let mut index = 0_usize;
    while let Some(entry) = cx.directory.nth(cx.memory, index)? {
        let place = entry.priority.map(|priority| (priority, index));
        index = index.saturating_add(1);
        let Some(place) = place else { continue };
        let later = last.is_none_or(|last| place > last);
        let earlier = best.as_ref().is_none_or(|(best, _)| place < *best);
        if later && earlier && entry.selectable && entry.contactless && entry.instance != cx.instance {
            best = Some((place, entry));
        }
    }
    Ok(best)
}

impl Module for Ppse {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }

    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        let name = cx.aid;
        let mut failed = None;
        let written = reply.tlv(|w| {
            w.nested(Tag::new(0x6F), |w| {
                w.put(Tag::new(0x84), name.as_bytes());
                w.nested(Tag::new(0xA5), |w| {
                    w.nested(Tag::new(0xBF0C), |w| {
                        let mut last = None;
                        loop {
                            match next_entry(cx, last) {
                                Ok(None) => break,
                                Ok(Some((place, entry))) => {
                                    last = Some(place);
                                    w.nested(Tag::new(0x61), |w| {
                                        w.put(Tag::new(0x4F), entry.aid.as_bytes());
                                        if !entry.label.is_empty() {
                                            w.put(Tag::new(0x50), &entry.label);
                                        }
                                        w.put(Tag::new(0x87), &[place.0 & 0x0F]);
                                    });
                                }
                                Err(sw) => {
                                    failed = Some(sw);
                                    break;
                                }
                            }
                        }
                    });
                });
            });
        });
        match failed.map_or(written, Err) {
            Ok(()) => Sw::OK,
            Err(sw) => sw,
        }
    }

    fn process(&self, _: &mut Context<'_>, _: &Command<'_>, _: &mut ResponseWriter<'_>) -> Action {
        Action::Reply(Sw::INS_NOT_SUPPORTED)
    }

    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::REFERENCED_DATA_NOT_FOUND)
    }
}
