//! The tags the kernel itself looks for.

use huiwan_tlv::Tag;

macro_rules! tags {
    ($($name:ident = $number:literal;)+) => { $(pub(super) const $name: Tag = Tag::new($number);)+ };
}

tags! {
    TRACK_2 = 0x57;
    PAN = 0x5A;
    FCI = 0x6F;
    RECORD = 0x70;
    SCRIPT_BEFORE = 0x71;
    SCRIPT_AFTER = 0x72;
    FORMAT_2 = 0x77;
    FORMAT_1 = 0x80;
    AIP = 0x82;
    COMMAND_TEMPLATE = 0x83;
    DF_NAME = 0x84;
    SCRIPT_COMMAND = 0x86;
    CA_KEY_INDEX = 0x8F;
    ISSUER_CERTIFICATE = 0x90;
    ISSUER_AUTHENTICATION_DATA = 0x91;
    ISSUER_REMAINDER = 0x92;
    AFL = 0x94;
    FCI_PROPRIETARY = 0xA5;
    EXPIRY = 0x5F24;
    PAN_SEQUENCE_NUMBER = 0x5F34;
    APPLICATION_VERSION = 0x9F08;
    IAD = 0x9F10;
    SCRIPT_IDENTIFIER = 0x9F18;
    CRYPTOGRAM = 0x9F26;
    CID = 0x9F27;
    ISSUER_EXPONENT = 0x9F32;
    CVM_RESULTS = 0x9F34;
    ATC = 0x9F36;
    PDOL = 0x9F38;
    ICC_CERTIFICATE = 0x9F46;
    ICC_EXPONENT = 0x9F47;
    ICC_REMAINDER = 0x9F48;
    STATIC_DATA_TAG_LIST = 0x9F4A;
    SDAD = 0x9F4B;
    CARD_AUTHENTICATION_DATA = 0x9F69;
    CTQ = 0x9F6C;
}
