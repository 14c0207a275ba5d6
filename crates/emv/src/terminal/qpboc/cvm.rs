//! Cardholder verification: what the card asks for (CTQ) against what the terminal can do and needs (TTQ).

use crate::cryptogram::Cryptogram;
use crate::qualifiers::{Ctq, Ttq};
use crate::terminal::Cvm;

/// Why there is no cardholder verification both sides accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CvmFailure {
    /// One is required and there is none in common.
    NoneInCommon,
    /// The CTQ is not the one the card signed: somebody changed it on the way.
    NotAsSigned,
    /// One is required, and the device's is claimed without a signature or a cryptogram for the issuer to judge.
    DeviceNotProven,
    /// The PIN would have to be checked online, and the transaction ends offline.
    PinNeedsOnline,
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: Cryptogram,
    /// The issuer will be asked.
    pub(super) online: bool,
    pub(super) ttq: Ttq,
    /// 9F6C.
    pub(super) ctq: Option<Ctq>,
    /// The CTQ inside a verified 9F69.
    pub(super) signed_ctq: Option<Ctq>,
}

/// The method: the device's own first, then online PIN, then signature. `[EMV-C-3 5.7]`, (correction 3)
pub(super) fn choose(asked: &Asked) -> Result<Cvm, CvmFailure> {
    let Asked { kind, online, ttq, ctq, signed_ctq } = *asked;
    if signed_ctq.is_some() && signed_ctq != ctq {
        return Err(CvmFailure::NotAsSigned);
    }
    let Some(ctq) = ctq else {
        return match (ttq.cvm_required(), ttq.signature()) {
            (false, _) => Ok(Cvm::None),
            (true, true) => Ok(Cvm::Signature),
            (true, false) => Err(CvmFailure::NoneInCommon),
        };
    };
    // A card may claim it only to a terminal that takes it.
    if ctq.cdcvm_performed() && ttq.cdcvm() {
        if signed_ctq.is_some() || kind == Cryptogram::Arqc {
            return Ok(Cvm::Device);
        }
        // Worth nothing, but no reason to decline what the card has paid when nothing is required.
        if ttq.cvm_required() {
            return Err(CvmFailure::DeviceNotProven);
        }
    }
    if ctq.online_pin() && ttq.online_pin() {
        return if online { Ok(Cvm::OnlinePin) } else { Err(CvmFailure::PinNeedsOnline) };
    }
    if ctq.signature() && ttq.signature() {
        return Ok(Cvm::Signature);
    }
    if ttq.cvm_required() { Err(CvmFailure::NoneInCommon) } else { Ok(Cvm::None) }
}
