//! What differs between purse schemes, as values. Every single-sourced fact is a field here that names its source.

use huiwan_apdu::Sw;

use crate::account::Account;
use crate::command;
use crate::keys::{Factor, KeyKind, Path};
use crate::secure_messaging::Padding;

/// The head of an identified record. [correction 1]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFormat {
    /// Length of the identifier, bytes.
    pub id_len: usize,
    /// Which byte of the identifier P1 of UPDATE CAPP DATA CACHE names: the second on JT/T 978, the only one on
    /// 建设部 and ETC cards.
    pub match_at: u8,
    /// Offset of the inner length.
    pub length_at: usize,
    /// What the inner length leaves out: inner length = length − this.
    pub head_len: usize,
    /// Offset of the lock flag (01 = locked), where the scheme tests it.
    pub lock_at: Option<usize>,
    /// Whether an update may carry the first part of a record alone, under the inner length of the whole: ETC lanes
    /// do. \[W-ETC\] Elsewhere the inner length is that of what is sent. \[S:HB\]
    pub partial: bool,
}

impl RecordFormat {
    /// JT/T 978: `27 01 7D .. .. lock`.
    pub const JTT_978: Self =
        Self { id_len: 2, match_at: 1, length_at: 2, head_len: 3, lock_at: Some(5), partial: false };
    /// 建设部 (CJ/T 166): `id length lock`.
    pub const CJT_166: Self =
        Self { id_len: 1, match_at: 0, length_at: 1, head_len: 2, lock_at: Some(2), partial: false };
    /// Highway (ETC): `AA 29 lock`, the lock flag not tested. \[S:HB\]
    pub const ETC: Self =
        Self { id_len: 1, match_at: 0, length_at: 1, head_len: 2, lock_at: None, partial: true };

    /// Whether the inner length fits a record of `record.len()` bytes.
    #[must_use]
    pub fn length_fits(&self, record: &[u8]) -> bool {
        record.get(self.length_at).map(|inner| usize::from(*inner).saturating_add(self.head_len))
            == Some(record.len())
    }

    /// Whether an update with `data` fits a record of `len` bytes.
    #[must_use]
    pub fn update_fits(&self, data: &[u8], len: usize) -> bool {
        let inner = data.get(self.length_at).map(|inner| usize::from(*inner).saturating_add(self.head_len));
        data.len() <= len && (inner == Some(data.len()) || self.partial && inner == Some(len))
    }

    /// Whether the record's lock flag is set.
    #[must_use]
    pub fn is_locked(&self, record: &[u8]) -> bool {
        self.lock_at.is_some_and(|at| record.get(at) == Some(&0x01))
    }
}

/// When a wrong transaction MAC is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MacErrors {
    /// After a failed comparison. \[S:HB\]
    OnFailure,
    /// Durably before the comparison, taken back by the debit's commit: cutting the power cannot save a try.
    BeforeCheck,
}

/// What a second initialisation does while a session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecondInit {
    /// It replaces the first. \[M\]
    Replaces,
    /// The out-of-order status word, and the card is idle. \[S:HB, for composite purchase\]
    Refused,
}

/// How a TAC key comes from an SM4 DTK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TacKey {
    /// The whole key. No public source; folding halves makes no sense for SM4. [correction 2]
    Whole,
}

/// What counts the wrong MACs of secured commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecuredErrors {
    /// The application: at [`Profile::maintenance_error_limit`] it is locked for good, 9303. \[S:HB\]
    Application,
    /// Each key for itself: at its own limit, or else at [`Profile::maintenance_error_limit`], it is blocked, 6983. \[S:FM: FMCOS keys
    /// carry an error counter\]
    Key,
}

/// How JT/T 978 cards are told which set of keys to use (80/84 CD). The command and its P1 values are in \[I:LIB,ZJ\], what each value
/// stands for is not: the meanings are \[M\], the bytes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmRules {
    /// P1: from now on the 3DES keys.
    pub tdes_p1: u8,
    /// P1: from now on the SM4 keys.
    pub sm4_p1: u8,
    /// P1: the present set for good; the other is blocked.
    pub block_p1: u8,
    /// Answer: the 3DES keys are in use.
    pub tdes: u8,
    /// Answer: the SM4 keys are in use.
    pub sm4: u8,
}

