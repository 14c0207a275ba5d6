//! Cardholder verification: methods, conditions, the list (8E) and the results (9F34). `[EMV-B3 10.5, C3]`

use core::fmt::Write;
use huiwan_tlv::At;

/// Why a CVM list is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CvmListError {
    /// Shorter than its two amounts.
    AmountsTruncated,
    /// The last rule is half there.
    RuleTruncated,
}

impl core::fmt::Display for CvmListError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::AmountsTruncated => "amounts X and Y of the CVM list are cut short",
            Self::RuleTruncated => "last rule of the CVM list is cut short",
        })
    }
}

impl core::error::Error for CvmListError {}

/// A CVM list, tag 8E: two amounts and rules in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CvmList<'a> {
    /// Amount X, minor units of the application currency, binary.
    pub x: u32,
    /// Amount Y, likewise.
    pub y: u32,
    rules: &'a [u8],
}

/// One rule of a CVM list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CvmRule {
    /// The method; bit 7 says to go on with the next rule when it fails.
    pub method: u8,
    /// When it applies.
    pub condition: u8,
}

impl<'a> CvmList<'a> {
    /// Reads the value of tag 8E.
    ///
    /// # Errors
    /// [`CvmListError`], with the byte it is at.
    ///
    /// ```
    /// use huiwan_emv::data::cvm::{CvmList, CvmRule};
    /// let list = [0, 0, 0, 0, 0, 0, 0, 0, 0x42, 0x03, 0x1F, 0x03];
    /// let mut rules = CvmList::parse(&list)?.rules();
    /// assert_eq!(rules.next(), Some(CvmRule { method: 0x42, condition: 0x03 }));
    /// # Ok::<(), huiwan_tlv::At<huiwan_emv::data::cvm::CvmListError>>(())
    /// ```
    pub fn parse(value: &'a [u8]) -> Result<Self, At<CvmListError>> {
        let Some((&[a, b, c, d, e, f, g, h], rules)) = value.split_first_chunk::<8>() else {
            return Err(At::new(CvmListError::AmountsTruncated, value.len()));
        };
        if !rules.len().is_multiple_of(2) {
            return Err(At::new(CvmListError::RuleTruncated, value.len()));
        }
        Ok(Self { x: u32::from_be_bytes([a, b, c, d]), y: u32::from_be_bytes([e, f, g, h]), rules })
    }

    /// The rules, first choice first.
    pub fn rules(self) -> impl Iterator<Item = CvmRule> + 'a {
        let (rules, _) = self.rules.as_chunks::<2>();
        rules.iter().map(|&[method, condition]| CvmRule { method, condition })
    }
}

impl CvmRule {
    /// Whether the next rule is tried when this one fails.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        self.method & 0x40 != 0
    }

    /// The method's name, whatever [`Self::goes_on`] says.
    #[must_use]
    pub const fn method_name(self) -> Option<&'static str> {
        method_name(self.method & 0x3F)
    }

    /// The condition's name.
    #[must_use]
    pub const fn condition_name(self) -> Option<&'static str> {
        condition_name(self.condition)
    }
}

/// CVM results, tag 9F34: what was done, why, and how it ended. `[EMV-B4 A4]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CvmResults(pub [u8; 3]);

impl CvmResults {
    /// Nothing was done. `[EMV-B4 A4]`
    pub const NONE: Self = Self([0x3F, 0x00, 0x00]);

    /// The method, the condition, and the result: 0 unknown (as after a signature or an online PIN), 1 failed, 2 successful.
    #[must_use]
    pub const fn new(method: u8, condition: u8, result: u8) -> Self {
        Self([method, condition, result])
    }
}

const fn method_name(method: u8) -> Option<&'static str> {
    Some(match method {
        0x00 => "fail CVM processing",
        0x01 => "plaintext offline PIN",
        0x02 => "online PIN",
        0x03 => "plaintext offline PIN and signature",
        0x04 => "enciphered offline PIN",
        0x05 => "enciphered offline PIN and signature",
        0x06 | 0x08 | 0x0A | 0x0C | 0x0E => "offline biometric",
        0x07 | 0x09 | 0x0B | 0x0D | 0x0F => "online biometric",
        0x1E => "signature",
        0x1F => "no CVM required",
        0x3F => "no CVM performed",
        _ => return None,
    })
}

const fn condition_name(condition: u8) -> Option<&'static str> {
    Some(match condition {
        0x00 => "always",
        0x01 => "if unattended cash",
        0x02 => "if not cash, not cashback",
        0x03 => "if terminal supports it",
        0x04 => "if manual cash",
        0x05 => "if cashback",
        0x06 => "if in application currency and under X",
        0x07 => "if in application currency and over X",
        0x08 => "if in application currency and under Y",
        0x09 => "if in application currency and over Y",
        _ => return None,
    })
}

fn describe(rule: CvmRule, more: &str, f: &mut dyn FnMut(&str)) {
    let mut text = heapless::String::<120>::new();
    let method = rule.method_name().unwrap_or("unknown method");
    let condition = rule.condition_name().unwrap_or("unknown condition");
    if write!(text, "{method}, {condition}{more}").is_ok() {
        f(&text);
    }
}

pub(super) fn describe_list(value: &[u8], f: &mut dyn FnMut(&str)) {
    let Ok(list) = CvmList::parse(value) else { return };
    for rule in list.rules() {
        describe(rule, if rule.goes_on() { ", else next" } else { ", else fail" }, f);
    }
}

pub(super) fn describe_results(value: &[u8], f: &mut dyn FnMut(&str)) {
    let &[method, condition, result] = value else { return };
    let result = match result {
        0 => ": unknown",
        1 => ": failed",
        2 => ": successful",
        _ => ": ?",
    };
    describe(CvmRule { method, condition }, result, f);
}
