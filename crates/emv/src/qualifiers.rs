//! What terminal and card tell each other about their abilities in one tap: TTQ (9F66) and CTQ (9F6C).

pub(crate) use crate::data::bits::bits;

/// Terminal transaction qualifiers, tag 9F66, as JR/T 0025.12 numbers the bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ttq(pub [u8; 4]);

bits! { Ttq:
    msd, with_msd = 1:8, "magnetic-stripe data mode supported";
    contactless_pboc, with_contactless_pboc = 1:7, "full debit/credit over contactless supported";
    qpboc, with_qpboc = 1:6, "qPBOC supported";
    contact_pboc, with_contact_pboc = 1:5, "contact chip supported";
    offline_only, with_offline_only = 1:4, "offline-only terminal";
    online_pin, with_online_pin = 1:3, "online PIN supported";
    signature, with_signature = 1:2, "signature supported";
    oda_for_online, with_oda_for_online = 1:1, "offline data authentication for online authorisation";
    online_cryptogram_required, with_online_cryptogram_required = 2:8, "online cryptogram required";
    cvm_required, with_cvm_required = 2:7, "cardholder verification required";
    offline_pin, with_offline_pin = 2:6, "offline PIN (contact) supported";
    issuer_update, with_issuer_update = 3:8, "issuer update supported";
    cdcvm, with_cdcvm = 3:7, "consumer device cardholder verification supported";
    fdda_v01, with_fdda_v01 = 4:8, "fDDA version 01 supported";
}

/// Card transaction qualifiers, tag 9F6C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ctq(pub [u8; 2]);

bits! { Ctq:
    online_pin, with_online_pin = 1:8, "online PIN required";
    signature, with_signature = 1:7, "signature required";
    online_if_oda_fails, with_online_if_oda_fails = 1:6, "go online if offline data authentication fails";
    switch_if_oda_fails, with_switch_if_oda_fails = 1:5, "switch interface if offline data authentication fails";
    online_if_expired, with_online_if_expired = 1:4, "go online if the application is expired";
    switch_for_cash, with_switch_for_cash = 1:3, "switch interface for cash (profile value)";
    switch_for_cashback, with_switch_for_cashback = 1:2, "switch interface for cashback (profile value)";
    not_at_atm, with_not_at_atm = 1:1, "not valid for contactless ATM (profile value)";
    cdcvm_performed, with_cdcvm_performed = 2:8, "consumer device cardholder verification performed";
    issuer_update, with_issuer_update = 2:7, "card supports issuer update (profile value)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_where_the_table_says() {
        let ttq = Ttq([0x26, 0x00, 0x00, 0x80]);
        assert!(ttq.qpboc() && ttq.online_pin() && ttq.signature() && ttq.fdda_v01());
        assert!(!ttq.contactless_pboc() && !ttq.offline_only() && !ttq.cdcvm() && !ttq.cvm_required());
        assert_eq!(Ttq::default().with_cvm_required(true).with_issuer_update(true), Ttq([0, 0x40, 0x80, 0]));
        assert_eq!(Ctq([0xFF; 2]).with_cdcvm_performed(false), Ctq([0xFF, 0x7F]));
    }
}
