//! The contactless directory: which applications the card has, best first. `[EMV-B-B 3.3]`

use super::outcome::FaultKind;
use crate::qualifiers::Ttq;
use huiwan_apdu::Aid;
use huiwan_tlv::{Rules, Tag, Tlv, find_path};

/// The name of the Proximity Payment System Environment.
pub const NAME: &[u8; 14] = b"2PAY.SYS.DDF01";

const FCI: Tag = Tag::new(0x6F);
const FCI_PROPRIETARY: Tag = Tag::new(0xA5);
const ISSUER_DISCRETIONARY: Tag = Tag::new(0xBF0C);
const ENTRY: Tag = Tag::new(0x61);
const ADF_NAME: Tag = Tag::new(0x4F);
const PRIORITY: Tag = Tag::new(0x87);
const KERNEL_IDENTIFIER: Tag = Tag::new(0x9F2A);

/// An entry of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// 4F, 5 to 16 bytes.
    pub aid: &'a [u8],
    /// 1 is best, 15 worst; 0 when the card gives no priority, which comes after all others.
    pub priority: u8,
    /// The kernel the card asks for; `None` leaves it to the identifier.
    pub kernel: Option<u8>,
}

impl Entry<'_> {
    /// Whether a combination for `kernel` may take the entry: the card asks for this kernel, or for none in particular.
    ///
    /// Only plain kernel identifiers (one byte with bits 8 and 7 zero) name a kernel; others are domestic numbers no
    /// combination here has.
    #[must_use]
    pub fn allows(&self, kernel: u8) -> bool {
        self.kernel.is_none_or(|wanted| wanted == 0 || wanted == kernel)
    }

    /// Its place in the order of preference; small is better.
    #[must_use]
    pub const fn rank(&self) -> u8 {
        if self.priority == 0 { 16 } else { self.priority }
    }
}

/// The entries of an answer to SELECT PPSE (without status word), in the order of the card. An entry without a
/// usable name is passed over. `[EMV-B-B 3.3.2.4]`
///
/// # Errors
/// [`FaultKind`] when the answer is no such directory.
///
/// ```
/// # let fci = huiwan_testkit::hex("6F30840E325041592E5359532E4444463031A51EBF0C1B61194F08A000000333010101500A50424F43204445424954870101");
/// let mut entries = huiwan_emv::terminal::ppse::entries(&fci).unwrap();
/// let entry = entries.next().unwrap().unwrap();
/// assert_eq!((entry.aid.len(), entry.priority, entry.kernel), (8, 1, None));
/// ```
pub fn entries(fci: &[u8]) -> Result<impl Iterator<Item = Result<Entry<'_>, FaultKind>>, FaultKind> {
    let path = [FCI, FCI_PROPRIETARY, ISSUER_DISCRETIONARY];
    let directory = find_path(fci, Rules::EMV, &path).map_err(FaultKind::Tlv)?;
    let directory = directory.ok_or(FaultKind::Missing(ISSUER_DISCRETIONARY))?;
    Ok(directory.children(Rules::EMV).filter_map(|object| match object {
        Ok(object) if object.tag() == ENTRY => entry(&object).transpose(),
        Ok(_) => None,
        Err(error) => Some(Err(FaultKind::Tlv(error))),
    }))
}

fn entry<'a>(template: &Tlv<'a>) -> Result<Option<Entry<'a>>, FaultKind> {
    let (mut aid, mut priority, mut kernel) = (None, 0, None);
    for object in template.children(Rules::EMV) {
        let object = object.map_err(FaultKind::Tlv)?;
        match object.tag() {
            ADF_NAME => aid = Some(object.value()),
            PRIORITY => priority = object.value().first().map_or(0, |byte| byte & 0x0F),
            KERNEL_IDENTIFIER => kernel = object.value().first().copied(),
            _ => {}
        }
    }
    Ok(aid.filter(|aid| (5..=16).contains(&aid.len())).map(|aid| Entry { aid, priority, kernel }))
}

/// An application both sides have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) aid: Aid,
    pub(super) rank: u8,
    /// What pre-processing made of the terminal's combination.
    pub(super) ttq: Ttq,
}

/// How many applications in common a card may have.
pub(super) const CANDIDATES_MAX: usize = 16;

pub(super) type Candidates = heapless::Vec<Candidate, CANDIDATES_MAX>;
