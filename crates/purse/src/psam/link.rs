//! A real PSAM behind a link: each [`SamRequest`] as its APDUs, and their answers back.

use huiwan_apdu::exchange::{Exchange, Input, Outcome, Step};
use huiwan_apdu::{Command, Ne, Response, Sw};

use super::wire::{self, KeyFile, SamInfo};
use super::{
    CalculateGmac, CertifyGreyLock, CheckAuthCode, CreditForPurchase, InitForGreyLock, InitForPurchase,
    RecomputeTac, Sam, SamAnswer, SamGreyLock, SamPurchase, SamRefused, SamRequest, SecureCommand,
};
use crate::command::{self, expected};
use crate::keys::{self, CardId};
use crate::mac::{Mac, Message, TerminalNo};
use crate::profile::Profile;
use crate::terminal::drive::Transport;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[allow(clippy::exhaustive_enums)]
pub enum AskStep<'a> {
    /// Send this command, and give its final answer to the next step.
    Send(Command<'a>),
    /// The PSAM's answer.
    Done(SamAnswer),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// INIT DES, which a calculation goes on with.
    InitDes,
    /// The command that answers.
    Last,
}

/// One request on its way to a PSAM. It does no input and output: it gives one [`Command`] after another and takes the final
/// answer to each; what the transport makes of a command (61xx, 6Cxx) is [`Exchange`]'s business. [`LinkedSam`] is the
/// blocking form.
///
/// 80 72 and E0 42 do not name the transaction: the PSAM checks MAC2 of its last 80 70 or E0 40, and counts a foreign one as
/// an error. Whoever asks a PSAM that others have asked meanwhile (a recovery after the next tap) compares `terminal_seq`
/// with the number the PSAM answered last, and takes [`SamRefused::STATE`] for the answer if they differ; `LinkedSam` does.
///
/// ```
/// use huiwan_apdu::Response;
/// use huiwan_purse::keys::CardId;
/// use huiwan_purse::profile::Profile;
/// use huiwan_purse::psam::{Ask, AskStep, CreditForPurchase, SamAnswer, SamRequest};
///
/// let request = SamRequest::CreditForPurchase(CreditForPurchase { terminal_seq: 1, mac2: [0x56, 0x98, 0x8A, 0x13] });
/// let mut ask = Ask::new(&Profile::JTT_978, request);
/// let mut out = [0; 64];
/// let AskStep::Send(command) = ask.step(None) else { panic!() };
/// assert_eq!(command.write(&mut out).unwrap(), [0x80, 0x72, 0x00, 0x00, 0x04, 0x56, 0x98, 0x8A, 0x13]);
/// // What the PSAM answers.
/// let answer = Response::parse(&[0x90, 0x00]).unwrap();
/// assert_eq!(ask.step(Some(answer)), AskStep::Done(SamAnswer::Credited));
/// ```
#[derive(Debug, Clone)]
pub struct Ask {
    profile: Profile,
    request: SamRequest,
    stage: Stage,
    data: heapless::Vec<u8, 64>,
}

impl Ask {
    /// A request to a PSAM of this scheme.
    #[must_use]
    pub const fn new(profile: &Profile, request: SamRequest) -> Self {
        let stage = match request {
            SamRequest::SecureCommand(_) | SamRequest::RecomputeTac(_) => Stage::InitDes,
            _ => Stage::Last,
        };
        Self { profile: *profile, request, stage, data: heapless::Vec::new() }
    }