impl AlgorithmRules {
    /// The answers are the algorithm bytes of the initialisation answers. \[M\]
    pub const JTT_978: Self = Self { tdes_p1: 0x01, sm4_p1: 0x02, block_p1: 0x03, tdes: 0x01, sm4: 0x04 };
}

/// The grey lock of fuel cards. [sheet 1.5]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLockRules {
    /// By how much the offline counter in DEBIT FOR UNLOCK is above the one INITIALIZE FOR GREY LOCK answered. \[S:LOH: 1\]
    pub seq_ahead: u16,
}

impl GreyLockRules {
    /// As fuel-station software sends it. \[S:LOH\]
    pub const LOH: Self = Self { seq_ahead: 1 };
}

/// When the PSAM's transaction number goes up. [sheet 9.10: open]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamCount {
    /// At the initialisation, durably before the number is used: none is ever given twice.
    AtInit,
    /// When MAC2 is right. A purchase whose MAC2 never came gives its number to the next one.
    AtCredit,
}

/// What differs between PSAMs. [sheet 4, 9.10]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamRules {
    /// When the transaction number goes up.
    pub count: SamCount,
    /// A transaction number at this value refuses with 9402.
    pub counter_end: u32,
    /// Consecutive wrong MAC2 until the purchase keys are locked; 0 = never, since any card can send a wrong one. \[M\]
    pub mac_error_limit: u8,
    /// Key usage that INIT DES names for the maintenance key. \[I:HD,SH\]
    pub maintenance_usage: u8,
    /// Key usage that INIT DES names for the TAC key. \[S:W-TAC\]
    pub tac_usage: u8,
    /// P2 of INIT DES for the TAC key: its version, or 00 as observed. \[S:W-TAC\]
    pub tac_version: u8,
}

impl SamRules {
    /// As terminals drive them. [sheet 4]
    pub const OBSERVED: Self = Self {
        count: SamCount::AtInit,
        counter_end: u32::MAX,
        mac_error_limit: 0,
        maintenance_usage: 0x45,
        tac_usage: 0x44,
        tac_version: 0x00,
    };
}

