//! What the kernel takes from the scheme: every rule that sources don't agree on, or that only one states, is a value here.

use crate::certificates::FddaFormat;
use crate::data::cvm::CvmResults;
use crate::terminal::Verdict;
use huiwan_apdu::Sw;
use huiwan_tlv::Tag;

/// The kernel's scheme parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// What a status word of GET PROCESSING OPTIONS means for the tap.
    pub gpo_status: &'static [(Sw, Verdict)],
    /// What any other status word of GET PROCESSING OPTIONS means.
    pub gpo_status_else: Verdict,
    /// What a status word of READ RECORD other than 9000 means.
    pub record_status: Verdict,
    /// What malformed, repeated, contradicting or missing card data mean.
    pub bad_data: Verdict,
    /// What a card without a PPSE means.
    pub no_directory: Verdict,
    /// What it means that no application in common is left.
    pub no_application: Verdict,
    /// The tags a PDOL must ask for; a card that doesn't is no quickPass card.
    pub pdol_needs: &'static [Tag],
    /// The format byte of fDDA signatures.
    pub fdda_format: FddaFormat,
    /// Cards of this application version (9F08) and later sign version 01 when terminal and 9F69 say so.
    pub fdda_v01_from: u16,
    /// CTQ 1.3 to 1.1 (cash, cashback, ATM) mean what they mean at Visa.
    pub ctq_cash_bits: bool,
    /// A card announces by CTQ 2.7 that it takes the issuer's answer in a second tap (from Visa's sources); else TTQ 3.8
    /// is enough.
    pub ctq_issuer_update: bool,
    /// 9F34 by method.
    pub cvm_results: CvmResultRules,
    /// The most records an AFL may list.
    pub records_max: usize,
    /// How long after a torn tap the same card may come back, in milliseconds.
    pub recovery_window_ms: u32,
    /// Status words of READ RECORD by which a card with the ATC of a torn tap says that it never booked it.
    pub not_booked: &'static [Sw],
    /// How long the field stays off after "see phone", in milliseconds.
    pub see_phone_ms: u16,
    /// What goes to the host, in this order.
    pub online_data: &'static [Tag],
}

/// The CVM results (9F34) for each way the cardholder can be verified over contactless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CvmResultRules {
    /// Not verified.
    pub none: CvmResults,
    /// Online PIN.
    pub online_pin: CvmResults,
    /// Signature.
    pub signature: CvmResults,
    /// By the device.
    pub device: CvmResults,
}

impl CvmResultRules {
    /// As EMV Book 4 codes them.
    pub const EMV: Self = Self {
        none: CvmResults::NONE,
        online_pin: CvmResults::new(0x02, 0x00, 0x00),
        signature: CvmResults::new(0x1E, 0x00, 0x00),
        device: CvmResults::new(0x01, 0x00, 0x02),
    };

    /// The same with another value for a cardholder who wasn't verified.
    #[must_use]
    pub const fn with_none(self, none: CvmResults) -> Self {
        Self { none, ..self }
    }
}

impl Rules {
    /// UnionPay quickPass (kernel 7).
    ///
    /// The status words of GPO come from one source and the habit of kernel 3; times and the record bound are our own.
    pub const QUICK_PASS: Self = Self {
        gpo_status: &[
            (Sw::DATA_INVALIDATED, Verdict::TryAnotherInterface),
            (Sw::CONDITIONS_NOT_SATISFIED, Verdict::SelectNext),
            (Sw::COMMAND_NOT_ALLOWED, Verdict::TryAgain),
        ],
        gpo_status_else: Verdict::SelectNext,
        record_status: Verdict::EndApplication,
        bad_data: Verdict::EndApplication,
        no_directory: Verdict::TryAnotherInterface,
        no_application: Verdict::TryAnotherInterface,
        pdol_needs: &[Tag::new(0x9F66), Tag::new(0x9F37), Tag::new(0x9F02), Tag::new(0x5F2A)],
        fdda_format: FddaFormat::Pboc,
        fdda_v01_from: 0x0030,
        ctq_cash_bits: false,
        ctq_issuer_update: true,
        cvm_results: CvmResultRules::EMV,
        records_max: 32,
        recovery_window_ms: 30_000,
        not_booked: &[Sw::CONDITIONS_NOT_SATISFIED],
        see_phone_ms: 1500,
        online_data: &[
            Tag::new(0x9F26),
            Tag::new(0x9F27),
            Tag::new(0x9F10),
            Tag::new(0x9F37),
            Tag::new(0x9F36),
            Tag::new(0x95),
            Tag::new(0x9A),
            Tag::new(0x9C),
            Tag::new(0x9F02),
            Tag::new(0x5F2A),
            Tag::new(0x82),
            Tag::new(0x9F1A),
            Tag::new(0x9F03),
            Tag::new(0x9F33),
            Tag::new(0x9F34),
            Tag::new(0x9F35),
            Tag::new(0x9F1E),
            Tag::new(0x84),
            Tag::new(0x9F09),
            Tag::new(0x9F41),
        ],
    };

    /// What a status word of GET PROCESSING OPTIONS means for the tap. (correction 5)
    #[must_use]
    pub fn after_gpo_status(&self, sw: Sw) -> Verdict {
        let row = self.gpo_status.iter().find(|(row, _)| *row == sw);
        row.map_or(self.gpo_status_else, |(_, verdict)| *verdict)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::QUICK_PASS
    }
}