    /// Goes on: `None` at first (or to send a command once more), then the answer to the command sent.
    pub fn step(&mut self, answer: Option<Response<'_>>) -> AskStep<'_> {
        match answer {
            None => self.send(),
            Some(answer) if !answer.sw().is_ok() => AskStep::Done(refused(answer.sw())),
            Some(_) if self.stage == Stage::InitDes => {
                self.stage = Stage::Last;
                self.send()
            }
            // An answer that is not what the command has to answer is no answer.
            Some(answer) => AskStep::Done(self.read(answer.data()).unwrap_or_else(|| refused(Sw::UNKNOWN))),
        }
    }

    fn send(&mut self) -> AskStep<'_> {
        let profile = self.profile;
        let rules = profile.sam;
        let init_des = |usage, version, card: &CardId| {
            (command::INIT_DES.command(usage, version), gather(wire::factors(&profile, card)), None)
        };
        let calculation = |iv: &[u8], message: &[u8], algorithm| {
            let mut data = gather(iv.iter().chain(message).copied());
            // Eight bytes of IV, then whole blocks; no message here is near the end of the buffer.
            let block = keys::algorithm(algorithm).map_or(8, |algorithm| algorithm.block_len());
            let _ = data.push(0x80);
            while !data.len().saturating_sub(8).is_multiple_of(block) {
                if data.push(0x00).is_err() {
                    break;
                }
            }
            (command::DES_CALCULATION.command(0x05, 0x00), data, Some(4))
        };
        let (command, data, len): (Command<'static>, heapless::Vec<u8, 64>, Option<u8>) =
            match (&self.request, self.stage) {
                (SamRequest::InitForPurchase(request), _) => (
                    command::INIT_SAM_FOR_PURCHASE.command(0, 0),
                    gather(request.command_data(&profile)),
                    Some(8),
                ),
                (SamRequest::CreditForPurchase(request), _) => {
                    (command::CREDIT_SAM_FOR_PURCHASE.command(0, 0), gather(request.mac2), None)
                }
                (SamRequest::InitForGreyLock(request), _) => (
                    command::INIT_SAM_FOR_GREY_LOCK.command(0, 0),
                    gather(request.command_data(&profile)),
                    Some(12),
                ),
                (SamRequest::CertifyGreyLock(request), _) => {
                    (command::CERTIFY_GREY_LOCK.command(0, 0), gather(request.mac2), None)
                }
                (SamRequest::CalculateGmac(request), _) => {
                    (command::CALCULATE_GMAC.command(0, 0), gather(request.command_data()), Some(8))
                }
                (SamRequest::CheckAuthCode(CheckAuthCode { card, code }), _) => (
                    command::GET_AUTH_CODE.command(0, 0),
                    gather(code.iter().copied().chain(wire::factors(&profile, card))),
                    None,
                ),
                (SamRequest::SecureCommand(request), Stage::InitDes) => {
                    init_des(rules.maintenance_usage, request.key_version, &request.card)
                }
                (SamRequest::SecureCommand(request), Stage::Last) => {
                    calculation(&request.challenge, &request.header, request.algorithm)
                }
                (SamRequest::RecomputeTac(request), Stage::InitDes) => {
                    init_des(rules.tac_usage, rules.tac_version, &request.card)
                }
                (SamRequest::RecomputeTac(request), Stage::Last) => {
                    calculation(&[0; 8], &request.message.to_bytes(), request.algorithm)
                }
            };
        self.data = data;
        let command = command.with_data(&self.data);
        AskStep::Send(match len {
            Some(len) => command.with_ne(expected(len)),
            None => command,
        })
    }

    fn read(&self, data: &[u8]) -> Option<SamAnswer> {
        let nothing = |answer| data.is_empty().then_some(answer);
        Some(match self.request {
            SamRequest::InitForPurchase(_) => SamAnswer::Purchase(SamPurchase::parse(data)?),
            SamRequest::CreditForPurchase(_) => return nothing(SamAnswer::Credited),
            SamRequest::InitForGreyLock(_) => SamAnswer::GreyLock(SamGreyLock::parse(data)?),
            SamRequest::CertifyGreyLock(_) => return nothing(SamAnswer::Certified),
            // The first four bytes of four or eight. [sheet 4]
            SamRequest::CalculateGmac(_) | SamRequest::SecureCommand(_) | SamRequest::RecomputeTac(_) => {
                SamAnswer::Mac(*data.first_chunk().filter(|_| matches!(data.len(), 4 | 8))?)
            }
            SamRequest::CheckAuthCode(_) => return nothing(SamAnswer::Authentic),
        })
    }
}

/// Command data; all of them fit.
fn gather(bytes: impl IntoIterator<Item = u8>) -> heapless::Vec<u8, 64> {
    let mut data = heapless::Vec::new();
    for byte in bytes {
        if data.push(byte).is_err() {
            break;
        }
    }
    data
}

const fn refused(sw: Sw) -> SamAnswer {
    SamAnswer::Refused(SamRefused(sw))
}

/// How a PSAM is opened. [sheet 4]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening<'a> {
    /// What is selected for the commands.
    pub application: SamApplication<'a>,
    /// Whether to read file 0015.
    pub info: bool,
}

