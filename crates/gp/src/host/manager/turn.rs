//! What a task hears, and what it wants then.

use huiwan_apdu::{Response, Sw};

use crate::host::fault::Fault;
use crate::host::key_store::{
    Chaining, ImplicitRequest, KeyAnswer, KeyHandle, KeyRef, OpenRequest, PinFormat, Scp11Request, SessionId,
};

/// What a task hears.
#[derive(Debug, Clone, Copy)]
pub(in crate::host) enum Event<'a> {
    Begin,
    Response(Response<'a>),
    Key(KeyAnswer<'a>),
    Continue,
}

/// What a task wants; lengths are of the output buffer's beginning.
#[derive(Debug, Clone, Copy)]
pub(in crate::host) enum Todo {
    /// A plain command, protected if a channel is open.
    Command(usize),
    /// A command that goes as it is.
    Bare(usize),
    /// Open a channel.
    Open(OpenRequest),
    /// Open a channel without a handshake.
    OpenImplicit(ImplicitRequest),
    /// Begin a channel by certificates: the card's are these bytes.
    BeginScp11(Scp11Request, usize),
    /// Check the card's answer, these bytes.
    FinishScp11(SessionId, usize),
    /// Encrypt these bytes under the card's data encryption key.
    Encrypt(usize),
    /// Take these bytes from a zone's key to the card's data encryption key.
    Reencrypt { zone: KeyHandle, chaining: Chaining, len: usize, pad: bool },
    /// The same with a PIN block, and behind it its account number.
    TranslatePin { zone: KeyHandle, format: PinFormat, len: usize, account: usize, pad: bool },
    /// Export a key set.
    Export { key: KeyRef, version: u8 },
    /// Make a token over so many bytes.
    Sign { key: KeyHandle, message: usize },
    /// Check a receipt: what it covers, and behind it the receipt.
    Verify { key: KeyHandle, message: usize, receipt: usize },
    /// Forget the session.
    Close(SessionId),
    /// Forget the session, then the task is over with this fault.
    CloseAndFail(SessionId, Fault),
    /// Tell the caller.
    Answer(usize, Sw),
    /// Tell the caller.
    Stored(usize, u16),
    /// Over.
    Done,
}

/// A task's turn: what it wants, or why it cannot go on.
pub(in crate::host) type Turn = Result<Todo, Fault>;