/// A purse scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// For messages.
    pub name: &'static str,
    /// Our code of the scheme, by which installation and personalisation choose it: [`scheme`](crate::scheme).
    pub code: u8,
    /// Whether there is an electronic passbook.
    pub ed: bool,
    /// Whether there is an electronic purse.
    pub ep: bool,
    /// Whether the purse may be overdrawn: on JT/T 978, not on plain PBOC. \[I:LIB,SH,HB\]
    pub ep_overdraft: bool,
    /// Whether passbook transactions and its balance want a verified PIN. \[I:HB\]
    pub ed_pin: bool,
    /// Whether reading the log wants it too, on a card with a passbook: the original specification \[S:EPM\]; phone
    /// readers read it free.
    pub ed_log_pin: bool,
    /// Whether unload (圈提) is there for the purse too, after a PIN. \[S:LIB sends P2 = 02\]
    pub ep_unload: bool,
    /// P2 of INITIALIZE FOR UPDATE: 01 \[S:HB\]; 00 \[S:EPM\].
    pub limit_p2: u8,
    /// The grey lock, where the scheme has it.
    pub grey_lock: Option<GreyLockRules>,
    /// Whether GET AUTHENTICATION CODE (80 CA) exists and changes MAC1. \[I:XA,HB\]
    pub auth_code: bool,
    /// Wrong presentations of the PIN until it is blocked.
    pub pin_tries: u8,
    /// Head of the records in the composite file.
    pub records: RecordFormat,
    /// Short identifier of the identified (variable) record file of composite purchases.
    pub composite_sfi: u8,
    /// Records the composite file may hold.
    pub composite_records: u8,
    /// Short identifier of the cyclic trip record file, 0 = none.
    pub process_sfi: u8,
    /// Records of the trip file.
    pub process_records: u8,
    /// Length of a trip record, bytes.
    pub process_len: u8,
    /// Length of file 0015, bytes: 30, on highway cards 43. \[I:W-ETC,ETC1\]
    pub public_info_len: u8,
    /// Short identifier of the log of purchases elsewhere, 0 = none: there a debit is logged too whose terminal number
    /// begins with other bytes than 2 and 3 of file 0015. \[I:TU,HB\]
    pub remote_log_sfi: u8,
    /// Short identifier of the log of loads, 0 = none: there a load is logged too. Phone readers look for loads in
    /// file 0018, so that has them as well. \[I:TU,HB\]
    pub load_log_sfi: u8,
    /// Records of the transaction log (file 0018); at least ten. \[I\]
    pub log_records: u8,
    /// Consecutive wrong transaction MACs until the application is locked: the issuer's. [correction 3]
    pub mac_error_limit: u8,
    /// When they are counted. [correction 3]
    pub mac_errors: MacErrors,
    /// Whether wrong MACs of a composite purchase count too; HB does not count them. \[S:HB\]
    pub composite_mac_errors: bool,
    /// The answer to the wrong MAC that locks. \[I:HB,LUA,LOH\]
    pub locking_answer: Sw,
    /// Wrong MACs of secured commands (block, unblock, updates) until the application is locked for good. \[S:HB\]
    pub maintenance_error_limit: u8,
    /// What counts wrong MACs of secured commands.
    pub secured_errors: SecuredErrors,
    /// Wrong cryptograms of EXTERNAL AUTHENTICATE until its key is blocked, for keys that do not carry a limit of their own.
    pub authentication_error_limit: u8,
    /// When encrypted data of secured commands are padded.
    pub sealed_padding: Padding,
    /// Short identifiers of the files whose secured updates come encrypted (len ‖ data under the maintenance key). FMCOS makes this a
    /// property of the file \[S:FM\]; on the wire nothing tells.
    pub encrypted_files: &'static [u8],
    /// Short identifiers of the files that are read only after EXTERNAL AUTHENTICATE.
    pub authenticated_files: &'static [u8],
    /// Which key protects WRITE KEY: a control key of its own, as on FMCOS cards \[S:FM\]; others use the maintenance key \[M\].
    pub key_writing: KeyKind,
    /// Whether a card without a purse can be selected and takes WRITE KEY without protection; issuers forbid it in the field.
    pub plain_keys: bool,
    /// 80/84 CD, where the scheme has it.
    pub algorithm: Option<AlgorithmRules>,
    /// The answer to a command out of order: 6901 \[S:HB\]; 6985 on other cards \[S:LIB\].
    pub out_of_order: Sw,
    /// What a second initialisation does. [M / S:HB]
    pub second_init: SecondInit,
    /// The answer to purse commands while temporarily locked. \[I:HB\]
    pub locked_answer: Sw,
    /// Whether GET BALANCE, READ and GET TRANSACTION PROVE answer while temporarily locked. [correction 4]
    pub locked_reads: bool,
    /// Whether UPDATE BINARY and UPDATE RECORD without a MAC are allowed; issuers forbid it in the field.
    pub plain_updates: bool,
    /// From the purse scheme's master keys to a card's keys. [correction 5]
    pub path: Path,
    /// The factors INIT SAM FOR PURCHASE carries, in the order they are sent. [sheet 2.2]
    pub sam_factors: Path,
    /// How the scheme's PSAMs behave.
    pub sam: SamRules,
    /// How SM4 TAC keys are formed.
    pub sm4_tac_key: TacKey,
    /// Index of the TAC key used for every transaction.
    pub tac_key_index: u8,
    /// Index of the maintenance key; HB in 交通部 mode keeps it at 01. \[S:HB\]
    pub maintenance_key_index: u8,
    /// A counter at this value refuses with 9402. \[S:LIB\]
    pub counter_end: u16,
}

