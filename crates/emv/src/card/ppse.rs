//! The proximity payment system environment, `2PAY.SYS.DDF01`: which payment applications the wearer activated. `[EMV-B1 12.3, EMV-B 3.3]`
//!
//! It holds nothing of its own. Its answer is made from the element's [`Directory`](huiwan_card::Directory) at every SELECT,
//! so what the wearer changes is there at the next tap:
//! `6F{84 name, A5{BF0C{61{4F aid, 50 label, 87 priority} …}}}`, in order of priority. Without entries `BF0C` is empty.

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Action, Context, Entry, Module, ResponseWriter};
use huiwan_tlv::{Tag, Writer};

/// The name it is selected by.
pub const NAME: Aid = Aid::from_array(*b"2PAY.SYS.DDF01");

/// The PPSE as a card application. Entries appear when they are selectable, activated on the antenna and have a priority.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ppse;

/// Priority and place in the directory: the order of the answer. An application without a priority comes last. `[EMV-B 3.3.2.5]`
type Rank = (u8, usize);

/// The priority indicator has four bits; those of a longer list share the last value, and the order of the answer tells them apart.
const LOWEST: u8 = 0x0F;
/// An answer is at most 256 bytes; of a longer list it has those of the highest priority.
const FCI_MAX: usize = 256;
/// Bytes of the templates and lengths around the entries: `6F`, `84`, `A5`, `BF0C`.
const AROUND: usize = 3 + 2 + 3 + 4;
/// Bytes of an entry besides AID and label: `61`, `4F`, `87`.
const ENTRY: usize = 2 + 2 + 3;

/// The entry after `last`.
fn next_entry(cx: &mut Context<'_>, last: Option<Rank>) -> Result<Option<(Rank, Entry)>, Sw> {
    let mut best: Option<(Rank, Entry)> = None;
    let mut index = 0_usize;
    while let Some(entry) = cx.directory.nth(cx.memory, index)? {
        let place = entry.priority.map(|priority| (priority.checked_sub(1).unwrap_or(u8::MAX), index));
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

/// Writes the entries in order, as many as fit.
fn list(cx: &mut Context<'_>, w: &mut Writer<'_>) -> Result<(), Sw> {
    let mut last = None;
    let mut room = FCI_MAX.saturating_sub(AROUND.saturating_add(cx.aid.as_bytes().len()));
    while let Some((place, entry)) = next_entry(cx, last)? {
        last = Some(place);
        let label = if entry.label.is_empty() { 0 } else { entry.label.len().saturating_add(2) };
        let len = entry.aid.as_bytes().len().saturating_add(label).saturating_add(ENTRY);
        let Some(left) = room.checked_sub(len) else { break };
        room = left;
        w.nested(Tag::new(0x61), |w| {
            w.put(Tag::new(0x4F), entry.aid.as_bytes());
            if !entry.label.is_empty() {
                w.put(Tag::new(0x50), &entry.label);
            }
            w.put(Tag::new(0x87), &[entry.priority.unwrap_or_default().min(LOWEST)]);
        });
    }
    Ok(())
}

impl Module for Ppse {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }

    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        let name = cx.aid;
        let mut listed = Ok(());
        let written = reply.tlv(|w| {
            w.nested(Tag::new(0x6F), |w| {
                w.put(Tag::new(0x84), name.as_bytes());
                w.nested(Tag::new(0xA5), |w| {
                    w.nested(Tag::new(0xBF0C), |w| listed = list(cx, w));
                });
            });
        });
        listed.and(written).err().unwrap_or(Sw::OK)
    }

    fn process(&self, _: &mut Context<'_>, _: &Command<'_>, _: &mut ResponseWriter<'_>) -> Action {
        Action::Reply(Sw::INS_NOT_SUPPORTED)
    }

    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::REFERENCED_DATA_NOT_FOUND)
    }
}