/// Where a PSAM has its purchase application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamApplication<'a> {
    /// In what is selected after the reset.
    None,
    /// In a DF.
    Fid(u16),
    /// Under a name.
    Aid(&'a [u8]),
}

impl SamApplication<'_> {
    /// ETC. \[I:W-ETC\]
    pub const ETC: Self = Self::Fid(0xDF01);
    /// JT/T 978. \[I:LIB,BUS2\]
    pub const JTT_978: Self = Self::Fid(0x8011);
}

/// A PSAM behind a blocking link.
#[derive(Debug)]
pub struct LinkedSam<L> {
    link: L,
    profile: Profile,
    terminal: TerminalNo,
    info: Option<SamInfo>,
    key_file: KeyFile,
    /// The number of the transaction the PSAM has under way.
    under_way: Option<u32>,
}

impl<L: Transport> LinkedSam<L> {
    /// Opens the PSAM: terminal number and, if wanted, file 0015 at the MF, then the application and its file 0017.
    ///
    /// # Errors
    /// The status word of the first command that fails; 6F00 if the PSAM is gone or answers another length.
    pub fn open(mut link: L, profile: &Profile, opening: &Opening<'_>) -> Result<Self, SamRefused> {
        let terminal = read(&mut link, 0x16)?;
        let info = match opening.info {
            true => Some(SamInfo::parse(&read(&mut link, 0x15)?)),
            false => None,
        };
        let mut buffer = [0; 256];
        match opening.application {
            SamApplication::None => {}
            SamApplication::Fid(fid) => {
                let fid = fid.to_be_bytes();
                let select = Command::new(0x00, 0xA4, 0x00, 0x00).with_data(&fid);
                exchange(&mut link, select, &mut buffer)?;
            }
            SamApplication::Aid(aid) => {
                let select = Command::new(0x00, 0xA4, 0x04, 0x00).with_data(aid).with_ne(Ne::MAX_SHORT);
                exchange(&mut link, select, &mut buffer)?;
            }
        }
        let key_file = KeyFile::parse(&read(&mut link, 0x17)?);
        Ok(Self { link, profile: *profile, terminal, info, key_file, under_way: None })
    }

    /// File 0017.
    pub const fn key_file(&self) -> &KeyFile {
        &self.key_file
    }

    /// File 0015, if it was read.
    pub const fn info(&self) -> Option<&SamInfo> {
        self.info.as_ref()
    }

    /// The link.
    pub const fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }

    fn ask(&mut self, request: SamRequest) -> Result<SamAnswer, SamRefused> {
        let mut ask = Ask::new(&self.profile, request);
        let mut buffer = [0; 64];
        let mut step = ask.step(None);
        loop {
            step = match step {
                AskStep::Send(command) => {
                    let answer = run(&mut self.link, command, &mut buffer)?;
                    ask.step(Some(answer))
                }
                AskStep::Done(SamAnswer::Refused(refused)) => return Err(refused),
                AskStep::Done(answer) => return Ok(answer),
            };
        }
    }
}

const FAULT: SamRefused = SamRefused(Sw::UNKNOWN);