impl Profile {
    /// The transit purse of JT/T 978 (交通联合), EP only.
    pub const JTT_978: Self = Self {
        name: "JT/T 978",
        code: 0x01,
        ed: false,
        ep: true,
        ep_overdraft: true,
        ed_pin: true,
        ed_log_pin: false,
        ep_unload: false,
        limit_p2: command::EP,
        grey_lock: None,
        auth_code: false,
        pin_tries: 3,
        records: RecordFormat::JTT_978,
        composite_sfi: 0x1A,
        composite_records: 18,
        process_sfi: 0x1E,
        process_records: 30,
        process_len: 48,
        public_info_len: 30,
        remote_log_sfi: 0x00,
        load_log_sfi: 0x00,
        log_records: 10,
        mac_error_limit: 3,
        mac_errors: MacErrors::OnFailure,
        composite_mac_errors: true,
        locking_answer: Sw::CONDITIONS_NOT_SATISFIED,
        maintenance_error_limit: 3,
        secured_errors: SecuredErrors::Application,
        authentication_error_limit: 3,
        sealed_padding: Padding::IfNeeded,
        encrypted_files: &[],
        authenticated_files: &[],
        key_writing: KeyKind::Control,
        plain_keys: false,
        algorithm: Some(AlgorithmRules::JTT_978),
        out_of_order: Sw::COMMAND_STATE,
        second_init: SecondInit::Replaces,
        locked_answer: Sw::CONDITIONS_NOT_SATISFIED,
        locked_reads: true,
        plain_updates: false,
        path: &[Factor::Issuer, Factor::Serial],
        sam_factors: &[Factor::Serial, Factor::Issuer],
        sam: SamRules::OBSERVED,
        sm4_tac_key: TacKey::Whole,
        tac_key_index: 1,
        maintenance_key_index: 1,
        counter_end: 0xFFFF,
    };

    /// A bank's card: passbook and purse. [JR/T 0025.1]
    pub const PBOC: Self = Self {
        name: "PBOC",
        code: 0x02,
        ed: true,
        ep: true,
        ep_overdraft: false,
        ep_unload: true,
        limit_p2: command::ED,
        algorithm: None,
        records: RecordFormat::CJT_166,
        composite_sfi: 0x17,
        composite_records: 10,
        process_sfi: 0x00,
        process_records: 0,
        process_len: 0,
        path: &[Factor::Serial],
        sam_factors: &[Factor::Serial],
        ..Self::JTT_978
    };

    /// City cards of 建设部 (CJ/T 166, City Union).
    pub const CJT_166: Self = Self {
        name: "CJ/T 166",
        code: 0x03,
        ed: false,
        ep_overdraft: false,
        auth_code: true,
        remote_log_sfi: 0x10,
        load_log_sfi: 0x1A,
        second_init: SecondInit::Refused,
        composite_mac_errors: false,
        path: &[Factor::City, Factor::Serial],
        sam_factors: &[Factor::Serial, Factor::City],
        ..Self::PBOC
    };

    /// Highway cards (ETC), stored value.
    pub const ETC: Self = Self {
        name: "ETC",
        code: 0x04,
        ed: false,
        ep_unload: false,
        records: RecordFormat::ETC,
        composite_sfi: 0x19,
        composite_records: 2,
        public_info_len: 43,
        path: &[Factor::Region, Factor::Serial],
        sam_factors: &[Factor::Serial, Factor::Region],
        ..Self::PBOC
    };

    /// City cards after CJ/T 304: as CJ/T 166, with the grey lock. \[S:W-304\]
    pub const CJT_304: Self =
        Self { name: "CJ/T 304", code: 0x05, grey_lock: Some(GreyLockRules::LOH), ..Self::CJT_166 };

    /// Fuel cards: a bank card with the grey lock. [JR/T 0025.9; S:LOH]
    pub const FUEL: Self = Self {
        name: "fuel",
        code: 0x06,
        grey_lock: Some(GreyLockRules::LOH),
        sam_factors: &[Factor::Serial, Factor::Serial],
        path: &[Factor::Serial, Factor::Serial],
        ..Self::PBOC
    };

    /// Every scheme here.
    pub const ALL: &[Self] =
        &[Self::JTT_978, Self::PBOC, Self::CJT_166, Self::ETC, Self::CJT_304, Self::FUEL];

    /// Whether the scheme has this account.
    #[must_use]
    pub const fn has(&self, account: Account) -> bool {
        match account {
            Account::Ed => self.ed,
            Account::Ep => self.ep,
        }
    }
}
