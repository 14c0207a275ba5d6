use huiwan_apdu::{Command, Ins, Sw};
use huiwan_tlv::{Rules, Tag, walk};

use super::{Kind, kind};

/// Who defines a command, a status word or a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Family {
    /// ISO 7816, or nobody knows.
    #[default]
    Iso,
    /// EMV and PBOC payment, with its directories.
    Emv,
    /// The electronic purse and transit cards.
    Purse,
    /// GlobalPlatform security domains.
    Gp,
}

/// One row per name: how it begins, the family, what it is called.
const NAMES: &[(&[u8], Family, &str)] = &[
    (b"2PAY.SYS.DDF01", Family::Emv, "PPSE, contactless payment directory"),
    (b"1PAY.SYS.DDF01", Family::Emv, "PSE, contact payment directory"),
    (&[0xA0, 0, 0, 3, 0x33, 1, 1, 1], Family::Emv, "UnionPay debit"),
    (&[0xA0, 0, 0, 3, 0x33, 1, 1, 2], Family::Emv, "UnionPay credit"),
    (&[0xA0, 0, 0, 3, 0x33, 1, 1, 3], Family::Emv, "UnionPay quasi-credit"),
    (&[0xA0, 0, 0, 3, 0x33, 1, 1, 6], Family::Emv, "UnionPay electronic cash"),
    (&[0xA0, 0, 0, 3, 0x33], Family::Emv, "UnionPay"),
    (&[0xA0, 0, 0, 0, 3, 0, 0], Family::Gp, "Visa card manager"),
    (&[0xA0, 0, 0, 0, 3], Family::Emv, "Visa"),
    (&[0xA0, 0, 0, 0, 4], Family::Emv, "Mastercard"),
    (&[0xA0, 0, 0, 0, 0x25], Family::Emv, "American Express"),
    (&[0xA0, 0, 0, 0, 0x65], Family::Emv, "JCB"),
    (&[0xA0, 0, 0, 1, 0x51, 0, 0], Family::Gp, "issuer security domain"),
    (&[0xA0, 0, 0, 1, 0x51], Family::Gp, "GlobalPlatform"),
    (&[0xA0, 0, 0, 6, 0x32, 1, 1, 5], Family::Purse, "JT/T 978 transit card, electronic purse"),
    (&[0xA0, 0, 0, 6, 0x32], Family::Purse, "Ministry of Transport"),
    (&[0xA0, 0, 0, 0, 3, 0x86, 0x98, 0x07, 0x01], Family::Purse, "PBOC electronic purse"),
];

fn known(name: &[u8]) -> Option<&'static (&'static [u8], Family, &'static str)> {
    // The card manager of Visa and the PBOC purse begin like Visa: the longest row that fits counts.
    NAMES.iter().filter(|(prefix, ..)| name.starts_with(prefix)).max_by_key(|(prefix, ..)| prefix.len())
}

/// What an application identifier or file name is known as.
pub(super) fn known_name(name: &[u8]) -> Option<&'static str> {
    known(name).map(|(.., text)| *text)
}

impl Family {
    /// The family of a selected application: by its name, else by what its FCI holds.
    pub(super) fn of_selected(name: &[u8], fci: &[u8]) -> Self {
        if let Some((_, family, _)) = known(name) {
            return *family;
        }
        let mut by_content = Self::Iso;
        for (_, object) in walk(fci, Rules::EMV).map_while(Result::ok) {
            match object.tag().get() {
                0x84 if known(object.value()).is_some() => {
                    return known(object.value()).map_or(Self::Iso, |(_, family, _)| *family);
                }
                0x9F38 | 0x87 | 0xBF0C => by_content = Self::Emv,
                0x9F65 | 0x73 => by_content = Self::Gp,
                0x9F0C => by_content = Self::Purse,
                _ => {}
            }
        }
        match by_content {
            // SELECT without a name selects the issuer security domain. [GPC 6.3.1.1]
            Self::Iso if name.is_empty() => Self::Gp,
            family => family,
        }
    }
}

/// Asks the families in order: `first`, then the others.
fn ask<T>(first: Family, f: impl Fn(Family) -> Option<T>) -> Option<T> {
    let others = [Family::Iso, Family::Emv, Family::Gp, Family::Purse];
    f(first).or_else(|| others.into_iter().filter(|family| *family != first).find_map(&f))
}

/// The name of a command.
pub(super) fn command(command: &Command<'_>, kind: Kind, selected: Family) -> Option<&'static str> {
    let ins = Ins::new(command.ins());
    let class = command.class().ok()?;
    // The dictionaries know commands as they are on channel 0.
    let cla = match kind::is_fuel(command, selected) {
        true => command.cla(),
        false => class.with_chaining(false).without_channel().to_byte(),
    };
    ask(kind.family().unwrap_or(selected), |family| match family {
        Family::Iso if class.is_proprietary() && ins != Ins::GET_DATA => None,
        Family::Iso => ins.name(),
        Family::Emv => huiwan_emv::dictionary::command(cla, command.ins(), command.p1()),
        Family::Purse => huiwan_purse::dictionary::command(cla, command.ins(), command.p1()),
        Family::Gp => huiwan_gp::dictionary::command(cla, command.ins(), command.p1()),
    })
    .or_else(|| ins.name())
}

/// What a status word means.
pub(super) fn status_word(sw: Sw, selected: Family) -> Option<&'static str> {
    ask(selected, |family| match family {
        Family::Iso => sw.name(),
        Family::Emv => huiwan_emv::dictionary::status_word(sw),
        Family::Purse => huiwan_purse::dictionary::status_word(sw),
        Family::Gp => huiwan_gp::dictionary::status_word(sw),
    })
}

/// The name of a tag.
pub(super) fn tag(tag: Tag, selected: Family) -> Option<&'static str> {
    ask(selected, |family| match family {
        Family::Iso => None,
        Family::Emv => huiwan_emv::dictionary::tag(tag),
        Family::Purse => huiwan_purse::dictionary::tag(tag),
        Family::Gp => huiwan_gp::dictionary::tag(tag),
    })
}