/// Carries one command through 61xx and 6Cxx.
fn run<'r>(
    link: &mut impl Transport,
    command: Command<'_>,
    response: &'r mut [u8],
) -> Result<Response<'r>, SamRefused> {
    let mut wire = [0; 80];
    let mut exchange = Exchange::new(command, response);
    let mut input = Input::Start;
    loop {
        input = match exchange.step(input, &mut wire).map_err(|_| FAULT)? {
            Step::Send(command) => link.exchange(command).map_or(Input::CardLost, Input::Response),
            Step::Done(Outcome::Answered(_)) => return exchange.into_response().ok_or(FAULT),
            Step::Done(_) => return Err(FAULT),
        };
    }
}

/// The data of a command that has to succeed.
fn exchange<'r>(
    link: &mut impl Transport,
    command: Command<'_>,
    response: &'r mut [u8],
) -> Result<&'r [u8], SamRefused> {
    let answer = run(link, command, response)?;
    if answer.sw().is_ok() { Ok(answer.data()) } else { Err(SamRefused(answer.sw())) }
}

fn read<const N: usize>(link: &mut impl Transport, sfi: u8) -> Result<[u8; N], SamRefused> {
    let mut buffer = [0; 256];
    let len = u8::try_from(N).unwrap_or_default();
    exchange(link, command::read_binary(sfi, len), &mut buffer)?.try_into().map_err(|_| FAULT)
}

impl<L: Transport> Sam for LinkedSam<L> {
    fn terminal(&self) -> TerminalNo {
        self.terminal
    }

    fn key_index(&self) -> u8 {
        self.key_file.key_index
    }

    fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
        self.under_way = None;
        match self.ask(SamRequest::InitForPurchase(*request))? {
            SamAnswer::Purchase(answer) => {
                self.under_way = Some(answer.terminal_seq);
                Ok(answer)
            }
            _ => Err(FAULT),
        }
    }

    fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
        self.check_mac2(request.terminal_seq, SamRequest::CreditForPurchase(*request))
    }

    fn init_for_grey_lock(&mut self, request: &InitForGreyLock) -> Result<SamGreyLock, SamRefused> {
        self.under_way = None;
        match self.ask(SamRequest::InitForGreyLock(*request))? {
            SamAnswer::GreyLock(answer) => {
                self.under_way = Some(answer.terminal_seq);
                Ok(answer)
            }
            _ => Err(FAULT),
        }
    }

    fn certify_grey_lock(&mut self, request: &CertifyGreyLock) -> Result<(), SamRefused> {
        self.check_mac2(request.terminal_seq, SamRequest::CertifyGreyLock(*request))
    }

    fn calculate_gmac(&mut self, request: &CalculateGmac) -> Result<Mac, SamRefused> {
        self.mac(SamRequest::CalculateGmac(*request))
    }

    fn secure_command(&mut self, request: &SecureCommand) -> Result<Mac, SamRefused> {
        self.mac(SamRequest::SecureCommand(*request))
    }

    fn check_auth_code(&mut self, request: &CheckAuthCode) -> Result<(), SamRefused> {
        self.ask(SamRequest::CheckAuthCode(*request)).map(|_| ())
    }

    fn recompute_tac(&mut self, request: &RecomputeTac) -> Result<Mac, SamRefused> {
        self.mac(SamRequest::RecomputeTac(*request))
    }
}

impl<L: Transport> LinkedSam<L> {
    /// 80 72 and E0 42, for the transaction under way alone.
    fn check_mac2(&mut self, terminal_seq: u32, request: SamRequest) -> Result<(), SamRefused> {
        if self.under_way != Some(terminal_seq) {
            return Err(SamRefused::STATE);
        }
        self.ask(request)?;
        self.under_way = None;
        Ok(())
    }

    fn mac(&mut self, request: SamRequest) -> Result<Mac, SamRefused> {
        match self.ask(request)? {
            SamAnswer::Mac(mac) => Ok(mac),
            _ => Err(FAULT),
        }
    }
}
