//! The decision: what the card's cryptogram, authentication, restrictions and cardholder verification come to.

use super::cvm::{self, Asked, CvmFailure};
use super::restrictions::Restrictions;
use crate::cryptogram::Cryptogram;
use crate::data::bits::Tvr;
use crate::qualifiers::{Ctq, Ttq};
use crate::terminal::{Cvm, Message, Oda, Outcome, Verdict};

/// Everything the decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: Cryptogram,
    pub(super) ttq: Ttq,
    /// 9F6C.
    pub(super) ctq: Option<Ctq>,
    /// The CTQ inside a verified 9F69.
    pub(super) signed_ctq: Option<Ctq>,
    pub(super) oda: Oda,
    pub(super) restrictions: Restrictions,
    /// The transaction is of a kind that CTQ 1.3 to 1.1 keep from contactless.
    pub(super) cash_barred: bool,
    /// Both sides take the issuer's answer in a second tap.
    pub(super) issuer_update: bool,
}

/// Where the transaction goes before the cardholder is looked at.
enum Route {
    Online,
    Offline,
    Refused(Verdict),
}

/// The first rule that holds. `[JR/T 0025.12; EMV-C-3 5.5, 5.6]`
fn route(facts: &Facts) -> Route {
    let Facts { kind, ttq, oda, restrictions, cash_barred, .. } = *facts;
    let ctq = facts.ctq.unwrap_or_default();
    let online_if = |may: bool| {
        if may && !ttq.offline_only() { Route::Online } else { Route::Refused(Verdict::Declined) }
    };
    match kind {
        Cryptogram::Aac => Route::Refused(Verdict::Declined),
        _ if restrictions.on_exception_file => Route::Refused(Verdict::Declined),
        _ if cash_barred => Route::Refused(other_interface(ttq, true)),
        _ if oda == Oda::Failed && ctq.online_if_oda_fails() && !ttq.offline_only() => Route::Online,
        _ if oda == Oda::Failed => Route::Refused(other_interface(ttq, ctq.switch_if_oda_fails())),
        _ if restrictions.expired => online_if(ctq.online_if_expired()),
        Cryptogram::Arqc => online_if(true),
        Cryptogram::Tc if oda == Oda::Passed => Route::Offline,
        Cryptogram::Tc => Route::Refused(Verdict::Declined),
    }
}

fn other_interface(ttq: Ttq, may: bool) -> Verdict {
    if may && ttq.contact_pboc() { Verdict::TryAnotherInterface } else { Verdict::Declined }
}

/// The outcome.
pub(super) fn decide(facts: &Facts) -> Outcome {
    let Facts { kind, ttq, ctq, signed_ctq, oda, restrictions, .. } = *facts;
    let (verdict, cvm) = match route(facts) {
        Route::Refused(verdict) => (verdict, Ok(Cvm::None)),
        route => {
            let online = matches!(route, Route::Online);
            let cvm = cvm::choose(&Asked { kind, online, ttq, ctq, signed_ctq });
            let verdict = match cvm {
                Ok(_) if online => Verdict::OnlineRequest,
                Ok(_) => Verdict::Approved,
                Err(CvmFailure::NoneInCommon) => other_interface(ttq, true),
                Err(_) => Verdict::Declined,
            };
            (verdict, cvm)
        }
    };

    let mut outcome = Outcome::of(verdict, None);
    outcome.oda = oda;
    outcome.tvr = Tvr::default()
        .with_oda_not_performed(oda == Oda::NotPerformed)
        .with_dda_failed(oda == Oda::Failed)
        .with_on_exception_file(restrictions.on_exception_file)
        .with_expired(restrictions.expired)
        .with_cvm_failed(cvm.is_err());
    outcome.cvm = cvm.unwrap_or_default();
    outcome.message = match (verdict, outcome.cvm) {
        (Verdict::Approved, Cvm::Signature) => Message::ApprovedPleaseSign,
        (Verdict::OnlineRequest, Cvm::OnlinePin) => Message::EnterPin,
        _ => outcome.message,
    };
    outcome.issuer_update = verdict == Verdict::OnlineRequest && facts.issuer_update;
    outcome
}
